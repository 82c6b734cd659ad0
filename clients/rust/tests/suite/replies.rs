//! Replies that are lost on the way: each call counts once.

use crate::{soon, until_free};
use lock_test_support::{Proxy, Server};
use redis_reentrant_lock_client::{Error, LockClient, Loss};
use std::time::Duration;

fn start() -> (Server, Proxy, LockClient) {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let locks = LockClient::open(proxy.url()).unwrap();
    (server, proxy, locks)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquire_whose_reply_was_lost_counts_once() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(30)),
    ] {
        proxy.lose_reply("LOCK.ACQUIRE");
        let guard = soon(lock.try_acquire()).await.unwrap().expect("free");
        proxy.until_lost();
        assert!(
            client.run("LOCK.INFO a").contains("holds 1"),
            "{}",
            client.run("LOCK.INFO a")
        );
        guard.release().await.unwrap();
        assert_eq!(client.run("LOCK.INFO a"), "nil");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_whose_reply_was_lost_goes_on_and_counts_once() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(30)),
    ] {
        client.run("LOCK.ACQUIRE a other 60000");
        proxy.lose_reply("WAIT");
        let waits = tokio::spawn(async move { lock.acquire().await });
        tokio::task::spawn_blocking({
            let mut client = server.client();
            move || crate::until_waiting(&mut client, 1)
        })
        .await
        .unwrap();
        client.run("LOCK.RELEASE a other");
        let guard = soon(waits).await.unwrap().unwrap();
        assert!(client.run("LOCK.INFO a").contains("holds 1"));
        guard.release().await.unwrap();
        until_free(&mut client, "a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reentry_whose_reply_was_lost_counts_once() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    let outer = locks
        .lock("a")
        .lease(Duration::from_secs(30))
        .acquire()
        .await
        .unwrap();
    proxy.lose_reply("LOCK.ACQUIRE");
    let inner = soon(outer.reenter()).await.unwrap();
    proxy.until_lost();
    assert!(client.run("LOCK.INFO a").contains("holds 2"));
    inner.release().await.unwrap();
    outer.release().await.unwrap();
    assert_eq!(client.run("LOCK.INFO a"), "nil");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reentry_that_was_cancelled_is_released_with_the_next_guard() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(600)),
    ] {
        for others in [0, 1] {
            let outer = lock.acquire().await.unwrap();
            let mut inner = Vec::new();
            for _ in 0..others {
                inner.push(outer.reenter().await.unwrap());
            }
            let held_back = proxy.hold_back("LOCK.ACQUIRE");
            let sent = tokio::task::spawn_blocking(move || {
                held_back.until_here();
                held_back
            });
            let held_back = tokio::select! {
                reentry = outer.reenter() => panic!("{reentry:?}"),
                held_back = sent => held_back.unwrap(),
            };
            held_back.let_go();
            assert_eq!(outer.holds().await, 1 + others);
            for guard in inner {
                guard.release().await.unwrap();
                assert!(client.run("LOCK.INFO a").contains("holds 1"));
            }
            assert!(outer.is_held());
            outer.release().await.unwrap();
            assert_eq!(client.run("LOCK.INFO a"), "nil");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_a_release_that_makes_up_for_a_refused_one_is_no_loss() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(600)),
    ] {
        for left in [1, 0] {
            let outer = lock.acquire().await.unwrap();
            let inner = outer.reenter().await.unwrap();
            client.run("CONFIG SET min-replicas-to-write 1");
            inner.release().await.unwrap_err();
            client.run("CONFIG SET min-replicas-to-write 0");
            proxy.lose_reply(&format!("HOLDS\r\n$1\r\n{left}"));
            soon(outer.release()).await.unwrap();
            proxy.until_lost();
            assert_eq!(client.run("LOCK.INFO a"), "nil");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_reply_was_lost_is_no_loss() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(30)),
    ] {
        let guard = lock.acquire().await.unwrap();
        proxy.lose_reply("LOCK.RELEASE");
        soon(guard.release()).await.unwrap();
        proxy.until_lost();
        assert_eq!(client.run("LOCK.INFO a"), "nil");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_a_lock_that_was_lost_says_so() {
    let (server, _proxy, locks) = start();
    let mut client = server.client();
    client.run("CONFIG SET lock.session-loss ignore");
    for lock in [
        locks.lock("a"),
        locks.lock("a").lease(Duration::from_secs(30)),
    ] {
        let guard = lock.acquire().await.unwrap();
        client.run("LOCK.FORCERELEASE a");
        let error = guard.release().await.unwrap_err();
        assert!(matches!(error, Error::Lost(Loss::Taken)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_reply_was_lost_is_made_again() {
    let (_server, proxy, locks) = start();
    let guard = locks
        .lock("a")
        .lease(Duration::from_secs(30))
        .acquire()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = guard.valid_for();
    proxy.lose_reply("LOCK.RENEW");
    soon(guard.renew()).await.unwrap();
    proxy.until_lost();
    assert!(guard.valid_for() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_of_an_acquire_that_is_given_up_leaves_no_lock_behind() {
    let (server, proxy, locks) = start();
    let mut client = server.client();
    let locks = locks.with_patience(Duration::from_millis(200));
    let lock = locks.lock("a").lease(Duration::from_secs(600));
    lock.acquire().await.unwrap().release().await.unwrap();
    // The call arrives; its reply does not come in time, and the caller goes away.
    proxy.lose_reply("LOCK.ACQUIRE");
    let acquired = tokio::time::timeout(Duration::from_millis(20), lock.acquire()).await;
    drop(acquired.map(|guard| guard.unwrap()));
    tokio::task::spawn_blocking(move || until_free(&mut client, "a"))
        .await
        .unwrap();
}
