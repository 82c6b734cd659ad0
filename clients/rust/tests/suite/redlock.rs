//! Redlock over five independent servers.

use crate::{locks, soon};
use lock_test_support::{FakeClock, HeldBack, Proxy, Server, Setup, eventually};
use redis_reentrant_lock_client::redlock::{Redlock, RedlockLock};
use redis_reentrant_lock_client::{Error, LockClient, Loss};
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(10);

fn five(setup: &Setup) -> Vec<Server> {
    (0..5).map(|_| setup.clone().start()).collect()
}

fn over(servers: &[Server]) -> Redlock {
    Redlock::new(servers.iter().map(locks)).unwrap()
}

/// The limit is generous: the machine may have other things to do.
fn lock(servers: &[Server]) -> RedlockLock {
    let redlock = over(servers).with_server_limit(Duration::from_secs(2));
    redlock.lock("a", LEASE)
}

fn holders(servers: &[Server]) -> usize {
    let held = |server: &&Server| server.client().run("LOCK.INFO a") != "nil";
    servers.iter().filter(held).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_holds_it_and_reenters_and_extends() {
    let servers = five(&Setup::new());
    let lock = lock(&servers);
    let mut guard = lock.try_acquire().await.unwrap().expect("free");
    let valid = guard.valid_for();
    // The lease, less 1 % and 2 ms of drift, and what has passed.
    assert!(
        valid < LEASE.mul_f64(0.99) && valid > LEASE.mul_f64(0.9),
        "{valid:?}"
    );
    assert!(lock.try_acquire().await.unwrap().is_none());
    guard.reenter().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let before = guard.valid_for();
    guard.extend().await.unwrap();
    assert!(guard.valid_for() > before);
    guard.release().await.unwrap();
    assert_eq!(guard.holds(), 1);
    assert!(lock.try_acquire().await.unwrap().is_none());
    guard.release().await.unwrap();
    assert_eq!(holders(&servers), 0);
    assert!(matches!(guard.release().await, Err(Error::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_with_two_servers_dead_and_not_with_three() {
    let mut servers = five(&Setup::new());
    let lock = lock(&servers);
    let mut guard = lock.acquire().await.unwrap();
    servers[0].kill();
    servers[1].kill();
    guard.reenter().await.unwrap();
    guard.extend().await.unwrap();
    guard.release().await.unwrap();
    guard.release().await.unwrap();
    let mut guard = soon(lock.acquire()).await.unwrap();
    servers[2].kill();
    // It is valid all the same until its time is over; but it cannot be confirmed.
    let error = guard.extend().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoMajority {
                answered: 2,
                needed: 3
            }
        ),
        "{error}"
    );
    assert!(!guard.valid_for().is_zero());
    let error = guard.reenter().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoMajority {
                answered: 2,
                needed: 3
            }
        ),
        "{error}"
    );
    assert_eq!(guard.holds(), 1);
    drop(guard);
    let error = lock.try_acquire().await.unwrap_err();
    assert!(
        matches!(error, Error::NoMajority { needed: 3, .. }),
        "{error}"
    );
    let error = lock
        .acquire_within(Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoMajority { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_without_a_majority_leaves_nothing_behind() {
    let servers = five(&Setup::new());
    for server in &servers[..3] {
        server.client().run("LOCK.ACQUIRE a other 60000");
    }
    assert!(lock(&servers).try_acquire().await.unwrap().is_none());
    assert_eq!(holders(&servers), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_it_after_its_release() {
    let servers = five(&Setup::new());
    let mut guard = lock(&servers).acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = lock(&servers);
        async move { lock.acquire_within(Duration::from_secs(60)).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    guard.release().await.unwrap();
    assert!(soon(waits).await.unwrap().unwrap().is_some());
}

/// A holds the lock by three servers, since two are down. One of the three forgets everything, and the two come back.
async fn amnesia(setup: Setup) -> Option<Duration> {
    let mut servers = five(&setup);
    for at in [3, 4] {
        servers[at].kill();
    }
    let mut first = soon(lock(&servers).acquire()).await.unwrap();
    servers[2].kill();
    for at in [2, 3, 4] {
        servers[at].restart_in_place();
    }
    let second = lock(&servers).try_acquire().await.unwrap();
    let both = second.is_some().then(|| first.valid_for());
    first.release().await.ok();
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_without_its_data_makes_two_owners() {
    let both = amnesia(Setup::new()).await;
    assert!(both.is_some_and(|valid| !valid.is_zero()), "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_grace_period_as_long_as_the_lease_it_does_not() {
    let setup = Setup::new().module_args("max-ttl 10000 grace-period 10000");
    // A first start is a start as well: the servers are let out of their grace period.
    let mut servers = five(&setup);
    for server in &servers {
        server.client().run("CONFIG SET lock.grace-period 0");
    }
    for at in [3, 4] {
        servers[at].kill();
    }
    let lock = lock(&servers);
    let mut first = soon(lock.acquire()).await.unwrap();
    servers[2].kill();
    for at in [2, 3, 4] {
        servers[at].restart_in_place();
    }
    let start = Instant::now();
    let mut second = loop {
        if let Some(second) = lock.try_acquire().await.unwrap() {
            break second;
        }
        assert!(start.elapsed() < LEASE * 3);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(first.valid_for(), Duration::ZERO);
    assert!(start.elapsed() > Duration::from_secs(8));
    let error = first.release().await.unwrap_err();
    assert!(matches!(error, Error::Lost(Loss::LeaseOver)), "{error}");
    second.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_costs_its_limit_and_no_more() {
    let servers = five(&Setup::new());
    let limit = Duration::from_millis(100);
    let lock = over(&servers).with_server_limit(limit).lock("a", LEASE);
    lock.acquire().await.unwrap().release().await.unwrap();
    servers[0].signal(libc::SIGSTOP);
    let start = Instant::now();
    let mut guard = lock.try_acquire().await.unwrap().expect("four are enough");
    let took = start.elapsed();
    assert!(took >= limit && took < limit * 10, "{took:?}");
    assert!(guard.valid_for() < LEASE.mul_f64(0.99) - took.min(limit));
    guard.release().await.unwrap();
    servers[0].signal(libc::SIGCONT);
    // It carries out the acquire now that it had missed, and then the release that followed.
    let mut client = servers[0].client();
    eventually("it is free there too", || {
        client.run("LOCK.INFO a") == "nil" && client.calls("lock.release") >= 2
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_set_on_two_servers_end_no_lock() {
    let clock = match FakeClock::of_servers() {
        Ok(clock) => clock,
        Err(why) => return lock_test_support::skip(&why),
    };
    let setup = clock.setup(Setup::new());
    let mut servers: Vec<Server> = (0..2).map(|_| setup.clone().start()).collect();
    servers.extend((0..3).map(|_| Server::start()));
    let mut guard = lock(&servers).acquire().await.unwrap();
    assert_eq!(holders(&servers), 5);
    let before = servers[0].client().clock();
    clock.set(3_600_000);
    eventually("the clock is set", || {
        servers[0].client().clock() > before + 3_000_000
    });
    // Its lease is over on those two. Nobody gets it all the same.
    assert_eq!(holders(&servers), 3);
    assert!(lock(&servers).try_acquire().await.unwrap().is_none());
    assert!(!guard.valid_for().is_zero());
    guard.reenter().await.unwrap();
    guard.release().await.unwrap();
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_acquire_leaves_nothing_behind() {
    let servers = five(&Setup::new());
    let lock = lock(&servers);
    for micros in (0..3000).step_by(150) {
        let acquired = tokio::time::timeout(Duration::from_micros(micros), lock.acquire());
        drop(acquired.await.map(|guard| guard.unwrap()));
        eventually("it is free", || holders(&servers) == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_reentry_is_released_with_the_next_release() {
    let servers = five(&Setup::new());
    let proxies: Vec<Proxy> = servers.iter().map(Proxy::start).collect();
    let clients = proxies.iter().map(|proxy| LockClient::open(proxy.url()));
    let redlock = Redlock::new(clients.map(Result::unwrap)).unwrap();
    let lock = redlock
        .with_server_limit(Duration::from_secs(2))
        .lock("a", LEASE);
    for others in [0, 1] {
        let mut guard = lock.acquire().await.unwrap();
        for _ in 0..others {
            guard.reenter().await.unwrap();
        }
        let calls = proxies.iter().map(|proxy| proxy.hold_back("LOCK.ACQUIRE"));
        let calls: Vec<HeldBack> = calls.collect();
        let sent = tokio::task::spawn_blocking(move || {
            calls.iter().for_each(HeldBack::until_here);
            calls
        });
        let calls = tokio::select! {
            reentry = guard.reenter() => panic!("{reentry:?}"),
            calls = sent => calls.unwrap(),
        };
        calls.into_iter().for_each(HeldBack::let_go);
        assert_eq!(guard.holds(), 1 + others);
        for _ in 0..=others {
            assert_eq!(holders(&servers), 5);
            guard.release().await.unwrap();
        }
        assert_eq!(holders(&servers), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_that_the_servers_refused_are_made_up_for_by_the_next_one() {
    let servers = five(&Setup::new());
    let lock = lock(&servers);
    let require_replicas = |count| {
        for server in &servers {
            let line = format!("CONFIG SET min-replicas-to-write {count}");
            server.client().run(&line);
        }
    };
    for reenters in [false, true] {
        let mut guard = lock.acquire().await.unwrap();
        guard.reenter().await.unwrap();
        guard.reenter().await.unwrap();
        require_replicas(1);
        for _ in 0..2 {
            let error = guard.release().await.unwrap_err();
            assert!(
                matches!(error, Error::NoMajority { answered: 0, .. }),
                "{error}"
            );
        }
        require_replicas(0);
        assert_eq!(guard.holds(), 1);
        if reenters {
            guard.reenter().await.unwrap();
            guard.release().await.unwrap();
        }
        assert_eq!(holders(&servers), 5);
        guard.release().await.unwrap();
        assert_eq!(holders(&servers), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_dropped_releases_it_however_often_it_was_reentered() {
    let servers = five(&Setup::new());
    let mut guard = lock(&servers).acquire().await.unwrap();
    guard.reenter().await.unwrap();
    guard.reenter().await.unwrap();
    drop(guard);
    let start = Instant::now();
    eventually("it is free", || holders(&servers) == 0);
    assert!(start.elapsed() < LEASE / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_most_servers_refuse_is_an_error() {
    let servers = five(&Setup::without_module());
    let error = lock(&servers).acquire().await.unwrap_err();
    assert!(matches!(error, Error::NoModule), "{error}");
    let none = Redlock::new(Vec::<LockClient>::new()).unwrap_err();
    assert!(none.to_string().contains("at least one server"));
}

/// Many owners, and servers that are killed, restarted without their data, and stopped. Validities never overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_owners_never_hold_it_at_once_whatever_befalls_two_servers() {
    let lease = Duration::from_millis(1500);
    let setup = Setup::new().module_args("max-ttl 1500 grace-period 1600");
    let mut servers = five(&setup);
    let redlock = over(&servers).with_server_limit(Duration::from_millis(60));
    let lock = redlock.lock("a", lease);
    let end = Instant::now() + Duration::from_secs(12);
    // What each owner believes: from when to when.
    let mut owners = tokio::task::JoinSet::new();
    for seed in 0..8 {
        let lock = lock.clone();
        owners.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut spans = Vec::new();
            while Instant::now() < end {
                let Ok(Some(mut guard)) = lock.acquire_within(Duration::from_secs(2)).await else {
                    continue;
                };
                let from = Instant::now();
                let hold = Duration::from_millis(random.u64(0..200));
                tokio::time::sleep(hold.min(guard.valid_for())).await;
                if random.bool() && guard.extend().await.is_ok() {
                    tokio::time::sleep(hold.min(guard.valid_for())).await;
                }
                let until = Instant::now() + guard.valid_for();
                // One in four forgets to release it: then it believes in it to the last.
                if random.u8(..4) == 0 {
                    std::mem::forget(guard);
                    spans.push((from, until));
                } else {
                    spans.push((from, Instant::now().min(until)));
                    guard.release().await.ok();
                }
            }
            spans
        });
    }
    let mut random = fastrand::Rng::new();
    println!("seed {}", random.get_seed());
    let (mut faults, mut out) = (0, Vec::new());
    while Instant::now() < end {
        // At most two are out at a time, but for those that are back and in their grace period.
        let at = random.usize(0..5);
        if let Some(place) = out.iter().position(|other| *other == at) {
            out.remove(place);
            match servers[at].is_running() {
                true => servers[at].signal(libc::SIGCONT),
                false => servers[at].restart_in_place(),
            }
        } else if out.len() < 2 {
            match random.u8(..3) {
                0 => servers[at].kill(),
                _ => servers[at].signal(libc::SIGSTOP),
            }
            out.push(at);
            faults += 1;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(20..200))).await;
    }
    for at in out {
        if servers[at].is_running() {
            servers[at].signal(libc::SIGCONT);
        }
    }
    let mut spans = Vec::new();
    while let Some(done) = owners.join_next().await {
        spans.extend(done.unwrap());
    }
    spans.sort();
    assert!(
        faults >= 4 && spans.len() >= 5,
        "{faults} faults, {} holds",
        spans.len()
    );
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two owners: {pair:?}");
    }
}
