//! The grace period: a server that was promoted, or has started, grants no free lock for a while.

mod begin;
mod holders;

use crate::support::{eventually, Client, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// How long the grace period of most tests is, in ms: until [`end`].
const GRACE: i64 = 600_000;

/// A server with a grace period, and a bound on leases as it needs.
fn setup() -> Setup {
    Setup::new().module_args(&format!("grace-period {GRACE} max-ttl 60000"))
}

/// A server that has just been promoted, on which `me` holds the lock `orders` in the data, and that
/// hold's token.
fn promoted() -> (Server, i64) {
    let master = Server::start();
    let token = master.client().grant("LOCK.ACQUIRE orders me 60000")[2];
    let server = master.replica(setup());
    master.wait_for_replica(&server);
    assert_eq!(server.client().run("REPLICAOF NO ONE"), "OK");
    (server, token)
}

fn left(client: &mut Client) -> i64 {
    client.counter("grace_ms_left") as i64
}

/// Ends the grace period, as an operator may; the next one is as long as ever.
fn end(client: &mut Client) {
    let as_ever = format!("CONFIG SET lock.grace-period {GRACE}");
    // The server records the end in its next timer event. Before, a longer one goes on.
    eventually("the grace period is over", || {
        assert_eq!(client.run("CONFIG SET lock.grace-period 1"), "OK");
        eventually("its time is up", || left(client) == 0);
        assert_eq!(client.run(&as_ever), "OK");
        left(client) == 0
    });
}

#[test]
fn a_free_lock_is_granted_to_nobody_until_the_grace_period_ends() {
    let server = setup().start();
    let mut client = server.client();
    let before = left(&mut client);
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders me 5000");
    assert_eq!([acquired, holds, token], [0; 3]);
    assert!((1..=before).contains(&ttl), "{ttl} of {before}");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me HOLDS 1")[..3], [0; 3]);
    assert_eq!(client.counter("busy"), 2);
    assert_eq!(client.int("EXISTS orders"), 0);
    end(&mut client);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 5000")[..2], [1, 1]);
}

#[test]
fn those_who_wait_stand_in_line_and_are_served_in_order_when_it_ends() {
    const GRACE: i64 = 5000;
    let began = Instant::now();
    let args = format!("grace-period {GRACE} max-ttl 60000");
    let server = Setup::new().module_args(&args).start();
    let mut client = server.client();
    let line = |n: usize| format!("LOCK.ACQUIRE orders owner-{n} 60000 WAIT 0");
    let mut waiters = Waiter::start_all(&server, (0..20).map(line));
    let other = Waiter::start(&server, "LOCK.ACQUIRE stock me 60000 WAIT 0");
    let mut late = Waiter::start(&server, "LOCK.ACQUIRE orders late WAIT 100");
    let [acquired, _, _, ttl] = late.grant();
    assert_eq!(acquired, 0);
    assert!(ttl <= GRACE);
    assert_eq!(client.counter("waiters"), 21);
    assert!(!waiters[0].has_reply() && !other.has_reply());
    let mut last = 0;
    for (n, waiter) in waiters.iter_mut().enumerate() {
        let [acquired, holds, token, _] = waiter.grant();
        assert_eq!([acquired, holds], [1, 1], "owner-{n}");
        assert!(token > last);
        last = token;
        if n == 0 {
            let after = began.elapsed();
            assert!(after >= Duration::from_millis(GRACE as u64), "{after:?}");
            assert_eq!(left(&mut client), 0);
        }
        assert_eq!(client.int(&format!("LOCK.RELEASE orders owner-{n}")), 0);
    }
    assert!(other.has_reply());
}

#[test]
fn a_release_works_in_it_and_hands_to_nobody_before_its_end() {
    let (server, token) = promoted();
    let mut client = server.client();
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(client.int("EXISTS orders"), 0);
    assert!(!next.has_reply());
    assert_eq!(client.grant("LOCK.ACQUIRE orders you 60000")[..3], [0; 3]);
    end(&mut client);
    let [acquired, _, newer, _] = next.grant();
    assert_eq!(acquired, 1);
    assert!(newer > token);
    assert_eq!(left(&mut client), 0);
}

#[test]
fn a_lease_that_ends_in_it_is_the_next_ones_at_its_end() {
    let master = Server::start();
    let server = master.replica(setup());
    master.client().grant("LOCK.ACQUIRE orders me 500");
    master.wait_for_replica(&server);
    server.client().run("REPLICAOF NO ONE");
    let mut client = server.client();
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
    eventually("the lease is over", || client.int("PTTL orders") < 0);
    assert!(left(&mut client) > 0);
    assert!(!next.has_reply());
    end(&mut client);
    assert_eq!(next.grant()[..2], [1, 1]);
}

#[test]
fn a_new_length_moves_its_end_and_one_that_is_over_does_not_come_back() {
    let server = setup().start();
    let mut client = server.client();
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders me 60000 WAIT 0");
    client.run(&format!("CONFIG SET lock.grace-period {}", 2 * GRACE));
    assert!(left(&mut client) > GRACE);
    client.run(&format!("CONFIG SET lock.grace-period {}", GRACE / 2));
    let remaining = left(&mut client);
    assert!(
        (GRACE / 4..=GRACE / 2 + 2).contains(&remaining),
        "{remaining}"
    );
    assert!(!waiter.has_reply());
    // One that has passed already ends it at once, also for those who wait.
    client.run("CONFIG SET lock.grace-period 1");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(left(&mut client), 0);
    client.run(&format!("CONFIG SET lock.grace-period {}", 2 * GRACE));
    assert_eq!(left(&mut client), 0);
    assert_eq!(client.grant("LOCK.ACQUIRE stock me")[..2], [1, 1]);
    // But a promotion begins another one.
    client.run("REPLICAOF 127.0.0.1 1");
    client.run("REPLICAOF NO ONE");
    assert!(left(&mut client) > GRACE);
}

#[test]
fn a_grace_period_without_a_bound_on_leases_is_warned_of() {
    let warning = "grace-period without max-ttl promises nothing";
    let server = Setup::new().module_args("grace-period 1").start();
    assert!(server.log().contains(warning));
    let bounded = Setup::new()
        .module_args("grace-period 1 max-ttl 60000")
        .start();
    assert!(!bounded.log().contains(warning));
    assert!(!Server::start().log().contains(warning));
    let mut client = bounded.client();
    assert_eq!(client.run("CONFIG SET lock.max-ttl 0"), "OK");
    assert!(bounded.log().contains(warning));
}

#[test]
fn a_change_of_its_length_that_is_refused_does_not_end_it() {
    let server = Setup::new()
        .module_args("grace-period 900000 max-ttl 60000")
        .start();
    let mut client = server.client();
    let refused = client.run("CONFIG SET lock.grace-period 1 lock.max-hold 10");
    assert!(refused.starts_with("ERR "), "{refused}");
    assert!(left(&mut client) > GRACE);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[0], 0);
}
