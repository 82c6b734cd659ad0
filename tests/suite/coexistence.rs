//! Locks beside everything else that a server does: databases, protocols, and commands of its own
//! that move, copy and delete keys.

use crate::support::{eventually, show, Server};
use redis::Value;

#[test]
fn a_pipeline_gets_each_reply_in_its_place() {
    let server = Server::start();
    let mut client = server.client();
    let lines = [
        "LOCK.ACQUIRE orders me 5000",
        "LOCK.RELEASE orders you",
        "PING",
        "LOCK.RELEASE orders me",
        "LOCK.INFO orders",
        "LOCK.ACQUIRE orders",
        "LOCK.FORCERELEASE orders",
    ];
    let replies = client.at_once(&lines);
    assert!(replies[0].starts_with("[1 1 "), "{}", replies[0]);
    let rest = [
        "NOTOWNER the lock is held by another owner",
        "PONG",
        "0",
        "nil",
        "ERR wrong number of arguments for 'lock.acquire' command",
        "0",
    ];
    assert_eq!(replies[1..], rest);
}

#[test]
fn a_long_pipeline_counts_every_hold() {
    let server = Server::start();
    let mut client = server.client();
    let up = vec!["LOCK.ACQUIRE orders me 60000".to_owned(); 1000];
    for (at, reply) in client.at_once(&up).iter().enumerate() {
        assert!(reply.starts_with(&format!("[1 {} ", at + 1)), "{reply}");
    }
    let down = vec!["LOCK.RELEASE orders me".to_owned(); 1000];
    for (at, reply) in client.at_once(&down).iter().enumerate() {
        assert_eq!(*reply, (999 - at).to_string());
    }
}

#[test]
fn a_client_without_replies_stays_in_step() {
    let server = Server::start();
    let mut client = server.client();
    client.forget("CLIENT REPLY OFF");
    client.forget("LOCK.ACQUIRE orders me 60000");
    client.forget("LOCK.ACQUIRE orders me 60000");
    client.forget("LOCK.RELEASE orders you");
    client.forget("LOCK.ACQUIRE orders");
    client.forget("LOCK.INFO orders");
    client.forget("LOCK.ASSERT orders me");
    client.forget("LOCK.RENEW orders me");
    client.forget("LOCK.RELEASE orders me");
    client.forget("LOCK.ACQUIRE freed me");
    client.forget("LOCK.FORCERELEASE freed");
    assert_eq!(client.run("CLIENT REPLY ON"), "OK");
    assert!(client.holder("orders").starts_with("me 1 "));
    assert_eq!(client.run("LOCK.INFO freed"), "nil");
    client.forget("CLIENT REPLY SKIP");
    client.forget("LOCK.RELEASE orders me");
    assert_eq!(client.run("PING"), "PONG");
    assert_eq!(client.int("EXISTS orders"), 0);
}

#[test]
fn info_of_a_lock_is_a_list_in_resp2_and_a_map_in_resp3() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    client.run("LOCK.ACQUIRE orders me");
    let list = format!("[owner me holds 2 token {token} ttl ");
    let Value::Array(parts) = client.ask("LOCK.INFO orders") else {
        panic!("not a list")
    };
    let pairs = parts.len() / 2;
    assert!(client.run("LOCK.INFO orders").starts_with(&list));

    let mut client = server.client3();
    let told = client.run("LOCK.INFO orders");
    let map = format!("{{owner: me, holds: 2, token: {token}, ttl: ");
    assert!(told.starts_with(&map), "{told}");
    assert!(matches!(client.ask("LOCK.INFO orders"), Value::Map(map) if map.len() == pairs));
    assert_eq!(client.ask("LOCK.INFO free"), Value::Nil);
}

#[test]
fn replies_besides_info_are_the_same_in_both_protocols() {
    let server = Server::start();
    for mut client in [server.client(), server.client3()] {
        let grant = client.ask("LOCK.ACQUIRE orders me 5000");
        assert!(
            matches!(&grant, Value::Array(parts) if matches!(parts[..],
                [Value::Int(1), Value::Int(1), Value::Int(_), Value::Int(5000)])),
            "{grant:?}"
        );
        assert_eq!(client.ask("LOCK.ASSERT orders me"), Value::Okay);
        assert!(
            matches!(client.ask("LOCK.RENEW orders me"), Value::Array(parts) if parts.len() == 4)
        );
        assert_eq!(client.ask("LOCK.RELEASE orders me"), Value::Int(0));
        assert_eq!(client.ask("LOCK.FORCERELEASE orders"), Value::Int(0));
    }
}

