//! What is broken on purpose in a real server's engine is found in what its clients have seen. What only the server
//! knows, such as a grant that was not undone, is found in the simulator.

use crate::check::Kind;
use crate::run;
use crate::scenario::single::{one, setup};
use crate::{as_it_is, found, named, settings};
use lock_test_support::{has_planted_faults, PATIENCE};
use redis_reentrant_lock::engine::PlantedFault;
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// The fault of the server that this test starts: a scenario's start takes no arguments.
    static PLANTED: Cell<Option<PlantedFault>> = const { Cell::new(None) };
}

/// The scenario `clients` finds the fault, by a violation of this kind.
fn finds(fault: PlantedFault, faults: &[&str], kind: Kind) {
    if !has_planted_faults() {
        return;
    }
    PLANTED.set(Some(fault));
    let mut scenario = named("clients");
    scenario.crowd.round = Duration::from_secs(1);
    scenario.start = || {
        let name = PLANTED.get().map(|fault| format!("{fault:?}"));
        one(setup().env("LOCK_PLANTED_FAULT", &name.unwrap_or_default()))
    };
    // It ends with the first round in which something is wrong.
    let settings = run::Settings {
        time: PATIENCE,
        ..settings(faults, as_it_is)
    };
    let outcome = run::run(&scenario, &settings);
    assert!(found(&outcome, &[kind]) > 0, "{fault:?} is not found");
}

#[test]
fn queues_that_are_served_from_the_wrong_end() {
    finds(PlantedFault::LastFirst, &["none"], Kind::Overtaken);
}

#[test]
fn a_token_that_is_issued_twice() {
    finds(PlantedFault::TokenTwice, &["none"], Kind::TokenReused);
}

#[test]
fn a_token_below_the_last_one() {
    finds(PlantedFault::TokenBelow, &["none"], Kind::TokenOrder);
}

#[test]
fn a_repeat_that_counts_again() {
    finds(PlantedFault::CountsRepeats, &["none"], Kind::HoldCount);
}

#[test]
fn a_lease_that_is_shorter_than_was_told() {
    finds(PlantedFault::ShortLease, &["none"], Kind::TwoOwners);
}

#[test]
fn a_renewal_that_cuts_a_lease_short() {
    finds(PlantedFault::ShortRenewal, &["none"], Kind::TwoOwners);
}

#[test]
fn a_command_that_overtakes_those_who_wait() {
    finds(PlantedFault::Overtakes, &["client-pause"], Kind::Overtaken);
}
