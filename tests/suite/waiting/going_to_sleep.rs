//! What is done on the server's way to sleep, when it has reckoned already how long that will be,
//! takes effect without delay all the same. A server that wakes by itself but once a second shows it.

use crate::support::{eventually, mostly_within, Client, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// A server with a client, on which `me` holds the lock `orders`, and `next` waits for it.
fn held() -> (Server, Client, Waiter) {
    let server = Setup::new().config("hz 1").start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let next = Waiter::start(&server, "LOCK.ACQUIRE orders next 600000 WAIT 0");
    (server, client, next)
}

/// Far less than the server sleeps.
const SOON: Duration = Duration::from_millis(150);

#[test]
fn a_release_that_was_sent_with_the_wait_passes_on_without_delay() {
    let server = Setup::new().config("hz 1").start();
    let mut client = server.client();
    mostly_within(SOON, || {
        client.grant("LOCK.ACQUIRE orders me 600000");
        let mut first = Waiter::start(&server, "LOCK.ACQUIRE orders a 600000 WAIT 0");
        // It is run when the wait is over, on the server's way to sleep.
        first.send("LOCK.RELEASE orders a");
        let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders b 600000 WAIT 0");
        let start = Instant::now();
        client.run("LOCK.RELEASE orders me");
        let (reply, at) = next.reply_at();
        assert!(reply.starts_with("[1 1 "), "{reply}");
        assert_eq!(first.grant()[..2], [1, 1]);
        assert_eq!(first.reply(), "0");
        assert_eq!(next.run("LOCK.RELEASE orders b"), "0");
        at - start
    });
}

/// The holder waits for something else first, and has sent its release behind that: the time until the next one has the
/// lock.
fn released_behind_a_wait(server: &Server, client: &mut Client, next: &mut Waiter) -> Duration {
    let mut popper = Waiter::start(server, "BLPOP list 0");
    popper.send("LOCK.RELEASE orders me");
    let start = Instant::now();
    assert_eq!(client.run("RPUSH list x"), "1");
    let (reply, at) = next.reply_at();
    assert!(reply.starts_with("[1 1 "), "{reply}");
    assert_eq!(popper.reply(), "[list x]");
    assert_eq!(popper.reply(), "0");
    at - start
}

#[test]
fn a_release_after_a_quiet_time_passes_on_without_delay() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        // The server's cron, which runs once a second, finds that nothing is to be done.
        let mut uptime = || -> u32 {
            let uptime = client.info("server", "uptime_in_seconds");
            uptime.unwrap().parse().unwrap()
        };
        let quiet = uptime() + 4;
        eventually("it was quiet", || uptime() >= quiet);
        released_behind_a_wait(&server, &mut client, &mut next)
    });
}

#[test]
fn a_release_behind_a_wait_for_something_else_passes_on_without_delay() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        released_behind_a_wait(&server, &mut client, &mut next)
    });
}

#[test]
fn a_deletion_behind_a_wait_for_something_else_passes_on_without_delay() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        let mut popper = Waiter::start(&server, "BLPOP list 0");
        popper.send("DEL orders");
        let start = Instant::now();
        assert_eq!(client.run("RPUSH list x"), "1");
        let (reply, at) = next.reply_at();
        assert!(reply.starts_with("[1 1 "), "{reply}");
        at - start
    });
}

#[test]
fn a_release_that_was_held_up_by_a_pause_passes_on_without_delay() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        client.run("CLIENT PAUSE 600000 WRITE");
        let mut releaser = Waiter::start(&server, "LOCK.RELEASE orders me");
        let start = Instant::now();
        client.run("CLIENT UNPAUSE");
        let (reply, at) = next.reply_at();
        assert!(reply.starts_with("[1 1 "), "{reply}");
        let took = at - start;
        assert_eq!(releaser.reply(), "0");
        took
    });
}

#[test]
fn a_wait_behind_a_wait_for_something_else_ends_at_its_time() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        let mut popper = Waiter::start(&server, "BLPOP list 0");
        popper.send("LOCK.ACQUIRE orders you WAIT 50");
        let start = Instant::now();
        client.run("RPUSH list x");
        assert_eq!(popper.reply(), "[list x]");
        let (reply, at) = popper.reply_at();
        assert!(reply.starts_with("[0 0 0 "), "{reply}");
        let took = at - start;
        assert!(!next.has_reply());
        client.run("LOCK.RELEASE orders me");
        assert_eq!(next.grant()[0], 1);
        took
    });
}

#[test]
fn a_session_that_the_server_closes_on_its_way_to_sleep_ends_without_delay() {
    mostly_within(SOON, || {
        let (server, mut client, mut next) = held();
        let mut holder = Waiter::start(&server, "PING");
        assert_eq!(holder.reply(), "PONG");
        assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
        assert_eq!(next.grant()[0], 1);
        assert_eq!(next.run("LOCK.RELEASE orders next"), "0");
        assert!(holder
            .run("LOCK.ACQUIRE orders me 600000 SESSION")
            .starts_with("[1 1 "));
        next.send("LOCK.ACQUIRE orders next 600000 WAIT 0");
        server.until_waiting(1);
        // Closed when it has been told the end.
        let start = Instant::now();
        assert_eq!(holder.run("QUIT"), "OK");
        let (reply, at) = next.reply_at();
        assert!(reply.starts_with("[1 1 "), "{reply}");
        let took = at - start;
        eventually("one is left", || client.counter("sessions") == 0);
        took
    });
}
