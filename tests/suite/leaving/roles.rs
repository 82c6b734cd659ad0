//! What becomes of those who wait when the server changes its role or ends, and when many leave at
//! once in many ways.

use super::{assert_nobody_waits, assert_served, held, wait};
use crate::support::{Client, Server, Setup, Waiter};

fn many(server: &Server, count: u32) -> Vec<Waiter> {
    let line = |n| format!("LOCK.ACQUIRE orders o{n} 600000 WAIT 0");
    Waiter::start_all(server, (0..count).map(line))
}

/// Checks that everyone is told, once, and that those whom the server keeps can go on.
fn assert_unblocked(waiters: &mut [Waiter]) {
    for waiter in waiters {
        let reply = waiter.reply();
        assert!(reply.starts_with("UNBLOCKED "), "{reply}");
        // Servers differ in whether they close the connection then.
        waiter.send("PING");
        let after = waiter.reply();
        assert!(["PONG", "closed"].contains(&after.as_str()), "{after}");
    }
}

fn replicate(client: &mut Client, master: &Server) {
    let port = master.port();
    assert_eq!(client.run(&format!("REPLICAOF 127.0.0.1 {port}")), "OK");
}

#[test]
fn a_demotion_tells_everyone_who_waits() {
    let (master, (server, mut client)) = (Server::start(), held());
    let mut waiters = many(&server, 30);
    replicate(&mut client, &master);
    assert_unblocked(&mut waiters);
    assert_nobody_waits(&mut client);
    // It serves lines again once it is a master.
    assert_eq!(client.run("REPLICAOF NO ONE"), "OK");
    client.run("LOCK.FORCERELEASE orders");
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut next = wait(&server, "next");
    client.run("LOCK.RELEASE orders me");
    assert_served(&mut next, "next");
}

#[test]
fn a_demotion_in_the_same_turn_as_a_grant_gives_each_client_one_reply() {
    let (master, (server, mut client)) = (Server::start(), held());
    let mut waiters = many(&server, 3);
    let demote = format!("REPLICAOF 127.0.0.1 {}", master.port());
    for line in ["MULTI", "LOCK.RELEASE orders me", &demote, "EXEC"] {
        client.run(line);
    }
    let first = waiters[0].reply();
    let told = first.starts_with("UNBLOCKED ") || first.starts_with("[1 1 ");
    assert!(told, "{first}");
    assert_unblocked(&mut waiters[1..]);
    assert_nobody_waits(&mut client);
    // What was granted last never reached the master, whose data counts.
    master.wait_for_replica(&server);
    assert_eq!(client.int("EXISTS orders"), 0);
    assert_eq!(client.run("REPLICAOF NO ONE"), "OK");
    assert_eq!(client.grant("LOCK.ACQUIRE orders new 600000")[0], 1);
}

#[test]
fn nobody_waits_on_a_replica_writable_or_not() {
    let master = Server::start();
    let replica = master.replica(Setup::new());
    master.client().grant("LOCK.ACQUIRE orders me 600000");
    master.wait_for_replica(&replica);
    let mut client = replica.client();
    for read_only in ["yes", "no"] {
        client.run(&format!("CONFIG SET replica-read-only {read_only}"));
        let reply = client.run("LOCK.ACQUIRE orders you WAIT 0");
        assert!(reply.starts_with("READONLY "), "{reply}");
        assert_nobody_waits(&mut client);
    }
}

#[test]
fn a_shutdown_ends_at_once_with_hundreds_waiting_and_keeps_the_lock() {
    let mut server = Setup::new().config("appendonly yes").start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 600000");
    let mut waiters = many(&server, 300);
    server.restart();
    for waiter in &mut waiters {
        assert_eq!(waiter.reply(), "closed");
    }
    let mut client = server.client();
    assert_eq!(client.holder("orders"), format!("me 1 {token}"));
    assert_nobody_waits(&mut client);
    let log = server.log();
    assert!(!log.contains("BUG REPORT"), "{log}");
}

#[test]
fn hundreds_who_leave_in_every_way_at_once_all_get_their_reply_and_the_others_their_turn() {
    let (server, mut client) = held();
    let mut waiters: Vec<_> = many(&server, 300).into_iter().enumerate().collect();
    let mut lines = Vec::new();
    for (n, waiter) in &waiters {
        let id = waiter.id();
        lines.extend(match n % 5 {
            0 => Some(format!("CLIENT KILL ID {id}")),
            1 => Some(format!("CLIENT UNBLOCK {id} TIMEOUT")),
            2 => Some(format!("CLIENT UNBLOCK {id} ERROR")),
            _ => None,
        });
    }
    // The first one is granted the lock and killed in the same turn.
    lines.insert(0, "LOCK.RELEASE orders me".to_owned());
    client.run("MULTI");
    for line in &lines {
        client.run(line);
    }
    client.run("EXEC");
    for (n, waiter) in &mut waiters {
        match *n % 5 {
            0 => assert_eq!(waiter.reply(), "closed"),
            1 => assert!(waiter.reply().starts_with("[0 0 0 ")),
            2 => assert!(waiter.reply().starts_with("UNBLOCKED ")),
            _ => {
                assert_served(waiter, &format!("o{n}"));
                waiter.run(&format!("LOCK.RELEASE orders o{n}"));
            }
        }
    }
    assert_eq!(client.holder("orders"), "free");
    assert_nobody_waits(&mut client);
}
