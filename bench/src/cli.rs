//! The command line.

use crate::catalogue::{self, SMOKE, System};
use crate::plan::{Extent, Topic};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Compares this project's locks with what people use instead, on this machine
#[derive(Parser)]
#[command(name = "lock-bench")]
pub struct Cli {
    /// One of the other programs
    #[command(subcommand)]
    pub command: Option<Program>,
    /// What to measure
    #[command(flatten)]
    pub options: Options,
}

/// The programs beside the comparison.
#[derive(Subcommand)]
pub enum Program {
    /// Plays the clients of one system; what it is to do comes from its standard input
    #[command(hide = true)]
    Worker,
    /// Compares two builds of the module: what a pair costs, and how fast a lock is handed over
    Against(crate::against::Options),
    /// Compares what an uncontended lock costs the server's main thread
    PairCost(crate::pair_cost::Options),
    /// Measures how a lock passes from owner to owner, and what a waiter takes
    HandOff(crate::hand_off::Options),
    /// Measures what the deadlock search costs a command
    Deadlock(crate::deadlock::Options),
}

/// What to measure, and where the report goes.
#[derive(clap::Args)]
pub struct Options {
    /// Only these systems
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    systems: Vec<String>,
    /// Only these works: pair, reentry, contention, memory, crash, beside
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    work: Vec<String>,
    /// Only the cells of pair, reentry and contention whose id in report.json contains one of these
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub cells: Vec<String>,
    /// How long a round is
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// How many rounds are counted; one more, to warm up, comes first
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// In short: some of pair and contention, with systems that need nothing but redis-server
    #[arg(long)]
    smoke: bool,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: PathBuf,
    /// Also write a dated copy to docs/benchmarks
    #[arg(long)]
    pub keep: bool,
    /// Another server than redis-server: a program, or a name of tests/servers.tsv
    #[arg(long, value_name = "PATH|NAME")]
    pub server: Option<String>,
}

impl Options {
    /// The systems.
    ///
    /// # Errors
    /// A name that there is not.
    pub fn systems(&self) -> Result<Vec<System>, String> {
        if self.smoke && self.systems.is_empty() {
            return catalogue::choose(&SMOKE);
        }
        catalogue::choose(&self.systems)
    }

    /// The works.
    ///
    /// # Errors
    /// A name that there is not.
    pub fn topics(&self) -> Result<Vec<Topic>, String> {
        use clap::ValueEnum;
        if self.smoke && self.work.is_empty() {
            return Ok(vec![Topic::Pair, Topic::Contention]);
        }
        let all = Topic::value_variants();
        let name = |topic: &Topic| {
            topic
                .to_possible_value()
                .map(|value| value.get_name().to_owned())
        };
        for wrong in &self.work {
            if !all.iter().any(|topic| name(topic).as_ref() == Some(wrong)) {
                let names: Vec<String> = all.iter().filter_map(name).collect();
                return Err(format!(
                    "there is no work {wrong}: there are {}",
                    names.join(", ")
                ));
            }
        }
        let chosen = |topic: &&Topic| {
            self.work.is_empty() || name(topic).is_some_and(|name| self.work.contains(&name))
        };
        Ok(all.iter().filter(chosen).copied().collect())
    }

    /// The name of the copy of a day. Reports of different works stand side by side.
    pub fn dated(&self, day: &str) -> String {
        let works = self.work.iter().map(|work| format!("-{work}"));
        std::iter::once(day.to_owned()).chain(works).collect()
    }

    /// How much.
    ///
    /// # Errors
    /// It is no time.
    pub fn extent(&self) -> Result<Extent, String> {
        if !(self.seconds > 0.0 && self.seconds <= 3600.0) {
            return Err(format!("a round cannot have {} seconds", self.seconds));
        }
        if self.rounds == 0 {
            return Err("there must be a round".to_owned());
        }
        let (seconds, rounds) = match self.smoke {
            true => (self.seconds.min(0.25), self.rounds.min(5)),
            false => (self.seconds, self.rounds),
        };
        Ok(Extent {
            seconds,
            rounds,
            smoke: self.smoke,
        })
    }
}
