//! Acquiring, waiting, reentering, releasing.

use crate::{locks, soon, until_free, until_waiting};
use lock_test_support::{Server, Setup};
use redis_reentrant_lock_client::{Error, LockClient};
use std::time::{Duration, Instant};

#[tokio::test]
async fn two_owners_exclude_each_other() {
    let server = Server::start();
    let lock = locks(&server).lock("orders");
    let guard = lock.try_acquire().await.unwrap().expect("free");
    assert!(lock.try_acquire().await.unwrap().is_none());
    let token = guard.token();
    guard.release().await.unwrap();
    let next = lock.try_acquire().await.unwrap().expect("free again");
    assert!(next.token() > token);
    assert!(next.is_held());
}

#[tokio::test]
async fn waiting_tasks_are_served_in_the_order_in_which_they_came() {
    let server = Server::start();
    let mut client = server.client();
    let locks = locks(&server);
    for lock in [
        locks.lock("session"),
        locks.lock("lease").lease(Duration::from_secs(30)),
    ] {
        let guard = lock.acquire().await.unwrap();
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..5 {
            let (lock, sender) = (lock.clone(), sender.clone());
            tokio::spawn(async move {
                let guard = lock.acquire().await.unwrap();
                sender.send((number, guard.token())).unwrap();
                guard.release().await.unwrap();
            });
            let probe = server.client();
            tokio::task::spawn_blocking(move || {
                let mut probe = probe;
                until_waiting(&mut probe, number + 1);
            })
            .await
            .unwrap();
        }
        guard.release().await.unwrap();
        let mut last = 0;
        for expected in 0..5 {
            let (number, token) = soon(order.recv()).await.unwrap();
            assert_eq!(number, expected);
            assert!(token > last);
            last = token;
        }
    }
    assert_eq!(client.counter("handed_over"), 10);
}

#[tokio::test]
async fn a_guard_reenters_and_the_lock_is_free_with_the_last_one() {
    let server = Server::start();
    let mut client = server.client();
    let locks = locks(&server);
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(30)),
    ] {
        let outer = lock.acquire().await.unwrap();
        let inner = outer.reenter().await.unwrap();
        assert_eq!(
            (inner.token(), inner.owner()),
            (outer.token(), outer.owner())
        );
        assert_eq!(inner.holds().await, 2);
        // In either order.
        outer.release().await.unwrap();
        assert!(inner.is_held());
        assert!(lock.try_acquire().await.unwrap().is_none());
        inner.release().await.unwrap();
        assert_eq!(client.run("LOCK.INFO a"), "nil");
    }
}

#[tokio::test]
async fn releases_that_the_server_refused_are_made_up_for_by_the_next_one() {
    let server = Server::start();
    let mut client = server.client();
    let locks = locks(&server);
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(600)),
    ] {
        let outer = lock.acquire().await.unwrap();
        let middle = outer.reenter().await.unwrap();
        let inner = outer.reenter().await.unwrap();
        let innermost = outer.reenter().await.unwrap();
        client.run("CONFIG SET min-replicas-to-write 1");
        for guard in [innermost, inner] {
            let error = guard.release().await.unwrap_err();
            assert!(error.to_string().contains("NOREPLICAS"), "{error}");
        }
        client.run("CONFIG SET min-replicas-to-write 0");
        assert_eq!(outer.holds().await, 2);
        middle.release().await.unwrap();
        assert!(outer.is_held());
        assert!(client.run("LOCK.INFO a").contains("holds 1"));
        outer.release().await.unwrap();
        assert_eq!(client.run("LOCK.INFO a"), "nil");
    }
}

#[tokio::test]
async fn the_last_release_and_a_reentry_make_up_for_a_release_that_was_refused() {
    let server = Server::start();
    let mut client = server.client();
    let locks = locks(&server);
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(600)),
    ] {
        for reenters in [false, true] {
            let outer = lock.acquire().await.unwrap();
            let inner = outer.reenter().await.unwrap();
            let innermost = outer.reenter().await.unwrap();
            client.run("CONFIG SET min-replicas-to-write 1");
            for guard in [innermost, inner] {
                guard.release().await.unwrap_err();
            }
            client.run("CONFIG SET min-replicas-to-write 0");
            if reenters {
                let inner = outer.reenter().await.unwrap();
                assert_eq!(inner.holds().await, 2);
                inner.release().await.unwrap();
            }
            outer.release().await.unwrap();
            assert_eq!(client.run("LOCK.INFO a"), "nil");
        }
    }
}

