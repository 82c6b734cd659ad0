//! A lease that ends while others wait for the lock.

use super::{each_serves, line, line_on, Line};
use crate::support::{eventually, is_sanitized, skip, Server, Setup, Waiter};
use std::time::{Duration, Instant};

#[test]
fn an_expiry_serves_the_line() {
    line_on(Server::start(), 4000).is_served("it was short from the start");
    for shorter in [
        "PEXPIRE orders 50",
        "LOCK.RENEW orders me 50",
        "LOCK.RENEW orders me 90000 ; PEXPIRE orders 50",
        "PERSIST orders ; PEXPIRE orders 50",
        "MULTI ; PEXPIRE orders 50 ; EXEC",
    ] {
        each_serves(&[shorter]);
    }
}

#[test]
fn each_lease_that_ends_while_waited_for_is_counted() {
    let server = Server::start();
    let mut client = server.client();
    let mut waiter = Waiter::start(&server, "PING");
    waiter.reply();
    for round in 0..20 {
        client.grant(&format!("LOCK.ACQUIRE k{round} me 60000"));
        waiter.send(&format!("LOCK.ACQUIRE k{round} you WAIT 0"));
        server.until_waiting(1);
        client.run(&format!("PEXPIRE k{round} 200"));
        assert_eq!(waiter.grant()[0], 1);
    }
    // Also where the server deletes the key before the timer rings.
    client.grant("LOCK.ACQUIRE busy me 60000");
    waiter.send("LOCK.ACQUIRE busy you WAIT 0");
    server.until_waiting(1);
    client.run("PEXPIRE busy 200");
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEBUG").arg("SLEEP").arg("0.3");
    pipeline.cmd("EXISTS").arg("busy");
    let _: Vec<redis::Value> = pipeline.query(&mut client.raw).unwrap();
    assert_eq!(waiter.grant()[0], 1);
    assert_eq!(client.counter("expired_while_waited_for"), 21);
    // A deletion is no expiry.
    waiter.send("LOCK.ACQUIRE busy third WAIT 0");
    server.until_waiting(1);
    client.run("DEL busy");
    assert_eq!(waiter.grant()[0], 1);
    assert_eq!(client.counter("expired_while_waited_for"), 21);
}

#[test]
fn an_expiry_in_another_database_serves_its_line() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    client.run("SELECT 7");
    client.grant("LOCK.ACQUIRE orders me 50");
    let here = Waiter::start(&server, "LOCK.ACQUIRE orders you 60000 WAIT 0");
    let line = "LOCK.ACQUIRE orders you 60000 WAIT 0";
    let mut there = Waiter::start_after(&server, &["SELECT 7"], line);
    assert_eq!(there.grant()[..2], [1, 1]);
    assert!(client.holder("orders").starts_with("you 1 "));
    assert!(!here.has_reply());
}

#[test]
fn an_expiry_that_the_server_acts_on_first_serves_the_line() {
    let mut line = line();
    let mut reader = line.server.client();
    let deadline = reader.clock() + 30;
    reader.run(&format!("PEXPIREAT orders {deadline}"));
    // A reader deletes the key, or the timer comes first.
    while reader.clock() < deadline + 5 {
        reader.run("EXISTS orders");
    }
    line.is_served("it was read when it had expired");
}

#[test]
fn a_lease_ends_where_the_server_itself_deletes_no_expired_keys() {
    let server = Server::start();
    assert_eq!(server.client().run("DEBUG SET-ACTIVE-EXPIRE 0"), "OK");
    let mut line = line_on(server, 60_000);
    line.client.run("PEXPIRE orders 30");
    line.is_served("the key was never touched");
}

#[test]
fn many_leases_that_end_at_once_serve_all_their_lines() {
    const LOCKS: usize = 200;
    let server = Server::start();
    let mut client = server.client();
    for n in 0..LOCKS {
        client.grant(&format!("LOCK.ACQUIRE k{n} me 60000"));
    }
    let wait = |n| format!("LOCK.ACQUIRE k{n} o{n} 60000 WAIT 0");
    let mut waiters = Waiter::start_all(&server, (0..LOCKS).map(wait));
    let end = client.clock() + 20;
    let mut pipeline = redis::pipe();
    for n in 0..LOCKS {
        pipeline.cmd("PEXPIREAT").arg(format!("k{n}")).arg(end);
    }
    let set: Vec<i64> = pipeline.query(&mut client.raw).unwrap();
    assert_eq!(set, [1; LOCKS]);
    // A token does not tell: it is the time at which the server began with all of them, and it may
    // reach some of them when their leases have ended meanwhile.
    loop {
        let granted = waiters.iter().filter(|waiter| waiter.has_arrived()).count();
        if client.clock() >= end {
            break;
        }
        assert_eq!(granted, 0, "granted early");
    }
    for (n, waiter) in waiters.iter_mut().enumerate() {
        let [acquired, _, token, _] = waiter.grant();
        assert_eq!(acquired, 1);
        assert_eq!(client.holder(&format!("k{n}")), format!("o{n} 1 {token}"));
    }
    assert_eq!(client.counter("lines"), 0);
}

