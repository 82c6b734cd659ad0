//! The simulator: simulated servers, replicas and clients, in which the real engine runs. `make simulate`.
//!
//! A [`plan`] and a seed make a [`schedule`]: what clients want, and what goes wrong, at which time. A [`world`] executes
//! it without any further chance, and records a history: what clients sent and heard, and what is known of the servers
//! beside. [`check`] judges the history, and knows nothing of the world. If something is wrong, [`shrink`] leaves out of
//! the schedule what is not needed for it. `suite.rs` is the same code as tests: that a seed repeats itself, that faults
//! that are planted in the engine are found (`planted.rs`), and what was found so far (`stories.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod plan;
mod run;
mod schedule;
mod shrink;
mod stats;
mod world;

use check::Violation;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use plan::{Plan, PLANS};
use redis_reentrant_lock::engine::PlantedFault;
use schedule::Schedule;
use stats::Stats;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A fault that was planted in the engine.
pub type Planted = Option<PlantedFault>;

/// Runs the engine through failovers, in simulated worlds, and checks what clients believed.
#[derive(Parser)]
struct Arguments {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The seed of the first history; the next ones have the next seeds.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this history.
    #[arg(long)]
    once: bool,
    /// Which plans, with commas between them.
    #[arg(long, value_delimiter = ',')]
    plans: Vec<String>,
    /// Lists the plans.
    #[arg(long)]
    list: bool,
    /// What `cargo test` passes on to all its targets is not for this one.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `cargo test NAME` runs the tests with that in their names.
    let filters = arguments.rest.iter().filter(|word| !word.starts_with('-'));
    if filters.clone().count() > 0 && !filters.clone().any(|name| "simulate".contains(&**name)) {
        println!("\ntest result: ok. 0 passed; 0 failed; 0 ignored");
        return ExitCode::SUCCESS;
    }
    if arguments.list {
        for plan in &PLANS {
            println!("{:<10} {}", plan.name, plan.about);
        }
        return ExitCode::SUCCESS;
    }
    let plans: Vec<&Plan> = match arguments.plans.is_empty() {
        true => PLANS.iter().collect(),
        false => PLANS
            .iter()
            .filter(|plan| arguments.plans.iter().any(|name| name == plan.name))
            .collect(),
    };
    if plans.is_empty() {
        eprintln!("There is no such plan; --list shows them.");
        return ExitCode::FAILURE;
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 48));
    println!("Seed {seed}");
    let most = if arguments.once { 1 } else { u64::MAX };
    let seconds = if arguments.once {
        f64::MAX
    } else {
        arguments.seconds
    };
    let mut stats = Stats::default();
    let begun = Instant::now();
    let failure = run_all(&plans, seed, most, seconds, &mut stats);
    print_figures(&stats, begun.elapsed());
    if let Some((seed, schedule, violation)) = &failure {
        print_failure(*seed, schedule, violation);
    }
    // One test, to those who count them.
    let (word, passed) = match failure {
        None => ("ok", 1),
        Some(_) => ("FAILED", 0),
    };
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored",
        1 - passed
    );
    match failure {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}

type Failure = (u64, Schedule, Violation);

fn run_all(
    plans: &[&Plan],
    seed: u64,
    most: u64,
    seconds: f64,
    stats: &mut Stats,
) -> Option<Failure> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{elapsed} {msg}").unwrap());
    let begun = Instant::now();
    for number in 0..most {
        let seed = seed.wrapping_add(number);
        for plan in plans {
            let schedule = plan.schedule(seed);
            let outcome = run::execute(&schedule, None);
            stats.add(&outcome.stats);
            if let Some(violation) = outcome.violations.into_iter().next() {
                return Some((seed, schedule, violation));
            }
        }
        if number % 16 == 0 {
            bar.set_message(format!(
                "{} histories, {} failovers",
                stats.histories, stats.failovers
            ));
            if begun.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
    }
    bar.finish_and_clear();
    None
}

fn print_figures(stats: &Stats, took: Duration) {
    let seconds = took.as_secs_f64();
    let per_second = |count: u64| count as f64 / seconds;
    println!(
        "{} histories in {seconds:.1} s: {:.0} histories, {:.1} simulated hours, {:.0} failovers and {:.0} restarts a second",
        stats.histories,
        per_second(stats.histories),
        stats.simulated as f64 / 3.6e9 / seconds,
        per_second(stats.failovers),
        per_second(stats.restarts),
    );
    stats.print();
}

fn print_failure(seed: u64, schedule: &Schedule, violation: &Violation) {
    let plan = schedule.config.plan;
    println!("\nPlan {plan}, seed {seed}: {violation}");
    let (short, violation) = shrink::shrink(schedule, violation.kind, None);
    println!(
        "The shortest schedule that fails so, of {} actions:",
        short.actions.len()
    );
    println!("{:?}", short.config);
    for action in &short.actions {
        println!("  at {:.6} s: {:?}", action.at as f64 / 1e6, action.what);
    }
    if let Some(violation) = violation {
        println!("{violation}\nIts history:");
        let until = violation.at;
        let history = run::execute(&short, None).history;
        for entry in history.iter().take_while(|entry| entry.at <= until) {
            println!("  {:>12.6} {:?}", entry.at as f64 / 1e6, entry.what);
        }
    }
    println!("Again: make simulate SEED={seed} PLANS={plan} ONCE=1");
}
