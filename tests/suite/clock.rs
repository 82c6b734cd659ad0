//! The server's clock is set, forward and back: what it does to leases, sessions, tokens and waits.

use crate::support::{eventually, skip, FakeClock, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// A server whose clock can be set; none where the test does not apply.
fn with_a_clock() -> Option<(FakeClock, Server)> {
    let clock = FakeClock::of_servers_and_modules().map_err(|why| skip(&why));
    let clock = clock.ok()?;
    let server = clock.setup(Setup::new()).start();
    Some((clock, server))
}

/// Sets the clock, and waits until the server has read it.
fn set(clock: &FakeClock, server: &Server, ms: i64) {
    let mut client = server.client();
    let before = client.clock();
    clock.set(ms);
    eventually("the clock is set", || {
        (client.clock() - before - ms).abs() < ms.abs() / 2
    });
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_wait_ends_at_its_timeout_though_the_clock_was_set_back_meanwhile() {
    let Some((clock, server)) = with_a_clock() else {
        return;
    };
    server.client().grant("LOCK.ACQUIRE orders a 60000");
    let start = Instant::now();
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders b 60000 WAIT 1000");
    server.until_waiting(1);
    set(&clock, &server, -HOUR);
    let reply = waiter.reply();
    assert!(reply.starts_with("[0 0 0 "), "{reply}");
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_lease_ends_earlier_by_what_the_clock_was_set_forward_and_the_next_token_is_larger() {
    let Some((clock, server)) = with_a_clock() else {
        return;
    };
    let mut client = server.client();
    let [_, _, before, _] = client.grant("LOCK.ACQUIRE orders a 600000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders b 60000 WAIT 0");
    server.until_waiting(1);
    set(&clock, &server, HOUR);
    let reply = waiter.reply();
    assert!(reply.starts_with("[1 1 "), "{reply}");
    let [holds, _, after, _] = client.grant("LOCK.ACQUIRE orders b 60000");
    assert!(holds == 1 && after > before, "{after} after {before}");
}

#[test]
fn a_session_goes_on_though_the_clock_was_set_beyond_its_lease() {
    let Some((clock, server)) = with_a_clock() else {
        return;
    };
    let mut holder = server.client();
    let [_, _, token, _] = holder.grant("LOCK.ACQUIRE orders a 5000 SESSION");
    set(&clock, &server, HOUR);
    assert_eq!(server.client().grant("LOCK.ACQUIRE orders b 5000")[0], 0);
    assert_eq!(
        holder.run(&format!("LOCK.ASSERT orders a TOKEN {token}")),
        "OK"
    );
}

#[test]
fn a_clock_that_was_set_back_lengthens_a_lease_and_tokens_go_on_growing() {
    let Some((clock, server)) = with_a_clock() else {
        return;
    };
    let mut client = server.client();
    let [_, _, before, _] = client.grant("LOCK.ACQUIRE orders a 5000");
    set(&clock, &server, -HOUR);
    let [held, _, _, ttl] = client.grant("LOCK.ACQUIRE orders b 5000");
    assert_eq!(held, 0);
    assert!(ttl > HOUR - 60_000, "{ttl}");
    assert_eq!(client.int("LOCK.RELEASE orders a"), 0);
    let [_, _, after, _] = client.grant("LOCK.ACQUIRE orders b 5000");
    assert!(after > before, "{after} after {before}");
}
