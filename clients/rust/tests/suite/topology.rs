//! Sentinel, Cluster, failover.

use crate::{soon, until_waiting};
use lock_test_support::{Client, Sentinels, Server, Setup, eventually, three_masters};
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis_reentrant_lock_client::{LockClient, Loss};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn locks_in_a_cluster_are_on_the_node_of_their_slot() {
    let nodes = three_masters(&Setup::new());
    // One node is known.
    let locks = LockClient::with_cluster([nodes[0].url()]).unwrap();
    for number in 0..12 {
        let lock = locks.lock(format!("lock:{number}"));
        let lock = match number % 2 {
            0 => lock,
            _ => lock.lease(Duration::from_secs(30)),
        };
        let guard = soon(lock.acquire()).await.unwrap();
        let inner = guard.reenter().await.unwrap();
        assert!(lock.try_acquire().await.unwrap().is_none());
        let waits = tokio::spawn(async move { lock.acquire().await });
        let mut clients: Vec<_> = nodes.iter().map(Server::client).collect();
        tokio::task::spawn_blocking(move || {
            let mut waiting = || {
                clients
                    .iter_mut()
                    .map(|c| c.counter("waiters"))
                    .sum::<u64>()
            };
            eventually("it waits", || waiting() == 1);
        })
        .await
        .unwrap();
        inner.release().await.unwrap();
        guard.release().await.unwrap();
        soon(waits).await.unwrap().unwrap().release().await.unwrap();
    }
    let acquired = nodes.iter().map(|node| node.client().counter("acquired"));
    assert!(
        acquired.into_iter().all(|count| count > 0),
        "all nodes have locks"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_follows_its_slot_to_another_node() {
    let nodes = three_masters(&Setup::new());
    let locks = LockClient::with_cluster([nodes[0].url()]).unwrap();
    let mut clients: Vec<_> = nodes.iter().map(Server::client).collect();
    let ids: Vec<String> = clients.iter_mut().map(|c| c.run("CLUSTER MYID")).collect();
    let slot = clients[0].int("CLUSTER KEYSLOT a");
    let from = clients
        .iter_mut()
        .position(|c| !c.run("LOCK.INFO a").starts_with("MOVED"));
    let from = from.unwrap();
    let to = (from + 1) % 3;
    let lease = Duration::from_secs(600);
    let guard = locks.lock("a").lease(lease).acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = locks.lock("a");
        async move { lock.acquire().await }
    });
    let mut probe = nodes[from].client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    // The key is moved with its slot, as a resharding does it.
    clients[to].run(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[from]));
    clients[from].run(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[to]));
    let port = nodes[to].port();
    let moved = clients[from].run(&format!("MIGRATE 127.0.0.1 {port} a 0 5000"));
    assert_eq!(moved, "OK");
    for node in [to, from, 3 - from - to] {
        clients[node].run(&format!("CLUSTER SETSLOT {slot} NODE {}", ids[to]));
    }
    let mut probe = nodes[to].client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    guard.release().await.unwrap();
    soon(waits).await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_sentinel_names_the_new_master() {
    // Not on another thread: servers end with the thread that started them.
    let mut master = Server::start();
    let replica = master.replica(Setup::new());
    let sentinels = Sentinels::start(&master, 1, 1500);
    let kind = SentinelServerType::Master;
    let client = SentinelClient::build(sentinels.urls(), sentinels.name(), None, kind).unwrap();
    let locks = LockClient::with_sentinel(client);
    let guard = soon(locks.lock("a").acquire()).await.unwrap();
    let waits = tokio::spawn({
        let lock = locks.lock("a");
        async move { lock.acquire().await }
    });
    let mut probe = master.client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    let token = guard.token();
    master.kill();
    assert_eq!(soon(guard.lost()).await, Loss::Disconnected);
    // The new master has the hold that was replicated, which nobody renews: it ends with its lease of 30 s.
    let next = tokio::time::timeout(Duration::from_secs(90), waits).await;
    let next = next.unwrap().unwrap().unwrap();
    assert!(next.token() > token);
    assert_eq!(sentinels.master(), replica.port());
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquire_that_is_cancelled_leaves_no_lock_behind_wherever_its_slot_is() {
    let nodes = three_masters(&Setup::new());
    let mut clients: Vec<_> = nodes.iter().map(Server::client).collect();
    for number in 0..30 {
        // It knows one node, which serves a third of the slots.
        let locks = LockClient::with_cluster([nodes[0].url()]).unwrap();
        let name = format!("lock:{number}");
        let lock = locks.lock(name.as_str()).lease(Duration::from_secs(600));
        let limit = Duration::from_micros(200 * number);
        let acquired = tokio::time::timeout(limit, lock.acquire()).await;
        drop(acquired.map(|guard| guard.unwrap()));
        eventually("it is free", || {
            let held = |client: &mut Client| client.run(&format!("LOCK.INFO {name}"));
            clients.iter_mut().any(|client| held(client) == "nil")
        });
    }
}
