//! `LINGER`: for how long the lock of a connection that has closed stays its owner's.

use super::{eventually, told, wait};
use crate::support::{Client, Server};

/// A connection on which `me` holds the lock twice, to linger for so long.
fn holder(server: &Server, linger: i64) -> Client {
    let mut client = server.client();
    for _ in 0..2 {
        client.grant(&format!(
            "LOCK.ACQUIRE orders me 900000 SESSION LINGER {linger}"
        ));
    }
    client
}

/// Waits until the end of the holder's connection was acted on.
fn ended(client: &mut Client) {
    eventually("the session has ended", || {
        client.counter("sessions_ended") == 1
    });
}

#[test]
fn the_lock_stays_its_owners_for_as_long_as_it_lingers_and_is_the_next_ones_then() {
    const LINGER: i64 = 3000;
    let server = Server::start();
    let client = holder(&server, LINGER);
    let mut next = wait(&server, "next");
    let mut other = server.client();
    drop(client);
    ended(&mut other);
    let left = other.int("PTTL orders");
    assert!((1..=LINGER + 1).contains(&left), "{left}");
    assert!(!next.has_reply());
    assert_eq!(other.run("LOCK.ASSERT orders me"), "OK");
    let busy = other.grant("LOCK.ACQUIRE orders you 60000");
    assert_eq!(busy[..3], [0, 0, 0]);
    assert!((1..=LINGER + 1).contains(&busy[3]), "{busy:?}");
    assert_eq!(next.grant()[..2], [1, 1]);
    assert_eq!(other.counter("expired_while_waited_for"), 1);
}

#[test]
fn an_owner_that_comes_back_in_time_keeps_token_and_count() {
    let server = Server::start();
    let client = holder(&server, 600_000);
    let mut other = server.client();
    let token: i64 = told(&mut other, "token").parse().unwrap();
    drop(client);
    ended(&mut other);
    let mut back = server.client();
    let again = back.grant("LOCK.ACQUIRE orders me 900000 SESSION LINGER 600000 HOLDS 2");
    assert_eq!(again[..3], [1, 2, token]);
    assert!(again[3] > 700_000);
    assert_eq!(told(&mut other, "session"), "1");
    // It is bound anew: this time nothing lingers.
    back.grant("LOCK.ACQUIRE orders me 60000 SESSION HOLDS 2");
    drop(back);
    eventually("it is free at once", || other.int("EXISTS orders") == 0);
}

#[test]
fn each_session_call_sets_ttl_and_linger_anew() {
    let server = Server::start();
    let mut client = holder(&server, 600_000);
    client.grant("LOCK.ACQUIRE orders me 9000 SESSION LINGER 300000 HOLDS 2");
    let mut other = server.client();
    // Neither the call nor a renewal shortens a lease: someone else does.
    other.run("PEXPIRE orders 4000");
    eventually("it is renewed", || other.counter("sessions_renewed") > 0);
    let left = other.int("PTTL orders");
    assert!((4001..=9001).contains(&left), "{left}");
    drop(client);
    ended(&mut other);
    assert!(other.int("PTTL orders") > 9001);
}

#[test]
fn a_lingering_lock_that_is_released_is_free_at_once() {
    let server = Server::start();
    let client = holder(&server, 600_000);
    let mut other = server.client();
    drop(client);
    ended(&mut other);
    let mut next = wait(&server, "next");
    assert_eq!(other.int("LOCK.RELEASE orders me"), 1);
    assert_eq!(other.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(next.grant()[..2], [1, 1]);
}
