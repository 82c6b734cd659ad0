//! Which connection a hold is bound to, and what ends that.

use super::{close_noticed, eventually, holder, told, wait};
use crate::support::{Server, Setup, Waiter};

#[test]
fn a_client_that_reconnects_and_repeats_its_acquire_keeps_the_lock_when_the_old_one_ends() {
    let server = Server::start();
    let old = holder(&server, 60_000);
    let token = told(&mut server.client(), "token");
    let mut new = server.client();
    let again = new.grant("LOCK.ACQUIRE orders me 60000 SESSION HOLDS 1");
    assert_eq!(again[..3], [1, 1, token.parse().unwrap()]);
    let mut probe = server.client();
    close_noticed(old, &mut probe);
    assert_eq!(probe.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(told(&mut probe, "session"), "1");
    drop(new);
    eventually("it ends with the new one", || {
        probe.int("EXISTS orders") == 0
    });
}

#[test]
fn a_delayed_repeat_on_the_old_connection_does_not_bind_it_back() {
    let server = Server::start();
    let mut old = holder(&server, 60_000);
    let new = {
        let mut new = server.client();
        new.grant("LOCK.ACQUIRE orders me 60000 SESSION HOLDS 1");
        new
    };
    old.grant("LOCK.ACQUIRE orders me 60000 SESSION HOLDS 1");
    drop(new);
    let mut probe = server.client();
    eventually("it ends with the new one", || {
        probe.int("EXISTS orders") == 0
    });
    assert_eq!(old.run("PING"), "PONG");
}

#[test]
fn a_reentry_without_session_leaves_the_binding() {
    let server = Server::start();
    let client = holder(&server, 60_000);
    let mut other = server.client();
    other.grant("LOCK.ACQUIRE orders me 60000");
    drop(client);
    eventually("it ends all the same", || other.int("EXISTS orders") == 0);
    assert_eq!(other.run("PING"), "PONG");
}

#[test]
fn a_later_owners_lock_is_not_freed_by_an_old_connections_end() {
    for freed in [
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.FORCERELEASE orders",
        "DEL orders",
    ] {
        for next in ["you", "me"] {
            let server = Setup::new().module_args("session-loss ignore").start();
            let mut client = holder(&server, 60_000);
            client.run(freed);
            let mut other = server.client();
            other.grant(&format!("LOCK.ACQUIRE orders {next} 60000"));
            // What the end of a connection does is done when another's end was acted on.
            client.grant("LOCK.ACQUIRE mark me 60000 SESSION");
            drop(client);
            eventually("its end was acted on", || other.int("EXISTS mark") == 0);
            assert_eq!(other.run(&format!("LOCK.ASSERT orders {next}")), "OK");
            assert_eq!(told(&mut other, "session"), "0", "{freed}, then {next}");
        }
    }
}

#[test]
fn a_hold_granted_after_a_wait_is_bound_to_the_connection_that_waited() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 60000 WAIT 0 SESSION");
    client.run("LOCK.RELEASE orders me");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(told(&mut client, "session"), "1");
    let mut next = wait(&server, "next");
    waiter.close();
    assert_eq!(next.grant()[..2], [1, 1]);
    assert_eq!(client.counter("sessions_ended"), 1);
    assert_eq!(client.counter("sessions"), 0);
}

#[test]
fn of_two_waits_of_one_owner_the_younger_connection_is_bound_or_the_one_that_is_left() {
    for gone in ["nobody", "older", "younger"] {
        let server = Server::start();
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE orders me 60000");
        let line = "LOCK.ACQUIRE orders you 60000 WAIT 0 SESSION HOLDS 1";
        let older = Waiter::start(&server, line);
        let younger = Waiter::start(&server, line);
        client.run("MULTI");
        client.run("LOCK.RELEASE orders me");
        match gone {
            "older" => client.run(&format!("CLIENT KILL ID {}", older.id())),
            "younger" => client.run(&format!("CLIENT KILL ID {}", younger.id())),
            _ => "nobody".to_owned(),
        };
        client.run("EXEC");
        let (mut left, other) = match gone {
            "younger" => (older, younger),
            _ => (younger, older),
        };
        assert_eq!(left.grant()[..2], [1, 1], "{gone} is gone");
        other.close();
        assert_eq!(left.run("LOCK.ASSERT orders you"), "OK", "{gone} is gone");
        assert_eq!(told(&mut client, "session"), "1");
        left.close();
        eventually("it ends with the one that was left", || {
            client.int("EXISTS orders") == 0
        });
    }
}

