//! The shortest part of a schedule that still fails, by leaving out what is not needed for it.

use crate::check::{Kind, Violation};
use crate::run::execute;
use crate::schedule::{Action, Schedule, What};
use crate::Planted;

/// Leaves out actions, then steps of jobs, for as long as a violation of the same kind is found.
pub fn shrink(schedule: &Schedule, kind: Kind, planted: Planted) -> (Schedule, Option<Violation>) {
    let mut short = schedule.clone();
    loop {
        let before = (short.actions.len(), steps(&short));
        without_actions(&mut short, kind, planted);
        without_steps(&mut short, kind, planted);
        if before == (short.actions.len(), steps(&short)) {
            break;
        }
    }
    let violation = first(&short, kind, planted);
    (short, violation)
}

fn first(schedule: &Schedule, kind: Kind, planted: Planted) -> Option<Violation> {
    let found = execute(schedule, planted).violations;
    found.into_iter().find(|violation| violation.kind == kind)
}

fn steps(schedule: &Schedule) -> usize {
    let steps = |action: &Action| match &action.what {
        What::Job(job) => job.steps.len(),
        What::Fault(_) => 0,
    };
    schedule.actions.iter().map(steps).sum()
}

/// Delta debugging: ever smaller parts are left out.
fn without_actions(short: &mut Schedule, kind: Kind, planted: Planted) {
    let mut size = short.actions.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < short.actions.len() {
            let mut less = short.clone();
            let end = (at + size).min(less.actions.len());
            less.actions.drain(at..end);
            match first(&less, kind, planted) {
                Some(_) => *short = less,
                None => at += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}

fn without_steps(short: &mut Schedule, kind: Kind, planted: Planted) {
    for at in 0..short.actions.len() {
        let mut step = 0;
        loop {
            let mut less = short.clone();
            match &mut less.actions[at].what {
                What::Job(job) if step < job.steps.len() => job.steps.remove(step),
                _ => break,
            };
            match first(&less, kind, planted) {
                Some(_) => *short = less,
                None => step += 1,
            }
        }
    }
}