#[tokio::test]
async fn a_guard_that_is_dropped_releases_the_lock() {
    let server = Server::start();
    let locks = locks(&server);
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(600)),
    ] {
        let guard = lock.acquire().await.unwrap();
        let inner = guard.reenter().await.unwrap();
        drop(guard);
        drop(inner);
        soon(lock.acquire()).await.unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn a_wait_that_is_over_leaves_nothing_behind() {
    let server = Server::start();
    let mut client = server.client();
    let lock = locks(&server).lock("a");
    let _guard = lock.acquire().await.unwrap();
    for lock in [lock.clone(), lock.lease(Duration::from_secs(600))] {
        let start = Instant::now();
        let limit = Duration::from_millis(120);
        assert!(lock.acquire_within(limit).await.unwrap().is_none());
        assert!(start.elapsed() >= limit);
        assert!(lock.acquire_within(Duration::ZERO).await.unwrap().is_none());
        assert_eq!(client.counter("waiters"), 0);
    }
    // The last calls had no time left, and did not wait for ever.
    assert_eq!(client.counter("waits_started"), 2);
}

#[tokio::test]
async fn a_wait_that_is_cancelled_leaves_nothing_behind() {
    let server = Server::start();
    let mut client = server.client();
    let lock = locks(&server).lock("a");
    let guard = lock.acquire().await.unwrap();
    for lock in [lock.clone(), lock.lease(Duration::from_secs(600))] {
        let wait = tokio::spawn(async move { lock.acquire().await.map(drop) });
        tokio::task::spawn_blocking({
            let mut client = server.client();
            move || until_waiting(&mut client, 1)
        })
        .await
        .unwrap();
        wait.abort();
        assert!(wait.await.unwrap_err().is_cancelled());
        until_waiting(&mut client, 0);
    }
    guard.release().await.unwrap();
    until_free(&mut client, "a");
}

#[tokio::test]
async fn an_acquire_that_is_cancelled_at_any_moment_leaves_no_lock_behind() {
    let server = Server::start();
    let mut client = server.client();
    let locks = locks(&server);
    // Whatever the calls had reached: before, in, and after them.
    for micros in (0..1500).step_by(30) {
        for lock in [
            locks.lock("a"),
            locks.lock("a").lease(Duration::from_secs(600)),
        ] {
            let acquired = tokio::time::timeout(Duration::from_micros(micros), lock.acquire());
            drop(acquired.await.map(|guard| guard.unwrap()));
            tokio::task::spawn_blocking({
                let mut client = server.client();
                move || until_free(&mut client, "a")
            })
            .await
            .unwrap();
        }
    }
    assert_eq!(client.counter("waiters"), 0);
}

#[tokio::test]
async fn a_lock_that_was_waited_for_has_its_whole_lease_left() {
    let server = Server::start();
    let lease = Duration::from_millis(1200);
    let lock = locks(&server).lock("a").lease(lease);
    let other = locks(&server).lock("a").acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await.unwrap() }
    });
    // Longer than the lease.
    tokio::time::sleep(lease + Duration::from_millis(300)).await;
    other.release().await.unwrap();
    let guard = soon(waits).await.unwrap();
    let left = guard.valid_for();
    assert!(left > lease / 2 && left <= lease, "{left:?}");
}