#[test]
fn an_expiry_is_acted_on_within_2_ms_on_an_idle_server() {
    if is_sanitized() {
        return skip("AddressSanitizer makes the server slow");
    }
    const ROUNDS: usize = 40;
    let server = Setup::new().config("hz 1").start();
    let mut waiter = Waiter::start(&server, "PING");
    waiter.reply();
    // By the server's own clock: a token is the time of its grant.
    let late = server.lateness(ROUNDS, |round| {
        let lease = 12 + round as i64 % 7;
        waiter.send(&format!("LOCK.ACQUIRE k{round} me {lease}"));
        waiter.send(&format!("LOCK.ACQUIRE k{round} you 60000 WAIT 0"));
        let [.., since, _] = waiter.grant();
        let [acquired, _, granted, _] = waiter.grant();
        assert_eq!(acquired, 1);
        // It is rounded up to the whole millisecond.
        let late = granted - ((since + 999) / 1000 + lease) * 1000;
        assert!(late >= 0, "a lease was ended {} us early", -late);
        late
    });
    let (median, most_of_90) = (late[ROUNDS / 2], late[ROUNDS * 9 / 10]);
    let most = late[ROUNDS - 1];
    let figures = format!("{median} us, in 90 % at most {most_of_90}, in all {most}");
    println!("leases were ended late by {figures}");
    assert!(median <= 2000 && most_of_90 <= 4000, "{figures}");
}

#[test]
fn a_renewal_to_a_shorter_ttl_is_known_to_the_line() {
    let server = Setup::new().config("hz 1").start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 0");
    let renewed = Instant::now();
    client.grant("LOCK.RENEW orders me 100");
    assert_eq!(waiter.grant()[0], 1);
    // Not at the end of the lease that was.
    let after = renewed.elapsed();
    assert!(after < Duration::from_secs(20), "{after:?}");
}

const WRONGTYPE: &str = "WRONGTYPE the key holds something that is not a lock";

/// A lock for which two wait, whose lease ends in a while, and when it does.
fn line_for_ms(ms: i64) -> (Line, i64) {
    let mut line = line();
    let end = line.client.clock() + ms;
    assert_eq!(line.client.int(&format!("PEXPIREAT orders {end}")), 1);
    (line, end)
}

/// Checks that those who wait are not answered before this time.
fn is_not_served_before(line: &mut Line, end: i64, why: &str) {
    let served = line.first.has_reply() || line.second.has_reply();
    assert!(!served || line.client.clock() >= end, "{why}");
}

#[test]
fn a_lock_that_turns_into_something_else_fails_its_waiters_when_its_lease_would_have_ended() {
    let changes = [
        "PERSIST orders",
        "SET orders x",
        "SET orders x PX 60000",
        "MULTI ; DEL orders ; RPUSH orders x ; EXEC",
    ];
    let changed = changes.map(|change| {
        let (mut line, end) = line_for_ms(2000);
        for command in change.split(" ; ") {
            line.client.run(command);
        }
        is_not_served_before(&mut line, end, change);
        let after = line.client.run("DUMP orders");
        (change, line, end, after)
    });
    for (change, mut line, end, after) in changed {
        for waiter in [&mut line.first, &mut line.second] {
            assert_eq!(waiter.reply(), WRONGTYPE, "{change}");
            let now = line.client.clock();
            assert!(now >= end, "{change}: {} ms early", end - now);
            assert!(now < end + 20_000, "{change}: {} ms late", now - end);
            assert_eq!(waiter.run("PING"), "PONG");
        }
        assert_eq!(line.client.run("DUMP orders"), after, "{change}");
        assert_eq!(line.client.counter("waiters"), 0);
    }
}

#[test]
fn a_value_that_ends_with_the_lease_leaves_a_free_lock_to_the_line() {
    // In the millisecond of its end the value may still be there, or be gone.
    let mut lines: Vec<(Line, i64)> = Vec::new();
    while lines.len() < 8 {
        let (mut line, end) = line_for_ms(2000);
        line.client.run("HSET orders someone 1");
        is_not_served_before(&mut line, end, "two owners make no lock");
        // Else there was no lease any more.
        if line.client.clock() < end {
            lines.push((line, end));
        }
    }
    for (mut line, end) in lines {
        assert_eq!(line.first.grant()[..2], [1, 1]);
        let now = line.client.clock();
        assert!(now >= end, "{} ms early", end - now);
        assert_eq!(line.client.run("LOCK.RELEASE orders first"), "0");
        assert_eq!(line.second.grant()[..2], [1, 1]);
        assert_eq!(line.client.counter("waiters"), 0);
    }
}

#[test]
fn a_lock_that_turns_into_something_else_and_back_serves_its_line() {
    each_serves(&["SET orders x ; DEL orders"]);
    let (mut line, end) = line_for_ms(5000);
    line.client.run("PERSIST orders");
    line.is_not_served("PERSIST");
    line.client.run("PEXPIRE orders 600000");
    eventually("the old lease would have ended", || {
        line.client.clock() > end + 20
    });
    line.is_not_served("a lock again");
    line.client.run("LOCK.RELEASE orders me");
    line.is_served("released");
}
