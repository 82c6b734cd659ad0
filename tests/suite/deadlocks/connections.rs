//! Connections that several owners share: one that waits can release nothing.

use crate::support::{eventually, show, Client, Server, Setup, Waiter};
use redis::Value;

const SHARED: &str = "by way of a shared connection";

/// A connection on which an owner holds a lock as a session and then sends a line that may wait.
fn holder(server: &Server, lock: &str, owner: &str, line: &str) -> Waiter {
    let hold = format!("LOCK.ACQUIRE {lock} {owner} 600000 SESSION");
    Waiter::start_after(server, &[&hold], line)
}

fn refused(lock: &str, owners: usize) -> String {
    format!("DEADLOCK waiting for \"{lock}\" would close a cycle of {owners} owners {SHARED}")
}

fn logged(server: &Server, text: &str) {
    let log = server.log();
    assert!(log.contains(text), "{text} is not in the log:\n{log}");
}

#[test]
fn a_shared_connection_that_waited_for_itself_was_never_served_again() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a w1 600000 SESSION");
    assert_eq!(
        client.run("LOCK.ACQUIRE a w2 600000 WAIT 0"),
        refused("a", 2)
    );
    assert_eq!(client.counter("deadlocks_refused"), 1);
    assert_eq!(client.counter("waits_started"), 0);
    let id = client.int("CLIENT ID");
    logged(
        &server,
        &format!("\"w2\" waits for \"a\" (db 0), which \"w1\" has bound to connection {id}"),
    );
    assert_eq!(client.run("LOCK.RELEASE a w1"), "0");
    assert_eq!(client.grant("LOCK.ACQUIRE a w2 600000 WAIT 0")[..2], [1, 1]);
}

#[test]
fn an_owner_reenters_what_its_own_connection_holds() {
    let server = Server::start();
    let mut client = server.client();
    let [_, _, token, _] = client.grant("LOCK.ACQUIRE a me 600000 SESSION");
    for holds in 2..5 {
        let again = client.grant("LOCK.ACQUIRE a me 600000 SESSION WAIT 0");
        assert_eq!(again[..3], [1, holds, token]);
    }
    assert_eq!(client.counter("deadlocks_refused"), 0);
}

#[test]
fn two_connections_that_wait_for_what_the_other_one_holds_are_a_cycle() {
    let server = Server::start();
    let mut client = server.client();
    let mut second = server.client();
    client.grant("LOCK.ACQUIRE a a1 600000 SESSION");
    second.grant("LOCK.ACQUIRE b b1 600000 SESSION");
    let mut first = holder(&server, "c", "c1", "LOCK.ACQUIRE b c2 600000 WAIT 0");
    // No owner holds one lock and waits for another, but both connections are needed for a release.
    assert_eq!(
        second.run("LOCK.ACQUIRE c b2 600000 WAIT 0"),
        refused("c", 4)
    );
    // Whoever holds nothing that is waited for by way of others may wait.
    let mut other = Waiter::start(&server, "LOCK.ACQUIRE c b2 600000 WAIT 0");
    assert!(!first.has_reply() && !other.has_reply());
    assert_eq!(second.run("LOCK.RELEASE b b1"), "0");
    assert_eq!(first.grant()[..2], [1, 1]);
    assert_eq!(first.run("LOCK.RELEASE c c1"), "0");
    assert_eq!(other.grant()[..2], [1, 1]);
}

#[test]
fn counting_the_owners_of_a_cycle_crashed_servers_whose_allocator_aligns_to_8_bytes() {
    let server = Server::start();
    for connections in 2..8 {
        let name = |n: usize| format!("{connections}-{}", n % connections);
        let mut clients: Vec<Client> = (0..connections).map(|_| server.client()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            let name = name(n);
            client.grant(&format!("LOCK.ACQUIRE {name} holder-{name} 600000 SESSION"));
        }
        for (n, client) in clients[1..].iter_mut().enumerate() {
            let (lock, owner) = (name(n + 2), name(n + 1));
            client.forget(&format!("LOCK.ACQUIRE {lock} {owner} 600000 WAIT 0"));
        }
        server.until_waiting(connections as u64 - 1);
        let (lock, owner) = (name(1), name(0));
        let reply = clients[0].run(&format!("LOCK.ACQUIRE {lock} {owner} 600000 WAIT 0"));
        assert_eq!(reply, refused(&lock, 2 * connections));
        drop(clients);
        server.until_waiting(0);
    }
}

