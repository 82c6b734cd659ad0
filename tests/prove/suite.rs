//! The proof under fault, as tests of itself: what is wrong is found, and a seed draws the same plan.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The program uses the rest.
#![allow(dead_code)]

mod aftermath;
#[path = "../sim/check/mod.rs"]
mod check;
mod client;
mod fault;
mod fencing;
#[path = "../inputs/mod.rs"]
mod inputs;
mod judge;
mod line;
#[path = "../memory/mod.rs"]
mod memory;
mod others;
mod planted;
mod record;
mod resp;
mod route;
mod run;
mod scenario;
mod topology;
mod world;

use check::{Kind, Reply, What};
use record::{Event, Of};
use resp::{parse, Said};
use run::{Outcome, Settings};
use scenario::Scenario;
use std::time::Duration;

/// A round of a scenario, with what was recorded altered.
fn round(name: &str, faults: &[&str], tamper: fn(&mut Vec<Event>)) -> Outcome {
    let mut scenario = named(name);
    scenario.crowd.round = Duration::from_secs(2);
    run::run(&scenario, &settings(faults, tamper))
}

fn named(name: &str) -> Scenario {
    let mut scenarios = scenario::all().into_iter();
    scenarios.find(|scenario| scenario.name == name).unwrap()
}

/// One round.
fn settings(faults: &[&str], tamper: fn(&mut Vec<Event>)) -> Settings {
    Settings {
        seed: 7,
        time: Duration::ZERO,
        operations: 0,
        faults: faults.iter().map(|&name| name.to_owned()).collect(),
        tamper,
    }
}

/// How often what was found.
fn found(outcome: &Outcome, kinds: &[Kind]) -> u64 {
    assert_eq!(outcome.failure, None);
    let broken = &outcome.verdict.broken;
    assert_eq!(broken.is_empty(), outcome.verdict.story.is_none());
    let counts = kinds.iter().filter_map(|kind| broken.get(kind));
    counts.sum()
}

fn as_it_is(_: &mut Vec<Event>) {}

#[test]
fn a_round_that_is_recorded_as_it_was_is_found_to_be_good() {
    let outcome = round("losses", &["flush", "client-kill"], as_it_is);
    assert_eq!(outcome.failure, None);
    let verdict = &outcome.verdict;
    assert!(verdict.broken.is_empty(), "{:?}", verdict.story);
    assert!(outcome.verdict.operations > 0 && outcome.verdict.grants > 0);
}

#[test]
fn locks_that_are_flushed_behind_the_recorders_back_are_found_to_have_two_owners() {
    let outcome = round("losses", &["flush"], |events| {
        events.retain(|event| !matches!(event.what, What::MayLose | What::Keeps));
    });
    assert!(found(&outcome, &[Kind::TwoOwners]) > 0);
}

/// Alters the reply of each hundredth grant.
fn alter(events: &mut [Event], change: fn(&mut u32, &mut i64)) {
    let replies = events.iter_mut().filter_map(|event| match &mut event.what {
        What::Heard { reply, .. } => Some(reply),
        _ => None,
    });
    let grants = replies.filter_map(|reply| match reply {
        Reply::Grant { holds: 0, .. } => None,
        Reply::Grant { holds, token, .. } => Some((holds, token)),
        _ => None,
    });
    grants
        .step_by(100)
        .for_each(|(holds, token)| change(holds, token));
}

#[test]
fn a_hold_count_that_is_recorded_wrong_is_found() {
    let outcome = round("losses", &["none"], |events| {
        alter(events, |holds, _| *holds += 7)
    });
    assert!(found(&outcome, &[Kind::HoldCount]) > 0);
}

#[test]
fn a_token_that_is_recorded_too_small_is_found() {
    let outcome = round("losses", &["none"], |events| {
        alter(events, |_, token| *token -= 60_000_000)
    });
    assert!(found(&outcome, &[Kind::TokenOrder, Kind::TokenReused]) > 0);
}

