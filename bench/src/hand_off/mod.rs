//! How fast a lock passes from one owner to the next, and what those who wait cost.
//!
//! `lock-bench hand-off`; `LOCK_TEST_SERVER` names another server than the one on the PATH.
//! What is promised are ratios in one run: those that are compared take turns, one hand-off each,
//! so that what slows the machine slows all of them.
//!
//! A wrong reply ends it with a panic. A missed promise does not: other work on the machine is
//! enough for that.

mod crowd;
pub mod latency;
mod memory;
pub mod relay;

use clap::{Args, ValueEnum};

/// How much of what to measure.
#[derive(Args)]
pub struct Options {
    /// How many rounds are counted; one more, to warm up, comes first
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How many times each contestant passes on in a round
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// How many wait in the long lines, and in the crowds whose memory is measured
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=2500))]
    waiters: u16,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["latency", "memory"])]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// How long it takes until the next owner is told
    Latency,
    /// How much memory the server takes for one who waits
    Memory,
}

/// Measures, and prints the tables.
pub fn run(options: &Options) {
    crate::common::support::allow_many_files();
    for part in &options.parts {
        match part {
            Part::Latency => latency::measure(options),
            Part::Memory => memory::measure(options),
        }
    }
}