#[test]
fn owners_and_connections_close_a_cycle_of_three_together() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.grant("LOCK.ACQUIRE b two 600000");
    // One waits for b, two for c, and c is bound to a connection on which someone waits for a.
    let mut shared = server.client();
    shared.grant("LOCK.ACQUIRE c three 600000 SESSION");
    let _two = Waiter::start(&server, "LOCK.ACQUIRE c two 600000 WAIT 0");
    let _one = Waiter::start(&server, "LOCK.ACQUIRE b one 600000 WAIT 0");
    assert_eq!(
        shared.run("LOCK.ACQUIRE a four 600000 WAIT 0"),
        refused("a", 4)
    );
    // On a connection of its own it may wait, and so may the owner of the other one's hold.
    let _four = Waiter::start(&server, "LOCK.ACQUIRE a four 600000 WAIT 0");
    server.until_waiting(3);
    assert_eq!(
        client.run("LOCK.ACQUIRE a three 600000 WAIT 0"),
        "DEADLOCK waiting for \"a\" would close a cycle of 3 owners"
    );
}

#[test]
fn a_hand_over_that_closes_a_cycle_by_a_connection_refuses_the_youngest_wait_of_it() {
    // The wait on the shared connection is the youngest, or is not.
    for shared_last in [true, false] {
        let server = Server::start();
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE a other 600000");
        let mut shared =
            Waiter::start_after(&server, &["LOCK.ACQUIRE b two 600000 SESSION"], "PING");
        assert_eq!(shared.reply(), "PONG");
        let mut first = Waiter::start(&server, "LOCK.ACQUIRE a one 600000 WAIT 0");
        let wait_on_shared = |shared: &mut Waiter| {
            shared.send("LOCK.ACQUIRE a three 600000 WAIT 0");
        };
        if !shared_last {
            wait_on_shared(&mut shared);
            server.until_waiting(2);
        }
        let mut one = Waiter::start(&server, "LOCK.ACQUIRE b one 600000 WAIT 0");
        if shared_last {
            wait_on_shared(&mut shared);
        }
        server.until_waiting(3);
        // One gets a, and waits for b, whose connection waits for a.
        client.run("LOCK.RELEASE a other");
        assert_eq!(first.grant()[..2], [1, 1]);
        let (lock, victim, other) = match shared_last {
            true => ("a", &mut shared, &one),
            false => ("b", &mut one, &shared),
        };
        assert_eq!(victim.reply(), refused(lock, 3));
        assert!(!other.has_reply());
        server.until_waiting(1);
    }
}

#[test]
fn a_connection_that_was_just_granted_a_session_may_not_wait_for_it() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a other 600000");
    // Both lines are there when the lock is released: the second one is run right after the reply.
    let mut shared = Waiter::start(&server, "LOCK.ACQUIRE a w1 600000 SESSION WAIT 0");
    shared.send("LOCK.ACQUIRE a w2 600000 WAIT 0");
    client.run("LOCK.RELEASE a other");
    assert_eq!(shared.grant()[..2], [1, 1]);
    assert_eq!(shared.reply(), refused("a", 2));
}

#[test]
fn a_lock_counts_for_the_connection_that_it_is_bound_to_now() {
    let server = Server::start();
    let mut old = server.client();
    let mut young = server.client();
    let waits = |client: &mut Client| client.run("LOCK.ACQUIRE a other 600000 WAIT 5");
    old.grant("LOCK.ACQUIRE a me 600000 SESSION");
    assert_eq!(waits(&mut old), refused("a", 2));
    assert!(waits(&mut young).starts_with("[0 0 0 "));
    // It moves to a younger one, and an older one does not take it back.
    young.grant("LOCK.ACQUIRE a me 600000 SESSION");
    old.grant("LOCK.ACQUIRE a me 600000 SESSION");
    assert!(waits(&mut old).starts_with("[0 0 0 "));
    assert_eq!(waits(&mut young), refused("a", 2));
    // Another hold of the same lock without a session is bound to none.
    young.run("LOCK.FORCERELEASE a");
    let mut third = server.client();
    third.grant("LOCK.ACQUIRE a me 600000");
    assert!(waits(&mut third).starts_with("[0 0 0 "));
}

