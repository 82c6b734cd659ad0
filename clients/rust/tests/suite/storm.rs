//! Many owners on a network that loses replies and connections.

use crate::until_free;
use lock_test_support::{Proxy, Server};
use redis_reentrant_lock_client::{Guard, LockClient};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What one owner believed: with which token it held the lock, and from when to when.
struct Belief {
    token: u64,
    from: Instant,
    until: Instant,
}

async fn work(guard: Guard, random: &mut fastrand::Rng) -> Belief {
    let (token, from) = (guard.token(), Instant::now());
    let mut guards = vec![guard];
    for _ in 0..random.u8(0..4) {
        let pause = Duration::from_micros(random.u64(0..3000));
        tokio::time::sleep(pause).await;
        let guard = guards.last().unwrap();
        let went_well = match random.u8(..3) {
            0 => guard.renew().await.is_ok(),
            1 => guard
                .reenter()
                .await
                .map(|inner| guards.push(inner))
                .is_ok(),
            _ => guard.is_held(),
        };
        if !went_well {
            break;
        }
    }
    // It believes in it for as long as it is certain, and until it releases it.
    let valid = guards.last().unwrap().valid_for();
    let until = Instant::now();
    let until = if valid.is_zero() { from } else { until };
    for guard in guards {
        match random.bool() {
            true => drop(guard),
            false => drop(guard.release().await),
        }
    }
    Belief { token, from, until }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_and_connections_that_are_lost_make_no_two_owners_and_leave_nothing_behind() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let end = Instant::now() + Duration::from_secs(8);
    let mut owners = JoinSet::new();
    for seed in 0..10 {
        let locks = LockClient::open(proxy.url()).unwrap();
        owners.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            // Half of them have sessions, on another lock: there a cut connection is a loss, which the next owner
            // may hear of before the last one does.
            let lock = match seed % 2 {
                0 => locks.lock("lease").lease(Duration::from_secs(30)),
                _ => locks.lock("session"),
            };
            let mut beliefs = Vec::new();
            while Instant::now() < end {
                let limit = Duration::from_millis(random.u64(0..400));
                match tokio::time::timeout(limit, lock.acquire()).await {
                    Ok(Ok(guard)) => beliefs.push(work(guard, &mut random).await),
                    Ok(Err(error)) => panic!("{error}"),
                    Err(_) => (), // cancelled
                }
            }
            (seed % 2, beliefs)
        });
    }
    let mut random = fastrand::Rng::new();
    println!("seed {}", random.get_seed());
    while Instant::now() < end {
        match random.u8(..8) {
            0 => proxy.cut(),
            1 => proxy.lose_reply("LOCK.RENEW"),
            2 => proxy.lose_reply("LOCK.RELEASE"),
            3 => proxy.lose_reply("WAIT"),
            _ => proxy.lose_reply("LOCK.ACQUIRE"),
        }
        tokio::time::sleep(Duration::from_millis(random.u64(1..40))).await;
    }
    let mut beliefs = [Vec::new(), Vec::new()];
    while let Some(done) = owners.join_next().await {
        let (kind, some) = done.unwrap();
        beliefs[kind as usize].extend(some);
    }
    let mut client = server.client();
    // Long before the lease of 30 s is over.
    let start = Instant::now();
    for name in ["lease", "session"] {
        until_free(&mut client, name);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{name} was left behind"
        );
    }
    lock_test_support::eventually("nobody waits", || client.counter("waiters") == 0);
    for (kind, mut beliefs) in beliefs.into_iter().enumerate() {
        assert!(beliefs.len() > 50, "only {} holds", beliefs.len());
        beliefs.sort_by_key(|belief| belief.from);
        for pair in beliefs.windows(2) {
            assert!(pair[0].token < pair[1].token, "tokens fall");
        }
        if kind == 0 {
            for pair in beliefs.windows(2) {
                assert!(pair[0].until <= pair[1].from, "two owners");
            }
        }
    }
}
