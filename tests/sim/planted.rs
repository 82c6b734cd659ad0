//! What is broken on purpose is found. A check that finds none of its faults would be worth nothing.

use crate::check::{Kind, Violation};
use crate::plan::{Plan, PLANS};
use crate::run;
use crate::schedule::Schedule;
use crate::Planted;
use redis_reentrant_lock::engine::PlantedFault;

/// Within so many histories; that takes some seconds at the most.
const HISTORIES: u64 = 20_000;

/// The first history with such a violation, of those that follow from a seed, and its number.
pub fn find(
    plan: &Plan,
    seed: u64,
    histories: u64,
    planted: Planted,
    is_it: impl Fn(&Violation) -> bool,
) -> Option<(u64, Schedule, Violation)> {
    (0..histories).find_map(|number| {
        let schedule = plan.schedule(seed.wrapping_add(number));
        let found = run::execute(&schedule, planted).violations;
        let first = found.into_iter().find(&is_it)?;
        Some((number, schedule, first))
    })
}

/// A plan finds a violation of that kind.
fn finds(fault: PlantedFault, plan: &str, kind: Kind) {
    let plan = PLANS.iter().find(|known| known.name == plan).unwrap();
    let found = find(plan, 0, HISTORIES, Some(fault), |violation| {
        violation.kind == kind
    });
    let (number, _, violation) = found.unwrap_or_else(|| {
        panic!("plan {} does not find {fault:?}", plan.name);
    });
    println!(
        "{fault:?}: in history {number} of plan {}: {violation}",
        plan.name
    );
}

#[test]
fn a_missing_grace_period() {
    finds(PlantedFault::NoGrace, "failover", Kind::TwoOwners);
    finds(PlantedFault::NoGrace, "restart", Kind::TwoOwners);
    finds(PlantedFault::NoGrace, "cluster", Kind::TwoOwners);
}

#[test]
fn a_lease_that_is_extended_while_the_old_master_may_still_grant() {
    finds(PlantedFault::NoCutOff, "split", Kind::TwoOwners);
    finds(PlantedFault::NoCutOff, "cluster", Kind::TwoOwners);
}

#[test]
fn an_undo_that_is_left_out() {
    finds(PlantedFault::NoUndo, "deaths", Kind::OwnedByNobody);
}

#[test]
fn a_lock_of_another_slot_that_is_looked_for_in_a_command() {
    finds(PlantedFault::IgnoresSlots, "cluster", Kind::NotAnswered);
}

#[test]
fn a_queue_that_is_served_from_the_wrong_end() {
    finds(PlantedFault::LastFirst, "calm", Kind::Overtaken);
}

#[test]
fn a_renewal_where_the_server_refuses_writes() {
    finds(PlantedFault::RenewsUnasked, "sessions", Kind::TwoOwners);
}

#[test]
fn a_token_that_is_issued_twice() {
    finds(PlantedFault::TokenTwice, "calm", Kind::TokenReused);
}

#[test]
fn a_call_that_is_answered_twice() {
    finds(PlantedFault::AnswersTwice, "calm", Kind::AnsweredTwice);
}

#[test]
fn a_free_lock_that_is_not_handed_over() {
    finds(PlantedFault::NeverServes, "calm", Kind::FreeWhileWaitedFor);
}

#[test]
fn a_repeat_that_counts_again() {
    finds(PlantedFault::CountsRepeats, "deaths", Kind::HoldCount);
}

#[test]
fn a_wait_that_does_not_end_in_time() {
    finds(PlantedFault::ForgetsTimeouts, "calm", Kind::NotAnswered);
}

#[test]
fn a_lease_that_is_shorter_than_was_told() {
    finds(PlantedFault::ShortLease, "calm", Kind::TwoOwners);
}

#[test]
fn a_session_that_outlives_its_connection() {
    finds(
        PlantedFault::OutlivesConnection,
        "deaths",
        Kind::OwnedByNobody,
    );
}

#[test]
fn a_cycle_of_waits() {
    finds(PlantedFault::LeavesCycles, "calm", Kind::NotAnswered);
}

#[test]
fn a_grant_without_the_right_to_it() {
    finds(PlantedFault::IgnoresRights, "rights", Kind::WithoutRights);
}

#[test]
fn a_session_that_goes_on_after_its_lock_was_lost() {
    finds(PlantedFault::GoesOnAfterLoss, "foreign", Kind::Revived);
}

#[test]
fn a_replica_that_writes_by_itself() {
    finds(PlantedFault::WritesOnReplica, "sessions", Kind::Differs);
}

#[test]
fn a_waiter_that_is_kept_after_its_end() {
    finds(PlantedFault::KeepsCancelled, "deaths", Kind::LeftOver);
}

#[test]
fn a_session_that_is_kept_after_its_end() {
    finds(PlantedFault::OutlivesConnection, "deaths", Kind::LeftOver);
}

#[test]
fn a_token_below_the_last_one() {
    finds(PlantedFault::TokenBelow, "calm", Kind::TokenOrder);
}

#[test]
fn a_timeout_that_comes_late() {
    finds(PlantedFault::LateTimeouts, "calm", Kind::LateTimeout);
}

#[test]
fn a_renewal_that_cuts_a_lease_short() {
    finds(PlantedFault::ShortRenewal, "calm", Kind::LeaseCutShort);
}

#[test]
fn a_command_that_overtakes_those_who_wait() {
    finds(PlantedFault::Overtakes, "pauses", Kind::Overtaken);
}
