//! A lock gets another holder otherwise than by a hand-over.

use crate::support::{eventually, Server, Waiter};
use std::time::Duration;

#[test]
fn a_lock_that_another_client_takes_by_plain_commands_may_close_a_cycle() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.grant("LOCK.ACQUIRE b other 600000");
    let two = Waiter::start(&server, "LOCK.ACQUIRE a two 600000 WAIT 0");
    let mut one = Waiter::start(&server, "LOCK.ACQUIRE b one 600000 WAIT 0");
    // As Redisson's scripts do it.
    client.run("MULTI");
    client.run("DEL b");
    client.run("HINCRBY b two 1");
    client.run("PEXPIRE b 600000");
    client.run("EXEC");
    assert_eq!(
        one.reply(),
        "DEADLOCK waiting for \"b\" would close a cycle of 2 owners"
    );
    assert!(!two.has_reply());
}

#[test]
fn a_session_whose_lease_is_written_again_may_close_a_cycle() {
    const TTL: u64 = 1000;
    let server = Server::start();
    let mut client = server.client();
    let mut session = server.client();
    session.grant(&format!("LOCK.ACQUIRE a one {TTL} SESSION"));
    client.grant("LOCK.ACQUIRE b two 600000");
    let two = Waiter::start(&server, "LOCK.ACQUIRE a two 600000 WAIT 0");
    // The server stands still until the lease is over. What came meanwhile is run first: to it
    // nobody holds a.
    let mut one = Waiter::begin(&server, &[], "PING");
    assert_eq!(one.reply(), "PONG");
    server.signal(libc::SIGSTOP);
    one.send("LOCK.ACQUIRE b one 600000 WAIT 0");
    std::thread::sleep(Duration::from_millis(TTL + 100));
    server.signal(libc::SIGCONT);
    assert_eq!(
        one.reply(),
        "DEADLOCK waiting for \"b\" would close a cycle of 2 owners"
    );
    eventually("it is renewed", || client.counter("sessions_renewed") >= 1);
    assert_eq!(client.run("LOCK.ASSERT a one"), "OK");
    assert!(!two.has_reply());
}
