//! A random client that sends anything in any way: see `tests/inputs`.

use crate::inputs;
use crate::support::Setup;
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
