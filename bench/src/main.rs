//! `lock-bench`: compares the locks of redis-reentrant-lock with what people use instead. See `bench/README.md`.
//!
//! Data flows one way: the catalogue and the plan say what to measure, `run` measures it, `figures` keep what came of
//! it, `report` shows it.

mod against;
mod catalogue;
mod cli;
mod common;
mod compare;
mod core;
mod deadlock;
mod environment;
mod figures;
mod hand_off;
mod languages;
mod machine;
mod meter;
mod metrics;
mod pair_cost;
mod plan;
mod protocol;
mod report;
mod repository;
mod run;
mod service;
mod stats;
mod wire;
mod worker;
mod worker_process;

use clap::Parser;
use cli::{Cli, Program};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Program::Worker) = cli.command {
        worker::serve();
        return ExitCode::SUCCESS;
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lock-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    // Wrong names first: nobody should wait for a server to learn of them.
    cli.options.systems()?;
    cli.options.topics()?;
    environment::prepare(cli.options.server.as_deref())?;
    match &cli.command {
        Some(Program::Worker) => Ok(()),
        Some(Program::PairCost(options)) => pair_cost::run(options),
        Some(Program::HandOff(options)) => {
            hand_off::run(options);
            Ok(())
        }
        Some(Program::Deadlock(options)) => {
            deadlock::run(options);
            Ok(())
        }
        Some(Program::Against(options)) => against::run(options),
        None => compare::compare(&cli.options),
    }
}
