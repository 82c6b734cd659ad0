//! Leases and fencing tokens: what happens when time runs out, and that tokens only grow.

use crate::support::{eventually, Client, Server, Setup};

/// Waits until nobody holds the lock, without asking the module.
fn wait_for_lapse(client: &mut Client, lock: &str) {
    eventually("the lease ends", || client.int(&format!("PTTL {lock}")) < 0);
}

#[test]
fn a_lapsed_lock_is_free_for_the_next_and_its_old_owner_is_told_so() {
    let server = Server::start();
    let mut client = server.client();
    let [.., old, _] = client.grant("LOCK.ACQUIRE orders me 20");
    wait_for_lapse(&mut client, "orders");
    for line in [
        "LOCK.ASSERT orders me",
        "LOCK.RENEW orders me",
        "LOCK.RELEASE orders me",
    ] {
        assert_eq!(client.run(line), "NOTOWNER the lock is free");
    }
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "0");
    assert_eq!(client.run("LOCK.INFO orders"), "nil");
    let [acquired, holds, new, _] = client.grant("LOCK.ACQUIRE orders you");
    assert_eq!([acquired, holds], [1, 1]);
    assert!(new > old);
    assert_eq!(
        client.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is held by another owner"
    );
}

#[test]
fn a_lapsed_lock_is_taken_at_once_even_where_the_server_expires_nothing_by_itself() {
    let server = Server::start();
    let mut client = server.client();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.grant("LOCK.ACQUIRE orders me 200");
    // From the busy answer we know when it ends; the one who asks next after that gets it.
    let mut grants = 0;
    eventually("the lock is taken over", || {
        let [acquired, _, _, ttl] = client.grant("LOCK.ACQUIRE orders you 60000");
        assert!(
            acquired == 1 || (1..=200).contains(&ttl),
            "busy with {ttl} ms left"
        );
        grants += acquired;
        acquired == 1
    });
    assert_eq!(grants, 1);
    assert!(client
        .run("HGETALL orders")
        .starts_with("[you 1 mode fenced:"));
    assert!(client.int("PTTL orders") > 50_000);
}

#[test]
fn a_lease_that_ends_while_a_script_runs_ends_for_the_script_too() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 50");
    // The server's own idea of the time stands still in a script: the key is there to the end.
    let script =
        "repeat local t = redis.call('LOCK.ACQUIRE', KEYS[1], 'you', '60000') until t[1] == 1 \
                  return redis.call('HGETALL', KEYS[1])";
    let reply = client.say(&[b"EVAL", script.as_bytes(), b"1", b"orders"]);
    assert!(reply.starts_with("[you 1 mode fenced:"), "{reply}");
    assert!(client.int("PTTL orders") > 50_000);
}

#[test]
fn tokens_grow_over_owners_locks_databases_and_flushes() {
    let server = Server::start();
    let mut client = server.client();
    let mut last = 0;
    for round in 0..50 {
        for (lock, owner) in [("orders", "me"), ("orders", "you"), ("stock", "me")] {
            client.run(&format!("SELECT {}", round % 3));
            let [.., token, _] = client.grant(&format!("LOCK.ACQUIRE {lock} {owner}"));
            assert!(token > last, "{token} after {last}");
            last = token;
            client.run(&format!("LOCK.RELEASE {lock} {owner}"));
        }
        client.run("FLUSHALL");
    }
}

#[test]
fn tokens_grow_over_a_restart_with_and_without_the_data() {
    let mut server = Setup::new().config("appendonly yes").start();
    let mut client = server.client();
    let [.., before, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    server.restart();
    let mut client = server.client();
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 60000")[2], before);
    let [.., after, _] = client.grant("LOCK.ACQUIRE stock me 60000");
    assert!(after > before);
    server.kill();
    let fresh = Server::start();
    assert!(fresh.client().grant("LOCK.ACQUIRE orders me")[2] > after);
}

/// A token of a century from now, which only a planted lock or a wild clock can carry.
const FAR: i64 = 5_000_000_000_000_000;

#[test]
fn tokens_grow_past_that_of_a_lock_which_was_restored() {
    for look in [
        "LOCK.INFO orders",
        "LOCK.ASSERT orders me",
        "LOCK.ACQUIRE orders me",
        "LOCK.ACQUIRE orders you",
        "LOCK.RELEASE orders me",
        "LOCK.RENEW orders me",
        "LOCK.FORCERELEASE orders",
    ] {
        let server = Server::start();
        let mut client = server.client();
        client.run(&format!("HSET orders me 1 mode fenced:{FAR}"));
        client.run("PEXPIRE orders 60000");
        let redis::Value::BulkString(dump) = client.ask("DUMP orders") else {
            panic!("no dump")
        };
        client.run("DEL orders");
        assert!(client.grant("LOCK.ACQUIRE before me")[2] < FAR);
        assert_eq!(client.say(&[b"RESTORE", b"orders", b"60000", &dump]), "OK");
        client.run(look);
        assert_eq!(
            client.grant("LOCK.ACQUIRE after me")[2],
            FAR + 1,
            "after {look}"
        );
    }
}

#[test]
fn a_planted_token_out_of_range_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    for token in [
        "0",
        "-5",
        "9007199254740991",
        "99999999999999999999",
        "x",
        "1.5",
        "007",
    ] {
        client.run(&format!("HSET orders me 1 mode fenced:{token}"));
        client.run("PEXPIRE orders 60000");
        for line in [
            "LOCK.ACQUIRE orders me",
            "LOCK.ACQUIRE orders you",
            "LOCK.RELEASE orders me",
            "LOCK.RENEW orders me",
            "LOCK.ASSERT orders me",
            "LOCK.INFO orders",
            "LOCK.FORCERELEASE orders",
        ] {
            let reply = client.run(line);
            assert_eq!(
                reply, "WRONGTYPE the key holds something that is not a lock",
                "{line}"
            );
        }
        assert_eq!(
            client.run("HGETALL orders"),
            format!("[me 1 mode fenced:{token}]")
        );
    }
}

#[test]
fn the_largest_token_is_the_last_and_none_wraps() {
    let server = Server::start();
    let mut client = server.client();
    client.run("HSET orders me 1 mode fenced:9007199254740990");
    client.run("PEXPIRE orders 60000");
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me")[1..3],
        [2, 9_007_199_254_740_990]
    );
    let spent =
        "ERR no fencing token is left: a lock on this server carries the largest possible token";
    assert_eq!(client.run("LOCK.ACQUIRE stock me"), spent);
    assert_eq!(client.int("EXISTS stock"), 0);
    // Holds that have their token go on.
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 1"), "1");
    assert_eq!(client.grant("LOCK.RENEW orders me 500")[0], 1);
}
