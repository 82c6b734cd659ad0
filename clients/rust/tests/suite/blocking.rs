//! The same for threads.

use crate::{until_free, until_waiting};
use lock_test_support::{Proxy, Server};
use redis_reentrant_lock_client::blocking::LockClient;
use redis_reentrant_lock_client::{Error, Loss};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn threads_exclude_each_other_and_wait_in_order() {
    let server = Server::start();
    let lock = LockClient::open(server.url()).unwrap().lock("a");
    let guard = lock.acquire().unwrap();
    assert!(lock.try_acquire().unwrap().is_none());
    assert!(
        lock.acquire_within(Duration::from_millis(20))
            .unwrap()
            .is_none()
    );
    let (sender, order) = channel();
    let mut client = server.client();
    for number in 0..3 {
        let (lock, sender) = (lock.clone(), sender.clone());
        thread::spawn(move || {
            let guard = lock.acquire().unwrap();
            sender.send(number).unwrap();
            guard.release().unwrap();
        });
        until_waiting(&mut client, number + 1);
    }
    guard.release().unwrap();
    let order: Vec<u64> = order.iter().take(3).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn the_lock_is_free_when_the_scope_ends() {
    let server = Server::start();
    let mut client = server.client();
    let lock = LockClient::open(server.url()).unwrap().lock("a");
    {
        let outer = lock.acquire().unwrap();
        let inner = outer.reenter().unwrap();
        assert_eq!(inner.token(), outer.token());
        drop(inner);
        assert!(outer.is_held() && !outer.valid_for().is_zero());
    }
    assert_eq!(client.run("LOCK.INFO a"), "nil");
    // Also where a panic ends it.
    let panicked = thread::spawn(move || {
        let _guard = lock.lease(Duration::from_secs(600)).acquire().unwrap();
        panic!("as intended");
    });
    assert!(panicked.join().is_err());
    assert_eq!(client.run("LOCK.INFO a"), "nil");
}

#[test]
fn a_callback_tells_of_the_loss() {
    let server = Server::start();
    let guard = LockClient::open(server.url())
        .unwrap()
        .lock("a")
        .acquire()
        .unwrap();
    let (sender, losses) = channel();
    guard.on_lost(move |loss| sender.send(loss).unwrap());
    server.client().run("LOCK.FORCERELEASE a");
    let loss = losses.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(loss, Loss::Disconnected);
    assert!(matches!(
        guard.release(),
        Err(Error::Lost(Loss::Disconnected))
    ));
}

#[test]
fn a_release_whose_reply_was_lost_is_no_loss() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let lock = LockClient::open(proxy.url()).unwrap().lock("a");
    let lock = lock.lease(Duration::from_secs(30)).renewed();
    let guard = lock.acquire().unwrap();
    guard.renew().unwrap();
    proxy.lose_reply("LOCK.RELEASE");
    guard.release().unwrap();
    proxy.until_lost();
    until_free(&mut server.client(), "a");
}

#[tokio::test]
async fn a_blocking_call_works_within_an_async_function() {
    let server = Server::start();
    let lock = LockClient::open(server.url()).unwrap().lock("a");
    lock.acquire().unwrap().release().unwrap();
}
