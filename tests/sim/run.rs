//! Runs a history: from a seed to what is wrong with it.

use crate::check::{check, Entry, Violation};
use crate::schedule::Schedule;
use crate::stats::Stats;
use crate::world::World;
use crate::Planted;

/// A history that was run.
pub struct Outcome {
    pub history: Vec<Entry>,
    pub violations: Vec<Violation>,
    pub stats: Stats,
}

/// Executes a schedule, and judges the history.
pub fn execute(schedule: &Schedule, planted: Planted) -> Outcome {
    let mut world = World::new(schedule, planted);
    world.run();
    let history = std::mem::take(&mut world.history);
    let stats = world.take_stats();
    let violations = check(&history, &schedule.config.promises);
    Outcome {
        history,
        violations,
        stats,
    }
}
