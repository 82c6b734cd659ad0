//! The simulator repeats itself, and finds what is broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Its command line is another target's.
#![allow(dead_code)]

mod bad_histories;
mod check;
mod plan;
mod planted;
mod run;
mod schedule;
mod shrink;
mod stats;
mod stories;
mod world;

use plan::PLANS;
use redis_reentrant_lock::engine::PlantedFault;

/// A fault that was planted in the engine.
pub type Planted = Option<PlantedFault>;

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte() {
    for plan in &PLANS {
        for seed in 0..20 {
            let run = || {
                let outcome = run::execute(&plan.schedule(seed), None);
                format!("{:?} {:?}", outcome.history, outcome.stats)
            };
            assert_eq!(run(), run(), "plan {}, seed {seed}", plan.name);
        }
    }
}

/// No check of a plan is switched off by chance: each plan runs, and much happens in it.
#[test]
fn every_plan_is_run_and_holds() {
    let seed = fastrand::u64(..1 << 48);
    for plan in &PLANS {
        for number in 0..50 {
            let seed = seed + number;
            let outcome = run::execute(&plan.schedule(seed), None);
            assert_eq!(outcome.violations, [], "plan {}, seed {seed}", plan.name);
        }
    }
}
