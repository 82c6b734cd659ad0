//! Leases and fencing tokens: what happens when time runs out, and that tokens only grow.

use crate::support::{eventually, Client, Server, Setup, Waiter};

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
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "-1");
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
            acquired == 1 || (1..=201).contains(&ttl),
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
fn a_lease_never_ends_before_its_ttl_has_gone_and_no_holder_is_told_more() {
    let server = Server::start();
    let mut client = server.client();
    let micros = |client: &mut Client| -> i64 {
        let (s, us): (i64, i64) = redis::from_redis_value(client.ask("TIME")).unwrap();
        s * 1_000_000 + us
    };
    for round in 0..300 {
        for line in ["LOCK.ACQUIRE orders me 60000", "LOCK.RENEW orders me 50000"] {
            let ttl = if line.contains("ACQUIRE") {
                60_000
            } else {
                50_000
            };
            let before = micros(&mut client);
            assert_eq!(client.grant(line)[3], ttl);
            let end = client.deadline("orders").unwrap() * 1000;
            let lasts = end - before - ttl * 1000;
            assert!(lasts >= 0, "{line} in round {round}: {lasts} us");
        }
        assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    }
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

/// An hour, a day, in microseconds.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Whoever may write to a lock can give it any token, and any other lock's next token has to follow
/// from those that are credible.
fn plant(client: &mut Client, lock: &str, token: i64) {
    client.run(&format!("DEL {lock}"));
    client.run(&format!("HSET {lock} me 1 mode fenced:{token}"));
    client.run(&format!("PEXPIRE {lock} 600000"));
}

/// A token so far ahead of the server's clock.
fn ahead(client: &mut Client, by: i64) -> i64 {
    client.clock() * 1000 + by
}

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
        let far = ahead(&mut client, HOUR);
        plant(&mut client, "orders", far);
        let redis::Value::BulkString(dump) = client.ask("DUMP orders") else {
            panic!("no dump")
        };
        client.run("DEL orders");
        assert!(client.grant("LOCK.ACQUIRE before me")[2] < far);
        assert_eq!(client.say(&[b"RESTORE", b"orders", b"60000", &dump]), "OK");
        client.run(look);
        assert_eq!(
            client.grant("LOCK.ACQUIRE after me")[2],
            far + 1,
            "after {look}"
        );
    }
}

/// Every command that reads a lock.
const LOOKS: [&str; 7] = [
    "LOCK.INFO orders",
    "LOCK.ASSERT orders me",
    "LOCK.ACQUIRE orders me",
    "LOCK.ACQUIRE orders you",
    "LOCK.RENEW orders me",
    "LOCK.RELEASE orders me",
    "LOCK.RELEASE orders you HOLDS 0",
];

/// Checks that the next tokens are as near the clock as ever.
fn assert_not_moved(client: &mut Client, why: &str) {
    let [acquired, _, token, _] = client.grant("LOCK.ACQUIRE stock me 600000");
    assert_eq!(acquired, 1, "{why}");
    assert!(token < ahead(client, HOUR), "{why}: {token}");
    assert_eq!(client.int("LOCK.RELEASE stock me"), 0);
}

#[test]
fn the_largest_token_planted_in_one_lock_leaves_some_for_all_others() {
    let server = Server::start();
    let mut client = server.client();
    let two_days = ahead(&mut client, 2 * DAY + HOUR);
    for far in [9_007_199_254_740_990, two_days] {
        for look in LOOKS {
            plant(&mut client, "orders", far);
            let reply = client.run(look);
            assert_eq!(
                reply, "WRONGTYPE the key holds something that is not a lock",
                "{look}"
            );
            let stored = format!("[me 1 mode fenced:{far}]");
            assert_eq!(client.run("HGETALL orders"), stored, "{look}");
            assert_not_moved(&mut client, look);
        }
        assert_eq!(client.int("LOCK.FORCERELEASE orders"), 1);
        assert_eq!(client.int("EXISTS orders"), 0);
        assert_eq!(client.int("LOCK.FORCERELEASE orders"), 0);
        assert_not_moved(&mut client, "freed");
        let [acquired, _, token, _] = client.grant("LOCK.ACQUIRE orders me");
        assert_eq!(acquired, 1);
        assert!(token < far);
    }
}

#[test]
fn a_token_of_the_day_after_tomorrow_is_a_lock_and_moves_no_others() {
    let server = Server::start();
    let mut client = server.client();
    for look in LOOKS {
        let far = ahead(&mut client, DAY + HOUR);
        plant(&mut client, "orders", far);
        assert_eq!(client.holder("orders"), format!("me 1 {far}"));
        let reply = client.run(look);
        assert!(!reply.starts_with("WRONGTYPE"), "{look}: {reply}");
        assert_not_moved(&mut client, look);
    }
}

#[test]
fn those_who_wait_get_a_lock_whose_planted_token_an_operator_gets_rid_of() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders you 600000 WAIT 0");
    client.run("HSET orders mode fenced:9007199254740990");
    assert!(client
        .run("LOCK.RELEASE orders me")
        .starts_with("WRONGTYPE "));
    assert_eq!(client.int("LOCK.FORCERELEASE orders"), 1);
    let [acquired, _, token, _] = next.grant();
    assert_eq!(acquired, 1);
    assert!(token < ahead(&mut client, HOUR));
    assert_eq!(client.holder("orders"), format!("you 1 {token}"));
}

#[test]
fn a_replica_reads_its_masters_tokens_by_the_same_rules_and_is_promoted_unharmed() {
    let master = Server::start();
    let replica = master.replica(Setup::new());
    let (mut there, mut here) = (master.client(), replica.client());
    let largest = 9_007_199_254_740_990;
    let far = ahead(&mut there, DAY + HOUR);
    plant(&mut there, "planted", largest);
    plant(&mut there, "far", far);
    let hour = ahead(&mut there, HOUR);
    plant(&mut there, "near", hour);
    there.run("LOCK.INFO near");
    let [.., issued, _] = there.grant("LOCK.ACQUIRE orders me 600000");
    assert_eq!(issued, hour + 1);
    master.wait_for_replica(&replica);
    assert!(here.run("LOCK.INFO planted").starts_with("WRONGTYPE "));
    assert_eq!(here.holder("far"), format!("me 1 {far}"));
    assert_eq!(here.holder("orders"), format!("me 1 {issued}"));
    assert_eq!(here.run("REPLICAOF NO ONE"), "OK");
    let [.., next, _] = here.grant("LOCK.ACQUIRE stock me 600000");
    assert_eq!(next, issued + 1);
    assert_eq!(here.int("LOCK.FORCERELEASE planted"), 1);
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
