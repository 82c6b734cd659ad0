//! `lock-bench`: compares the locks of redis-reentrant-lock with what people use instead. See `bench/README.md`.
//!
//! Data flows one way: the catalogue and the plan say what to measure, `run` measures it, `figures` keep what came of
//! it, `report` shows it.

mod catalogue;
mod cli;
mod compare;
mod core;
mod figures;
mod languages;
mod machine;
mod meter;
mod metrics;
mod plan;
mod protocol;
mod report;
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
    let outcome = match cli.command {
        Some(Program::Worker) => {
            worker::serve();
            Ok(())
        }
        None => compare::compare(&cli.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lock-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