#[test]
fn in_a_transaction_a_session_is_bound_to_the_connection() {
    let server = Server::start();
    let mut client = server.client();
    client.run("MULTI");
    client.run("LOCK.ACQUIRE orders me 60000 SESSION");
    assert!(client.run("EXEC").starts_with("[[1 1 "));
    let mut other = server.client();
    assert_eq!(told(&mut other, "session"), "1");
    drop(client);
    eventually("it ends with it", || other.int("EXISTS orders") == 0);
}

#[test]
fn scripts_and_functions_have_no_connection_that_a_session_could_be_bound_to() {
    let server = Server::start();
    let mut client = server.client();
    let refusal = "SESSION needs a connection of its own, which a script or function does not have";
    let script = b"return redis.call('LOCK.ACQUIRE', KEYS[1], 'me', '60000', 'SESSION')";
    let reply = client.say(&[b"EVAL", script, b"1", b"orders"]);
    assert!(reply.contains(refusal), "{reply}");
    let code = b"#!lua name=lib\nredis.register_function('take', function(keys) return redis.call('LOCK.ACQUIRE', keys[1], 'me', '60000', 'SESSION') end)";
    assert_eq!(client.say(&[b"FUNCTION", b"LOAD", code]), "lib");
    let reply = client.run("FCALL take 1 orders");
    assert!(reply.contains(refusal), "{reply}");
    assert_eq!(client.int("EXISTS orders"), 0);
}

#[test]
fn wrong_arguments_are_refused_and_change_nothing() {
    let server = Setup::new()
        .module_args("default-ttl 900 max-ttl 5000")
        .start();
    let mut client = server.client();
    let ttl = |ttl: &str| {
        format!(
            "ERR ttl must be a whole number from 1000 to 9007199254740991 for a session, not \"{ttl}\""
        )
    };
    let linger = |max: &str, given: &str| {
        format!("ERR LINGER must be a whole number from 0 to {max}, not \"{given}\"")
    };
    for (rest, error) in [
        ("999 SESSION", ttl("999")),
        ("SESSION", ttl("900")),
        ("1 SESSION LINGER 0", ttl("1")),
        ("LINGER 100", "ERR LINGER needs SESSION".to_owned()),
        ("2000 LINGER 0", "ERR LINGER needs SESSION".to_owned()),
        ("2000 SESSION LINGER", "ERR LINGER needs a value".to_owned()),
        ("2000 SESSION LINGER -1", linger("9007199254740991", "-1")),
        (
            "2000 SESSION LINGER 5001",
            linger("5000 (lock.max-ttl)", "5001"),
        ),
        (
            "2000 SESSION session",
            "ERR SESSION may be given only once".to_owned(),
        ),
        (
            "2000 SESSION LINGER 1 LINGER 1",
            "ERR LINGER may be given only once".to_owned(),
        ),
    ] {
        assert_eq!(client.run(&format!("LOCK.ACQUIRE orders me {rest}")), error);
    }
    assert_eq!(client.int("EXISTS orders"), 0);
    assert_eq!(client.counter("sessions"), 0);
    assert_eq!(client.run("PING"), "PONG");
}

#[test]
fn a_renewal_sets_the_ttl_that_the_session_renews_with() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    let mut other = server.client();
    assert_eq!(
        other.run("LOCK.RENEW orders me 999"),
        "ERR ttl must be a whole number from 1000 to 9007199254740991 for a session, not \"999\""
    );
    assert_eq!(other.grant("LOCK.RENEW orders me 6000")[3], 6000);
    eventually("it was renewed", || other.counter("sessions_renewed") > 0);
    let left = other.int("PTTL orders");
    assert!((1000..=6001).contains(&left), "{left}");
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    // Of a hold without a session any ttl will do.
    client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(other.grant("LOCK.RENEW orders me 999")[3], 999);
}