#[test]
fn a_reply_that_never_came_is_found() {
    let outcome = round("losses", &["none"], |events| {
        let of_lock = |event: &Event| matches!(event.of, Of::Lock(_));
        let last = events
            .iter()
            .rposition(|event| of_lock(event) && matches!(event.what, What::Heard { .. }));
        events.remove(last.unwrap());
        // Its connection stays open.
        events.retain(|event| !matches!(event.what, What::Closed { .. } | What::Dropped { .. }));
    });
    // And those of clients that went away with a call under way.
    assert!(found(&outcome, &[Kind::NotAnswered]) > 0);
}

#[test]
fn without_a_grace_period_a_server_that_forgets_is_found_to_make_second_owners() {
    let mut scenario = named("crash without a grace period");
    scenario.promises.tolerated = &[];
    let settings = Settings {
        time: lock_test_support::PATIENCE,
        ..settings(&[], as_it_is)
    };
    // It ends with the first.
    let outcome = run::run(&scenario, &settings);
    assert!(found(&outcome, &[Kind::TwoOwners]) > 0);
}

#[test]
fn the_same_seed_draws_the_same_faults_in_the_same_order() {
    let pause = Duration::from_millis(100);
    let drawn = |seed| fault::plan(seed, 5, pause).take(40).collect::<Vec<_>>();
    assert_eq!(drawn(3), drawn(3));
    assert_ne!(drawn(3), drawn(4));
    // Each once, before any comes twice.
    let mut first: Vec<usize> = drawn(3).iter().take(5).map(|step| step.fault).collect();
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3, 4]);
    assert!(fault::plan(3, 0, pause).next().is_none());
}

#[test]
fn a_reply_is_read_when_it_is_whole() {
    let bytes =
        b"*4\r\n:1\r\n:2\r\n:1795251785622463\r\n:30000\r\n-NOTOWNER x\r\n$2\r\nab\r\n+OK\r\n";
    let (first, length) = parse(bytes).unwrap();
    assert_eq!(
        first.numbers().unwrap(),
        [1, 2, 1_795_251_785_622_463, 30_000]
    );
    for end in 0..length {
        assert_eq!(parse(&bytes[..end]), None);
    }
    let mut at = length;
    let mut next = || {
        let (said, length) = parse(&bytes[at..]).unwrap();
        at += length;
        said
    };
    assert_eq!(next(), Said::Error("NOTOWNER x".to_owned()));
    assert_eq!(next(), Said::Text("ab".to_owned()));
    assert_eq!(next(), Said::Text("OK".to_owned()));
    assert_eq!(at, bytes.len());
}

fn written(of: &[(i64, &str)]) -> Vec<fencing::Written> {
    let written = |&(token, owner): &(i64, &str)| fencing::Written {
        token,
        owner: owner.to_owned(),
    };
    of.iter().map(written).collect()
}

#[test]
fn a_stopped_writer_that_overwrites_a_later_one_does_harm_that_is_counted_and_breaks_no_promise() {
    let unchecked = written(&[(1, "a"), (2, "b"), (1, "a"), (3, "a")]);
    let checked = written(&[(1, "a"), (2, "b"), (3, "a")]);
    let verdict = fencing::judge(&[unchecked, checked, Vec::new()]);
    assert!(verdict.broken.is_empty(), "{:?}", verdict.story);
    assert_eq!(verdict.not_promised[&Kind::TokenOrder], 1);
}

#[test]
fn a_token_that_two_writers_had_is_found() {
    let unchecked = written(&[(1, "a"), (2, "b"), (2, "c"), (2, "b")]);
    let verdict = fencing::judge(&[unchecked, Vec::new(), Vec::new()]);
    assert_eq!(verdict.broken[&Kind::TokenReused], 1);
}

#[test]
fn a_holder_that_the_store_refuses_within_its_lease_is_found() {
    let refused = written(&[(1, "a")]);
    let verdict = fencing::judge(&[Vec::new(), written(&[(2, "b")]), refused]);
    assert_eq!(verdict.broken[&Kind::TokenOrder], 1);
}

#[test]
fn a_token_below_the_last_that_the_store_has_taken_is_found() {
    let verdict = fencing::judge(&[Vec::new(), written(&[(2, "b"), (1, "a")]), Vec::new()]);
    assert_eq!(verdict.broken[&Kind::TokenOrder], 1);
}
