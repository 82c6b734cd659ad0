//! One lock for both: clients that send Redisson's scripts, and clients that send LOCK.*.
//!
//! The scripts here do what those of Redisson's `RLock` do on the wire, in other words.

use crate::support::{eventually, Client, Journal, Listener, Server};

const CHANNEL: &str = "redisson_lock__channel:{orders}";

/// Takes or reenters a lock: nil, or the time left to another owner.
const LOCK: &str = "
    local taken = redis.call('EXISTS', KEYS[1]) == 1
    if taken and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
        return redis.call('PTTL', KEYS[1])
    end
    redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return false";

/// Gives one hold back: nil where it is not the owner's, 0 where holds are left, 1 where none is.
const UNLOCK: &str = "
    if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
        return false
    end
    if redis.call('HINCRBY', KEYS[1], ARGV[1], -1) > 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return 0
    end
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[2], '0')
    return 1";

/// The watchdog's: sets the time left of a hold.
const KEEP: &str = "
    if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
        return 0
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1";

/// Runs a script on the lock `orders` with a lease of a minute.
fn eval(client: &mut Client, script: &str, owner: &str) -> String {
    let words = ["EVAL", script, "2", "orders", CHANNEL, owner, "60000"];
    client.say(&words.map(str::as_bytes))
}

#[test]
fn a_lock_that_redisson_took_excludes_others_and_is_seen() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(eval(&mut client, LOCK, "theirs:1"), "nil");
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders me 5000");
    assert_eq!([acquired, holds, token], [0; 3]);
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    assert_eq!(client.holder("orders"), "theirs:1 1 0");
    for call in ["RELEASE", "RENEW", "ASSERT"] {
        let reply = client.run(&format!("LOCK.{call} orders me"));
        assert_eq!(reply, "NOTOWNER the lock is held by another owner");
    }
    assert_eq!(client.run("LOCK.ASSERT orders theirs:1"), "OK");
    assert_eq!(client.run("HGETALL orders"), "[theirs:1 1]");
    assert_eq!(eval(&mut client, UNLOCK, "theirs:1"), "1");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 5000")[..2], [1, 1]);
}

#[test]
fn a_lock_that_we_took_excludes_redisson() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 90000");
    let before = client.stored("orders");
    let left: i64 = eval(&mut client, LOCK, "theirs:1").parse().unwrap();
    assert!((80_000..=90_001).contains(&left), "{left}");
    assert_eq!(eval(&mut client, UNLOCK, "theirs:1"), "nil");
    assert_eq!(eval(&mut client, KEEP, "theirs:1"), "0");
    assert_eq!(client.stored("orders"), before);
    client.int("LOCK.RELEASE orders me");
    assert_eq!(eval(&mut client, LOCK, "theirs:1"), "nil");
}

#[test]
fn a_sleeper_of_redissons_is_woken_when_a_lease_is_shortened() {
    let server = Server::start();
    let mut client = server.client();
    let mut holder = server.client();
    holder.grant("LOCK.ACQUIRE orders me 600000 SESSION LINGER 300000");
    // It subscribes, asks, and sleeps until the message or for the time that it is told.
    let mut listener = Listener::subscribe(&server, CHANNEL);
    let mut told = || -> i64 { eval(&mut client, LOCK, "theirs:1").parse().unwrap() };
    assert!(told() > 500_000);
    drop(holder);
    assert_eq!(listener.next().1, "0");
    assert!(told() <= 300_001);
    let mut back = server.client();
    back.grant("LOCK.RENEW orders me 3000");
    assert_eq!(listener.next().1, "0");
    assert!(told() <= 3001);
    eventually("it has the lock", || {
        eval(&mut client, LOCK, "theirs:1") == "nil"
    });
}

#[test]
fn a_lapsed_lock_is_free_to_redisson_and_one_of_its_own_to_us() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 20");
    eventually("the lease ends", || {
        eval(&mut client, LOCK, "theirs:1") == "nil"
    });
    assert_eq!(client.run("HGETALL orders"), "[theirs:1 1]");
    client.run("PEXPIRE orders 20");
    eventually("the lease ends", || {
        client.grant("LOCK.ACQUIRE orders me 60000")[0] == 1
    });
    assert_eq!(client.stored("orders").fields.len(), 2);
}

#[test]
fn an_owner_that_redisson_counted_reenters_and_gets_a_token() {
    let server = Server::start();
    let mut client = server.client();
    eval(&mut client, LOCK, "same");
    eval(&mut client, LOCK, "same");
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders same 50000");
    assert_eq!([acquired, holds], [1, 3]);
    assert!(token > 0);
    assert!(ttl > 50_000, "a reentry shortened the lease to {ttl}");
    assert_eq!(client.holder("orders"), format!("same 3 {token}"));
    // Redisson goes on counting, and so do we.
    assert_eq!(eval(&mut client, LOCK, "same"), "nil");
    let [_, holds, again, _] = client.grant("LOCK.ACQUIRE orders same 50000 HOLDS 5");
    assert_eq!([holds, again], [5, token]);
}

#[test]
fn a_repeat_of_an_acquire_counts_nothing_but_gives_redissons_hold_a_token() {
    let server = Server::start();
    let mut client = server.client();
    eval(&mut client, LOCK, "same");
    let [_, holds, token, _] = client.grant("LOCK.ACQUIRE orders same 50000 HOLDS 1");
    assert_eq!(holds, 1);
    assert!(token > 0);
    assert_eq!(client.holder("orders"), format!("same 1 {token}"));
}

