//! A holder that loses its lock finds its connection closed.

use super::{eventually, holder, is_closed, told};
use crate::support::{Server, Setup, Waiter};

#[test]
fn a_holder_that_loses_its_lock_finds_its_connection_closed() {
    for line in [
        "LOCK.FORCERELEASE orders",
        "DEL orders",
        "UNLINK orders",
        "FLUSHALL",
        "FLUSHALL ASYNC",
        "FLUSHDB",
        "SWAPDB 0 1",
        "RENAME orders elsewhere",
        "MOVE orders 1",
        "SET orders text",
        "PERSIST orders",
        "HSET orders mode fenced:7",
    ] {
        let server = Server::start();
        let mut client = holder(&server, 3000);
        let mut other = server.client();
        other.run(line);
        eventually(&format!("{line}: the connection is closed"), || {
            other.counter("sessions_lost") == 1
        });
        assert!(is_closed(&mut client), "{line}");
        assert_eq!(other.counter("sessions"), 0, "{line}");
        assert_eq!(other.counter("sessions_ended"), 0, "{line}");
        let told = "session lost: \"me\" no longer holds \"orders\" (db 0)";
        assert!(server.log().contains(told), "{line}: {}", server.log());
    }
}

#[test]
fn a_deletion_by_the_holders_own_connection_is_a_loss_too() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    client.forget("DEL orders");
    eventually("it is closed", || is_closed(&mut client));
    let mut client = holder(&server, 60_000);
    assert_eq!(client.run("LOCK.FORCERELEASE orders"), "1");
    eventually("it is closed", || is_closed(&mut client));
}

#[test]
fn with_session_loss_ignore_the_connection_stays_open_and_the_loss_is_counted() {
    let server = Setup::new().module_args("session-loss ignore").start();
    let mut client = holder(&server, 60_000);
    let mut other = server.client();
    other.run("LOCK.FORCERELEASE orders");
    assert_eq!(other.counter("sessions_lost"), 1);
    assert_eq!(
        client.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is free"
    );
}

#[test]
fn the_owners_own_release_is_no_loss() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    assert_eq!(server.client().int("LOCK.RELEASE orders me"), 0);
    assert_eq!(client.run("PING"), "PONG");
    assert_eq!(client.counter("sessions_lost"), 0);
    assert_eq!(client.counter("sessions"), 0);
}

#[test]
fn changes_that_leave_the_hold_are_no_loss() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    let mut other = server.client();
    for line in [
        "COPY orders copy",
        "PEXPIRE orders 5000",
        // Redisson's reentry.
        "HINCRBY orders me 1",
        "LOCK.RENEW orders me 60000",
        "LOCK.RELEASE orders me",
        "RENAME orders away",
    ] {
        if line.starts_with("RENAME") {
            // Away and back in one step.
            other.run("MULTI");
            other.run(line);
            other.run("RENAME away orders");
            other.run("EXEC");
        } else {
            other.run(line);
        }
        assert_eq!(client.run("LOCK.ASSERT orders me"), "OK", "{line}");
    }
    assert_eq!(other.counter("sessions_lost"), 0);
    assert_eq!(told(&mut other, "session"), "1");
}

#[test]
fn a_lease_that_someone_cuts_short_is_written_again_at_its_end() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    let token = told(&mut client, "token");
    let mut other = server.client();
    other.run("PEXPIRE orders 20");
    eventually("it is written again", || other.int("PTTL orders") > 1000);
    assert_eq!(told(&mut client, "token"), token);
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(other.counter("sessions_lost"), 0);
}

#[test]
fn another_hold_of_the_lock_is_a_loss_of_the_old_one() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    let mut other = server.client();
    // In one step: nobody sees the lock free.
    other.run("MULTI");
    other.run("DEL orders");
    other.run("LOCK.ACQUIRE orders you 60000 SESSION");
    assert!(other.run("EXEC").contains("[1 1 "));
    assert!(is_closed(&mut client));
    assert_eq!(other.run("LOCK.ASSERT orders you"), "OK");
    assert_eq!(other.counter("sessions_lost"), 1);
    assert_eq!(other.counter("sessions"), 1);
}

#[test]
fn a_lock_that_is_evicted_is_lost() {
    let server = Setup::new()
        .config("maxmemory-policy allkeys-random")
        .start();
    let mut client = holder(&server, 60_000);
    let mut other = server.client();
    other.run("CONFIG SET maxmemory 1");
    eventually("it is evicted", || {
        other.run("SET any thing");
        other.counter("sessions_lost") == 1
    });
    assert!(is_closed(&mut client));
}

#[test]
fn a_demotion_closes_the_connections_of_those_who_hold_sessions() {
    let master = Server::start();
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 0 SESSION");
    let mut other = server.client();
    other.run(&format!("REPLICAOF 127.0.0.1 {}", master.port()));
    assert!(is_closed(&mut client));
    let reply = waiter.reply();
    assert!(
        reply == "closed" || reply.starts_with("UNBLOCKED "),
        "{reply}"
    );
    assert_eq!(other.counter("sessions_lost"), 1);
    assert_eq!(other.counter("sessions"), 0);
}

#[test]
fn a_lock_that_migrates_to_another_server_is_lost_here() {
    let (here, there) = (Server::start(), Server::start());
    let mut client = holder(&here, 60_000);
    let line = format!("MIGRATE 127.0.0.1 {} orders 0 60000", there.port());
    assert_eq!(here.client().run(&line), "OK");
    eventually("it is closed", || is_closed(&mut client));
    let mut other = there.client();
    assert_eq!(other.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(told(&mut other, "session"), "0");
}

#[test]
fn a_lock_granted_to_a_client_whose_connection_is_closed_for_another_loss_goes_to_the_next() {
    let server = Server::start();
    let mut other = server.client();
    other.grant("LOCK.ACQUIRE stock you 60000");
    let mut waiter = Waiter::begin(
        &server,
        &["LOCK.ACQUIRE orders me 60000 SESSION"],
        "LOCK.ACQUIRE stock me 3600000 WAIT 0",
    );
    server.until_waiting(1);
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE stock next 60000 WAIT 0");
    other.run("MULTI");
    other.run("LOCK.FORCERELEASE orders");
    other.run("LOCK.RELEASE stock you");
    other.run("EXEC");
    assert_eq!(waiter.reply(), "closed");
    assert_eq!(next.grant()[..2], [1, 1]);
}

/// The session was forgotten with its closed connection, and the lock stayed held until its lease ended.
#[test]
fn a_strangers_release_kept_the_lock_of_a_connection_that_had_just_closed() {
    for stranger in ["you", "me"] {
        let server = Server::start();
        let mut admin = server.client();
        let mut holder = Waiter::begin(&server, &[], "LOCK.ACQUIRE orders me 600000 SESSION");
        let [_, _, token, _] = holder.grant();
        let kill = format!("CLIENT KILL ID {}", holder.id());
        // The owner's own may be that of an earlier hold.
        let release = format!("LOCK.RELEASE orders {stranger} HOLDS 0 TOKEN {}", token - 1);
        assert_eq!(admin.at_once(&[kill, release]), ["1", "-1"]);
        eventually("the lock is free", || {
            admin.run("LOCK.INFO orders") == "nil"
        });
        assert_eq!(admin.counter("sessions_ended"), 1);
    }
}
