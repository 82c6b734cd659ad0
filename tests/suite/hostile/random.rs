//! A random client that sends anything in any way: see `tests/inputs`.

use crate::inputs;
use crate::support::{has_planted_faults, Setup};
use std::panic::catch_unwind;
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn every_call_gets_one_reply_and_what_is_refused_changes_nothing_whatever_a_client_sends() {
    let variable = |name| std::env::var(name).ok()?.parse().ok();
    let seed = variable("LOCK_TEST_INPUTS_SEED")
        .unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_millis() as u64);
    let seconds = variable("LOCK_TEST_INPUTS_SECONDS").unwrap_or(2);
    println!("LOCK_TEST_INPUTS_SEED={seed}, {seconds} s");
    let server = Setup::new().start();
    let tried = inputs::run(&server, Duration::from_secs(seconds), seed);
    println!("{tried}");
    tried.check();
}

/// A client that finds nothing wrong with these would prove nothing.
#[test]
fn the_random_client_finds_what_is_broken_on_purpose() {
    if !has_planted_faults() {
        return;
    }
    let planted = [
        ("LOCK_PLANTED_PANIC", "begin lock.renew"),
        ("LOCK_PLANTED_PANIC", "begin a reply"),
        ("LOCK_PLANTED_FAULT", "LeavesCycles"),
    ];
    for (variable, what) in planted {
        let server = Setup::new().env(variable, what).may_crash().start();
        let tried = catch_unwind(|| inputs::run(&server, Duration::from_secs(2), 1));
        assert!(tried.is_err(), "{what} is not found");
    }
}
