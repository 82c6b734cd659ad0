//! Every way out of the line, also two at once: each client gets exactly one reply, and a lock that
//! was granted to a client which is gone goes to the next one.

mod at_once;
mod roles;
use crate::support::{eventually, is_sanitized, skip, Client, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// A server on which `me` holds the lock `orders`, and the connection that took it.
fn held() -> (Server, Client) {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 600000")[0], 1);
    (server, client)
}

/// One more in the line for `orders`.
fn wait(server: &Server, owner: &str) -> Waiter {
    let waiter = Waiter::start(
        server,
        &format!("LOCK.ACQUIRE orders {owner} 600000 WAIT 0"),
    );
    assert!(!waiter.has_arrived(), "{owner} did not wait");
    waiter
}

/// Checks that this waiter gets the lock `orders`, and one reply.
fn assert_served(waiter: &mut Waiter, owner: &str) {
    assert_eq!(waiter.grant()[..2], [1, 1], "{owner}");
    assert_eq!(waiter.run("PING"), "PONG");
    assert_eq!(waiter.run(&format!("LOCK.ASSERT orders {owner}")), "OK");
}

/// Checks that nobody waits and no client is blocked.
fn assert_nobody_waits(client: &mut Client) {
    assert_eq!(client.counter("waiters"), 0);
    assert_eq!(client.counter("lines"), 0);
    eventually("no client is blocked", || {
        client.info("clients", "blocked_clients") == Some("0".to_owned())
    });
}

/// Checks that someone new gets the lock at once.
fn assert_free(server: &Server) {
    let mut client = server.client();
    eventually("the lock is free", || client.holder("orders") == "free");
    assert_eq!(client.grant("LOCK.ACQUIRE orders new 600000")[0], 1);
    assert_nobody_waits(&mut client);
}

#[test]
fn a_wait_ends_at_its_timeout_and_tells_the_time_left() {
    let (server, mut client) = held();
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 50");
    let [acquired, holds, token, ttl] = waiter.grant();
    assert_eq!([acquired, holds, token], [0; 3]);
    assert!((500_000..600_000).contains(&ttl), "{ttl}");
    assert_eq!(waiter.run("PING"), "PONG");
    assert_nobody_waits(&mut client);
    assert_eq!(client.counter("waits_timed_out"), 1);
    client.run("LOCK.RELEASE orders me");
    assert_free(&server);
}

#[test]
fn the_reply_comes_within_5_ms_of_the_timeout_on_an_idle_server() {
    if is_sanitized() {
        return skip("AddressSanitizer makes the server slow");
    }
    let server = Setup::new().config("hz 1").start();
    server.client().grant("LOCK.ACQUIRE orders me 600000");
    let mut waiter = Waiter::start(&server, "PING");
    assert_eq!(waiter.reply(), "PONG");
    // By the server's clock: it is asked before the wait begins and when it is over.
    let late = server.lateness(31, |round| {
        let timeout = 20 + round as i64 % 31;
        waiter.send("TIME");
        waiter.send(&format!("LOCK.ACQUIRE orders you WAIT {timeout}"));
        waiter.send("TIME");
        let began = micros(&waiter.reply());
        let reply = waiter.reply();
        assert!(reply.starts_with("[0 0 0 "), "{reply}");
        let late = micros(&waiter.reply()) - began - timeout * 1000;
        // The wait is counted in whole milliseconds from the one in which it began.
        assert!(late > -1000, "{} us early", -late);
        late
    });
    assert!(late[15] < 5000, "{late:?}");
}

/// What TIME replies, in microseconds.
fn micros(time: &str) -> i64 {
    let (seconds, micros) = time.trim_matches(['[', ']']).split_once(' ').unwrap();
    seconds.parse::<i64>().unwrap() * 1_000_000 + micros.parse::<i64>().unwrap()
}

#[test]
fn waits_of_many_lengths_each_end_at_their_own_time() {
    let (server, mut client) = held();
    // Each one's place in the line has nothing to do with when it gives up.
    let length = |n: u64| 300 + n * 37 % 100 * 5;
    let mut waiters: Vec<_> = (0..100)
        .map(|n| {
            let line = format!("LOCK.ACQUIRE orders o{n} WAIT {}", length(n));
            let sent = Instant::now();
            (n, sent, Waiter::begin(&server, &[], &line))
        })
        .collect();
    waiters.sort_by_key(|(n, sent, _)| *sent + Duration::from_millis(length(*n)));
    for (n, sent, waiter) in &mut waiters {
        let (reply, at) = waiter.reply_at();
        assert!(reply.starts_with("[0 0 0 "), "{reply}");
        let waited = at - *sent + Duration::from_millis(1);
        assert!(waited.as_millis() >= u128::from(length(*n)), "{waited:?}");
        assert_eq!(waiter.run("PING"), "PONG");
    }
    assert_nobody_waits(&mut client);
    assert_eq!(client.counter("waits_timed_out"), 100);
}

#[test]
fn a_client_that_is_killed_leaves_the_line() {
    let (server, mut client) = held();
    let (mut gone, mut next) = (wait(&server, "gone"), wait(&server, "next"));
    assert_eq!(client.int(&format!("CLIENT KILL ID {}", gone.id())), 1);
    assert_eq!(gone.reply(), "closed");
    server.until_waiting(1);
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn a_socket_that_just_closes_leaves_the_line() {
    let (server, mut client) = held();
    let (gone, mut next) = (wait(&server, "gone"), wait(&server, "next"));
    gone.close();
    server.until_waiting(1);
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn the_last_one_who_leaves_leaves_no_line() {
    let (server, mut client) = held();
    wait(&server, "gone").close();
    server.until_waiting(0);
    assert_nobody_waits(&mut client);
    client.run("LOCK.RELEASE orders me");
    assert_free(&server);
}

#[test]
fn a_user_who_is_deleted_leaves_the_line() {
    let (server, mut client) = held();
    client.run("ACL SETUSER bob on >secret ~* &* +@all");
    let line = "LOCK.ACQUIRE orders bob 600000 WAIT 0";
    let mut gone = Waiter::start_after(&server, &["AUTH bob secret"], line);
    let mut next = wait(&server, "next");
    client.run("ACL DELUSER bob");
    assert_eq!(gone.reply(), "closed");
    server.until_waiting(1);
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut next, "next");
}

#[test]
fn client_unblock_ends_a_wait_as_its_timeout_would() {
    let (server, mut client) = held();
    for how in ["", "TIMEOUT"] {
        let mut waiter = wait(&server, "you");
        let unblock = format!("CLIENT UNBLOCK {} {how}", waiter.id());
        assert_eq!(client.int(&unblock), 1);
        let [acquired, holds, token, ttl] = waiter.grant();
        assert_eq!([acquired, holds, token], [0; 3]);
        assert!((500_000..=600_001).contains(&ttl), "{ttl}");
        assert_eq!(waiter.run("PING"), "PONG");
        assert_eq!(client.int(&unblock), 0);
        assert_eq!(waiter.run("PING"), "PONG");
        assert_nobody_waits(&mut client);
    }
    assert_eq!(client.counter("waits_cancelled"), 2);
}

#[test]
fn client_unblock_error_ends_a_wait_with_an_error() {
    let (server, mut client) = held();
    let (mut waiter, mut next) = (wait(&server, "you"), wait(&server, "next"));
    let unblock = format!("CLIENT UNBLOCK {} ERROR", waiter.id());
    assert_eq!(client.int(&unblock), 1);
    let reply = waiter.reply();
    assert!(reply.starts_with("UNBLOCKED "), "{reply}");
    assert_eq!(waiter.run("PING"), "PONG");
    assert_eq!(client.counter("waiters"), 1);
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn the_same_connection_can_wait_again_after_every_way_out() {
    let (server, mut client) = held();
    let mut waiter = wait(&server, "you");
    for round in 0..30 {
        let id = waiter.id();
        match round % 3 {
            0 => client.int(&format!("CLIENT UNBLOCK {id} TIMEOUT")),
            1 => client.int(&format!("CLIENT UNBLOCK {id} ERROR")),
            _ => client.int("LOCK.RELEASE orders me"),
        };
        let reply = waiter.reply();
        let wanted = ["[0 0 0 ", "UNBLOCKED ", "[1 1 "][round % 3];
        assert!(reply.starts_with(wanted), "{reply}");
        if round % 3 == 2 {
            assert_eq!(waiter.run("LOCK.RELEASE orders you"), "0");
            client.grant("LOCK.ACQUIRE orders me 600000");
        }
        waiter.send("LOCK.ACQUIRE orders you 600000 WAIT 0");
        server.until_waiting(1);
    }
}

#[test]
fn a_client_that_quits_in_the_same_pipeline_keeps_what_it_was_granted() {
    let (server, mut client) = held();
    let mut waiter = wait(&server, "you");
    waiter.send("QUIT");
    client.run("LOCK.RELEASE orders me");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(waiter.reply(), "OK");
    assert_eq!(waiter.reply(), "closed");
    assert!(client.holder("orders").starts_with("you 1 "));
}

#[test]
fn more_waiters_than_allowed_are_refused() {
    let server = Setup::new().module_args("max-waiters 3").start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    client.grant("LOCK.ACQUIRE other me 600000");
    let mut first = wait(&server, "first");
    let second = wait(&server, "second");
    let third = Waiter::start(&server, "LOCK.ACQUIRE other third WAIT 0");
    for lock in ["orders", "other"] {
        let reply = client.run(&format!("LOCK.ACQUIRE {lock} you WAIT 0"));
        assert!(reply.starts_with("TOOMANYWAITERS "), "{reply}");
        assert!(reply.contains('3'), "{reply}");
    }
    // Who need not wait is not concerned.
    assert_eq!(client.grant("LOCK.ACQUIRE orders me WAIT 0")[..2], [1, 2]);
    assert_eq!(client.grant("LOCK.ACQUIRE free you WAIT 0")[0], 1);
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 0);
    // Whoever leaves makes room.
    third.close();
    server.until_waiting(2);
    let fourth = wait(&server, "fourth");
    client.run("LOCK.FORCERELEASE orders");
    assert_served(&mut first, "first");
    let _fifth = wait(&server, "fifth");
    let reply = client.run("LOCK.ACQUIRE orders sixth WAIT 0");
    assert!(reply.starts_with("TOOMANYWAITERS "), "{reply}");
    drop((second, fourth));
}

#[test]
fn a_lower_limit_sends_nobody_away_who_waits_already() {
    let (server, mut client) = held();
    let mut waiters = ["a", "b", "c"].map(|owner| (owner, wait(&server, owner)));
    assert_eq!(client.run("CONFIG SET lock.max-waiters 1"), "OK");
    let reply = client.run("LOCK.ACQUIRE orders late WAIT 0");
    assert!(reply.starts_with("TOOMANYWAITERS "), "{reply}");
    client.run("LOCK.RELEASE orders me");
    for (owner, waiter) in &mut waiters {
        assert_served(waiter, owner);
        waiter.run(&format!("LOCK.RELEASE orders {owner}"));
    }
    assert_free(&server);
}

#[test]
fn the_module_cannot_be_unloaded_under_those_who_wait() {
    let (server, mut client) = held();
    let mut waiter = wait(&server, "you");
    let reply = client.run("MODULE UNLOAD lock");
    assert!(reply.starts_with("ERR "), "{reply}");
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut waiter, "you");
    assert_nobody_waits(&mut client);
}