#[test]
fn a_renewal_gives_a_hold_of_redissons_a_token() {
    let server = Server::start();
    let mut client = server.client();
    eval(&mut client, LOCK, "same");
    let [_, holds, token, ttl] = client.grant("LOCK.RENEW orders same 90000");
    assert_eq!([holds, ttl], [1, 90_000]);
    assert!(token > 0);
    assert_eq!(client.holder("orders"), format!("same 1 {token}"));
    assert_eq!(client.grant("LOCK.RENEW orders same 90000")[2], token);
}

#[test]
fn no_token_fits_a_hold_that_has_none() {
    let server = Server::start();
    let mut client = server.client();
    eval(&mut client, LOCK, "same");
    for call in ["ACQUIRE", "RELEASE", "RENEW", "ASSERT"] {
        let reply = client.run(&format!("LOCK.{call} orders same TOKEN 7"));
        assert!(reply.starts_with("NOTOWNER "), "{call}: {reply}");
    }
    assert_eq!(client.run("HGETALL orders"), "[same 1]");
}

#[test]
fn redisson_counts_our_holds_down_and_frees_the_lock() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders same 50000");
    let [_, holds, token, _] = client.grant("LOCK.ACQUIRE orders same 50000");
    assert_eq!(holds, 2);
    assert_eq!(eval(&mut client, LOCK, "same"), "nil");
    assert_eq!(client.holder("orders"), format!("same 3 {token}"));
    assert_eq!(eval(&mut client, UNLOCK, "same"), "0");
    assert_eq!(client.int("LOCK.RELEASE orders same HOLDS 1"), 1);
    assert_eq!(client.holder("orders"), format!("same 1 {token}"));
    assert_eq!(eval(&mut client, UNLOCK, "same"), "1");
    assert_eq!(client.int("EXISTS orders"), 0);
    let [_, _, next, _] = client.grant("LOCK.ACQUIRE orders other 50000");
    assert!(next > token);
}

#[test]
fn we_count_redissons_holds_down_and_free_the_lock() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    for _ in 0..3 {
        eval(&mut client, LOCK, "same");
    }
    assert_eq!(client.int("LOCK.RELEASE orders same"), 2);
    assert_eq!(client.run("HGETALL orders"), "[same 2]");
    assert_eq!(client.int("LOCK.RELEASE orders same HOLDS 1"), 1);
    listener.assert_quiet();
    assert_eq!(client.int("LOCK.RELEASE orders same"), 0);
    assert_eq!(listener.next(), (CHANNEL.to_owned(), "0".to_owned()));
    assert_eq!(client.int("EXISTS orders"), 0);
    assert_eq!(eval(&mut client, UNLOCK, "same"), "nil");
}

#[test]
fn redissons_watchdog_keeps_our_hold_alive() {
    let server = Server::start();
    let mut client = server.client();
    let [_, _, token, _] = client.grant("LOCK.ACQUIRE orders same 50000");
    assert_eq!(eval(&mut client, KEEP, "same"), "1");
    let left = client.int("PTTL orders");
    assert!((50_000..=60_000).contains(&left), "{left}");
    assert_eq!(client.holder("orders"), format!("same 1 {token}"));
}

#[test]
fn a_force_release_frees_a_lock_of_redissons() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    eval(&mut client, LOCK, "theirs:1");
    assert_eq!(client.int("LOCK.FORCERELEASE orders"), 1);
    assert_eq!(listener.next().1, "0");
    assert_eq!(eval(&mut client, UNLOCK, "theirs:1"), "nil");
}

#[test]
fn redissons_read_write_lock_is_refused_and_never_changed() {
    let server = Server::start();
    let mut client = server.client();
    for fields in [
        "mode write theirs:1:write 1",
        "mode read theirs:1 2",
        "mode read theirs:1 1 theirs:2 1",
        "mode write",
        "mode fenced:7",
        "mode fenced me 1",
    ] {
        client.run("DEL orders");
        client.run(&format!("HSET orders {fields}"));
        client.run("PEXPIRE orders 60000");
        let before = client.stored("orders");
        let mut journal = Journal::of_replication(&server);
        for owner in ["me", "theirs:1", "theirs:1:write"] {
            for call in [
                "LOCK.ACQUIRE orders OWNER 90000",
                "LOCK.ACQUIRE orders OWNER 90000 HOLDS 2",
                "LOCK.RELEASE orders OWNER",
                "LOCK.RELEASE orders OWNER HOLDS 0",
                "LOCK.RENEW orders OWNER 90000",
                "LOCK.ASSERT orders OWNER",
                "LOCK.INFO orders",
                "LOCK.FORCERELEASE orders",
            ] {
                let reply = client.run(&call.replace("OWNER", owner));
                assert!(
                    reply.starts_with("WRONGTYPE "),
                    "{call} on {fields}: {reply}"
                );
            }
        }
        assert_eq!(client.stored("orders"), before);
        assert!(journal.read(&mut client).is_empty());
    }
}

#[test]
fn a_lock_takes_at_most_48_bytes_more_than_redissons() {
    const OWNER: &str = "0c7b1f6e-5a3d-4e0b-9f55-3f9a6d1c2b84:117";
    let server = Server::start();
    let mut client = server.client();
    eval(&mut client, LOCK, OWNER);
    let theirs = client.int("MEMORY USAGE orders");
    client.run("DEL orders");
    client.grant(&format!("LOCK.ACQUIRE orders {OWNER} 60000"));
    let ours = client.int("MEMORY USAGE orders");
    assert!(ours <= theirs + 48, "{ours} bytes, and {theirs}");
}