#[test]
fn a_hold_that_the_connection_has_lost_is_not_bound_to_it() {
    let server = Setup::new().module_args("session-loss ignore").start();
    let mut client = server.client();
    let mut raw = redis::pipe();
    client.grant("LOCK.ACQUIRE a w1 600000 SESSION");
    // All in one packet: that the lock was lost is noticed after it.
    raw.cmd("DEL").arg("a");
    raw.cmd("HSET").arg("a").arg("other").arg(1);
    raw.cmd("PEXPIRE").arg("a").arg(600_000);
    raw.cmd("LOCK.ACQUIRE")
        .arg("a")
        .arg("w2")
        .arg("WAIT")
        .arg(5);
    let replies: Vec<Value> = raw.query(&mut client.raw).unwrap();
    assert!(show(&replies[3]).starts_with("[0 0 0 "), "{replies:?}");
    assert_eq!(client.counter("sessions_lost"), 1);
}

#[test]
fn where_a_connection_closes_no_cycle_nothing_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    // The holders' connections are idle, or wait for something that is not in the way.
    let mut idle = server.client();
    idle.grant("LOCK.ACQUIRE a one 600000 SESSION");
    client.grant("LOCK.ACQUIRE b two 600000");
    client.grant("LOCK.ACQUIRE d two 600000");
    let mut busy = holder(&server, "c", "three", "LOCK.ACQUIRE b four 600000 WAIT 0");
    // One owner waits over several connections.
    let lines = ["a", "b", "c"].map(|lock| format!("LOCK.ACQUIRE {lock} five 600000 WAIT 0"));
    let mut waiters = Waiter::start_all(&server, lines);
    server.until_waiting(4);
    // The owner on the idle connection waits elsewhere.
    let mut one = Waiter::start(&server, "LOCK.ACQUIRE d one 600000 WAIT 0");
    server.until_waiting(5);
    assert_eq!(client.counter("deadlocks_refused"), 0);
    client.run("LOCK.RELEASE b two");
    assert_eq!(busy.grant()[..2], [1, 1]);
    busy.run("LOCK.RELEASE c three");
    assert_eq!(waiters[2].grant()[..2], [1, 1]);
    busy.run("LOCK.RELEASE b four");
    assert_eq!(waiters[1].grant()[..2], [1, 1]);
    client.run("LOCK.RELEASE d two");
    assert_eq!(one.grant()[..2], [1, 1]);
    client.run("LOCK.RELEASE a one");
    assert_eq!(waiters[0].grant()[..2], [1, 1]);
    assert_eq!(client.counter("deadlocks_refused"), 0);
}

#[test]
fn the_owner_of_a_session_that_waits_on_another_connection_is_part_of_a_cycle_as_any_owner() {
    let server = Server::start();
    let mut client = server.client();
    let mut session = server.client();
    session.grant("LOCK.ACQUIRE a one 600000 SESSION");
    client.grant("LOCK.ACQUIRE b two 600000");
    let _one = Waiter::start(&server, "LOCK.ACQUIRE b one 600000 WAIT 0");
    assert_eq!(
        client.run("LOCK.ACQUIRE a two 600000 WAIT 0"),
        "DEADLOCK waiting for \"a\" would close a cycle of 2 owners"
    );
}

#[test]
fn when_the_connection_of_a_session_closes_what_waited_there_is_in_nobodys_way() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    let shared = {
        let hold = "LOCK.ACQUIRE b two 600000 SESSION LINGER 600000";
        Waiter::start_after(&server, &[hold], "LOCK.ACQUIRE a three 600000 WAIT 0")
    };
    server.until_waiting(1);
    let wait = "LOCK.ACQUIRE b one 600000 WAIT 5";
    assert_eq!(client.run(wait), refused("b", 3));
    shared.close();
    eventually("it has left", || client.counter("sessions") == 0);
    assert!(client.run(wait).starts_with("[0 0 0 "));
}