#[test]
fn one_name_in_two_databases_is_two_locks() {
    let server = Server::start();
    let (mut zero, mut five) = (server.client(), server.client());
    five.run("SELECT 5");
    let [.., first, _] = zero.grant("LOCK.ACQUIRE orders me");
    let [acquired, _, second, _] = five.grant("LOCK.ACQUIRE orders you");
    assert_eq!(acquired, 1);
    assert!(second > first, "tokens grow over databases");
    assert_eq!(zero.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(zero.holder("orders"), "free");
    assert_eq!(five.holder("orders"), format!("you 1 {second}"));
    assert_eq!(five.int("LOCK.FORCERELEASE orders"), 1);
}

#[test]
fn a_lock_that_is_moved_to_another_database_is_held_there() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(client.int("MOVE orders 5"), 1);
    assert_eq!(client.holder("orders"), "free");
    client.run("SELECT 5");
    assert_eq!(client.holder("orders"), format!("me 1 {token}"));
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 0);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
}

#[test]
fn swapped_databases_take_their_locks_along() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    assert_eq!(client.run("SWAPDB 0 5"), "OK");
    assert_eq!(client.holder("orders"), "free");
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 1);
    assert_eq!(client.run("SWAPDB 0 5"), "OK");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn a_renamed_lock_is_held_under_its_new_name() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    client.run("LOCK.ACQUIRE invoices you 60000");
    let stored = client.stored("orders");
    assert_eq!(client.run("RENAME orders invoices"), "OK");
    assert_eq!(client.stored("invoices"), stored);
    assert_eq!(client.holder("orders"), "free");
    assert_eq!(client.holder("invoices"), format!("me 1 {token}"));
    assert_eq!(
        client.run("LOCK.RELEASE invoices you"),
        "NOTOWNER the lock is held by another owner"
    );
    assert_eq!(client.grant("LOCK.ACQUIRE invoices me")[1..3], [2, token]);
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 1);
}

#[test]
fn a_copied_lock_is_a_lock_of_its_own() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(client.int("COPY orders spare"), 1);
    assert_eq!(client.stored("spare"), client.stored("orders"));
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(client.holder("spare"), format!("me 1 {token}"));
    assert_eq!(client.grant("LOCK.ACQUIRE spare you")[0], 0);
    assert_eq!(client.int("LOCK.RELEASE spare me"), 0);
    assert_eq!(client.int("EXISTS orders spare"), 0);
}

#[test]
fn a_deletion_by_anyone_frees_a_lock() {
    for line in [
        "DEL orders",
        "UNLINK orders",
        "FLUSHDB",
        "FLUSHALL",
        "FLUSHALL ASYNC",
        "PEXPIREAT orders 1",
        "HDEL orders me mode",
    ] {
        let server = Server::start();
        let mut client = server.client();
        let [.., first, _] = client.grant("LOCK.ACQUIRE orders me");
        client.run(line);
        assert_eq!(
            client.run("LOCK.RELEASE orders me"),
            "NOTOWNER the lock is free",
            "{line}"
        );
        let [acquired, _, second, _] = client.grant("LOCK.ACQUIRE orders you");
        assert_eq!(acquired, 1, "{line}");
        assert!(second > first, "{line}: {second} after {first}");
    }
}

#[test]
fn an_expiry_set_by_anyone_is_the_lease() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 1000");
    client.run("PEXPIRE orders 500000");
    let ttl = client.grant("LOCK.ACQUIRE orders you")[3];
    assert!((400_000..=500_000).contains(&ttl), "{ttl}");
    client.run("PEXPIRE orders 1");
    eventually("the lease ends", || {
        client.grant("LOCK.ACQUIRE orders you")[0] == 1
    });
}

#[test]
fn a_lock_without_an_expiry_is_refused_until_it_has_one() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    client.run("PERSIST orders");
    for line in [
        "LOCK.ASSERT orders me",
        "LOCK.RELEASE orders me",
        "LOCK.INFO orders",
    ] {
        let refused = client.run(line);
        assert!(refused.starts_with("WRONGTYPE "), "{line}: {refused}");
    }
    client.run("PEXPIRE orders 60000");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn while_writes_are_paused_a_lock_can_be_read_and_an_acquire_waits() {
    let server = Server::start();
    let (mut client, mut operator) = (server.client(), server.client());
    operator.run("LOCK.ACQUIRE orders me");
    assert_eq!(operator.run("CLIENT PAUSE 600000 WRITE"), "OK");
    client.forget("LOCK.ACQUIRE invoices you");
    assert_eq!(operator.run("LOCK.ASSERT orders me"), "OK");
    assert!(operator.holder("orders").starts_with("me 1 "));
    eventually("the acquire is held back", || {
        operator.info("clients", "blocked_clients").unwrap() == "1"
    });
    assert_eq!(operator.holder("invoices"), "free");
    operator.run("CLIENT UNPAUSE");
    let reply = show(&client.raw.recv_response().unwrap());
    assert!(reply.starts_with("[1 1 "), "{reply}");
}