#[tokio::test]
async fn a_wait_may_take_longer_than_any_other_call() {
    let server = Server::start();
    let locks = locks(&server).with_patience(Duration::from_millis(300));
    let guard = locks.lock("a").acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = locks.lock("a");
        async move { lock.acquire_within(Duration::from_secs(60)).await }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    guard.release().await.unwrap();
    assert!(soon(waits).await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let plain = Setup::without_module().start();
    let error = locks(&plain).lock("a").try_acquire().await.unwrap_err();
    assert!(matches!(error, Error::NoModule), "{error}");
    assert!(error.to_string().contains("loadmodule"));

    let server = Server::start();
    let mut client = server.client();
    client.run("SET text x");
    let error = locks(&server).lock("text").acquire().await.unwrap_err();
    assert!(matches!(error, Error::NotALock(_)), "{error}");

    client.run("ACL SETUSER reader on >secret ~* +lock.info +hello");
    let address = server.url().replace("redis://", "redis://reader:secret@");
    let error = LockClient::open(address)
        .unwrap()
        .lock("a")
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert!(error.to_string().contains("+lock.acquire"), "{error}");

    let short = locks(&server)
        .lock("a")
        .session_lease(Duration::from_millis(999));
    let error = short.acquire().await.unwrap_err();
    assert!(error.to_string().contains("from 1000 ms"), "{error}");
}

#[tokio::test]
async fn a_server_that_was_never_reached_is_an_error_and_no_wait_without_end() {
    let mut server = Server::start();
    server.kill();
    let locks = locks(&server).with_patience(Duration::from_millis(300));
    for limit in [None, Some(Duration::from_secs(3600))] {
        let lock = locks.lock("a");
        let error = match limit {
            None => soon(lock.acquire()).await.unwrap_err(),
            Some(limit) => soon(lock.acquire_within(limit)).await.unwrap_err(),
        };
        assert!(matches!(error, Error::Unreachable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_deadlock_is_an_error_for_the_one_who_closes_the_circle() {
    let server = Server::start();
    let locks = locks(&server);
    let first = locks.lock("a").acquire().await.unwrap();
    let second = locks.lock("b").acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = locks.lock("b").as_owner_of(&first);
        async move { lock.acquire().await }
    });
    let mut probe = server.client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    let lock = locks.lock("a").as_owner_of(&second);
    let error = soon(lock.acquire()).await.unwrap_err();
    assert!(matches!(error, Error::Deadlock(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("release the locks that are held"),
        "{error}"
    );
    second.release().await.unwrap();
    let both = soon(waits).await.unwrap().unwrap();
    assert_eq!(both.owner(), first.owner());
    first.release().await.unwrap();
    both.release().await.unwrap();
}

#[tokio::test]
async fn an_owner_that_holds_a_lock_does_not_acquire_it_a_second_time() {
    let server = Server::start();
    let locks = locks(&server);
    let guard = locks.lock("a").acquire().await.unwrap();
    let again = locks.lock("a").as_owner_of(&guard);
    let error = again.acquire().await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(error.to_string().contains("reenter"), "{error}");
    let other = locks.lock("b").as_owner_of(&guard).acquire().await.unwrap();
    let again = locks.lock("a").as_owner_of(&other);
    assert!(again.try_acquire().await.is_err());
    guard.release().await.unwrap();
    // Now it may.
    let guard = again.try_acquire().await.unwrap().unwrap();
    assert_eq!(guard.owner(), other.owner());
}

#[tokio::test]
async fn an_operator_can_end_a_wait() {
    let server = Server::start();
    let mut client = server.client();
    let lock = locks(&server).lock("a");
    let _guard = lock.acquire().await.unwrap();
    for how in ["TIMEOUT", "ERROR"] {
        let waits = tokio::spawn({
            let lock = lock.clone();
            async move { lock.acquire().await }
        });
        let mut probe = server.client();
        tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
            .await
            .unwrap();
        let list = client.run("CLIENT LIST");
        let line = list.lines().find(|line| line.contains("flags=b")).unwrap();
        let id = line.split("id=").nth(1).unwrap().split(' ').next().unwrap();
        client.run(&format!("CLIENT UNBLOCK {id} {how}"));
        let error = soon(waits).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Unblocked), "{how}: {error}");
    }
}

#[tokio::test]
async fn a_session_lock_that_is_held_for_a_moment_costs_two_calls() {
    let server = Server::start();
    let mut client = server.client();
    let lock = locks(&server).lock("a");
    // The module asks for settings as well, when it is loaded and when it has something to do.
    lock.acquire().await.unwrap().release().await.unwrap();
    let asked = client.calls("config|get");
    for _ in 0..9 {
        lock.acquire().await.unwrap().release().await.unwrap();
    }
    assert_eq!(client.calls("lock.acquire"), 10);
    assert_eq!(client.calls("lock.release"), 10);
    assert_eq!(client.calls("lock.renew"), 0);
    assert_eq!(client.calls("config|get"), asked);
    // One connection for all of them, and this one.
    let connections = client.info("stats", "total_connections_received").unwrap();
    assert!(connections.parse::<u32>().unwrap() <= 4, "{connections}");
}

#[tokio::test]
async fn the_connections_of_released_sessions_are_used_again_however_many() {
    let server = Server::start();
    let (locks, mut probe) = (locks(&server), server.client());
    let mut received = Vec::new();
    for _ in 0..2 {
        let mut guards = Vec::new();
        for i in 0..40 {
            let guard = locks.lock(format!("a:{i}")).acquire().await.unwrap();
            guards.push(guard);
        }
        for guard in guards {
            guard.release().await.unwrap();
        }
        let count = probe.info("stats", "total_connections_received");
        received.push(count.unwrap().parse::<u64>().unwrap());
    }
    assert_eq!(received[1], received[0]);
}
