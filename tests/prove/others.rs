//! What is shown otherwise than by histories: a random client that sends anything in any way, and the memory of a server
//! while many contend.

use crate::run::{Outcome, Settings};
use crate::scenario::{Scenario, ALL, BUSY};
use crate::{inputs, memory};
use lock_test_support::Setup;
use std::time::{Duration, Instant};

/// The scenarios.
pub fn all() -> Vec<Scenario> {
    vec![
        scenario(
            "inputs",
            "a random client sends anything in any way, while keys hold anything",
            try_inputs,
        ),
        scenario(
            "memory",
            "many contend, are killed and leave, and the server's memory stays flat",
            watch_memory,
        ),
    ]
}

/// The suite has both in short.
fn scenario(
    name: &'static str,
    about: &'static str,
    instead: fn(&Settings) -> Outcome,
) -> Scenario {
    Scenario {
        name,
        about,
        short: false,
        start: || Err("it has servers of its own".to_owned()),
        troublemakers: Vec::new(),
        pause: Duration::ZERO,
        promises: ALL,
        crowd: BUSY,
        finally: |_| Ok(()),
        instead: Some(instead),
    }
}

fn try_inputs(settings: &Settings) -> Outcome {
    let server = Setup::new().start();
    let mut outcome = Outcome::default();
    let begun = Instant::now();
    let mut tried = None;
    while tried.is_none()
        || begun.elapsed() < settings.time
        || outcome.verdict.operations < settings.operations
    {
        let seed = settings.seed.wrapping_add(outcome.rounds);
        let time = settings.time.clamp(SLICE, 10 * SLICE);
        let new = inputs::run(&server, time, seed);
        new.check();
        outcome.rounds += 1;
        outcome.verdict.operations += new.calls;
        outcome.inputs += new.inputs();
        tried = Some(new);
    }
    let last = tried.map(|tried| tried.to_string()).unwrap_or_default();
    outcome.said = Some(format!("In the last round {last}."));
    outcome
}

/// For so long a random client goes on at least, before the server is looked at.
const SLICE: Duration = Duration::from_secs(2);

fn watch_memory(settings: &Settings) -> Outcome {
    let server = memory::quiet().start();
    let each = settings.operations.max(LEAST) / ROUNDS;
    let memory = memory::run(&server, ROUNDS, each, settings.seed);
    let mut outcome = Outcome {
        rounds: ROUNDS,
        said: Some(format!("{memory}.")),
        failure: (!memory.is_flat()).then(|| "the memory grows".to_owned()),
        ..Outcome::default()
    };
    outcome.verdict.operations = memory.operations();
    outcome
}

/// So many operations at least, in so many rounds.
const LEAST: u64 = 40_000;
const ROUNDS: u64 = 4;
