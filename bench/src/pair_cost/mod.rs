//! What a lock that nobody else wants costs the server: the CPU time of its main thread for one
//! acquire and one release, beside what people would use instead.
//!
//! `lock-bench pair-cost`; `LOCK_TEST_SERVER` names another server than the one on the PATH.
//! The requests are pipelined on one connection. What is promised are ratios in one run: the
//! contestants take turns of some milliseconds, so that what slows the machine slows all of them.
//!
//! A wrong reply ends it with status 1. A missed promise does not: other work on the machine is
//! enough for that.

mod contestants;
pub mod waited;

use crate::common::support::{self, Client, Server};
use crate::common::{Core, Gauge, Spread, server_name};
use clap::{Args, ValueEnum};
use contestants::{Contestant, LOCKS, OURS, REDISSON, SET_AND_COMPARE};
use indicatif::ProgressBar;

/// How much of what to measure.
#[derive(Args)]
pub struct Options {
    /// How many rounds are counted; one more, to warm up, comes first
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How many pairs each contestant has in a round, rounded up to thousands
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// What the server does besides
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["alone", "replica", "aof"])]
    setups: Vec<Setup>,
}

impl Options {
    /// How many turns a round has, and how many pairs that makes.
    fn turns(&self) -> (usize, u64) {
        let turns = self.pairs.div_ceil(LOCKS as u64);
        (turns as usize, turns * LOCKS as u64)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Setup {
    /// Nothing
    Alone,
    /// It feeds a replica
    Replica,
    /// It writes an append-only file, synced every second
    Aof,
}

/// Measures, and prints the tables.
///
/// # Errors
/// A wrong reply.
pub fn run(options: &Options) -> Result<(), String> {
    let core = Core::reserve();
    for setup in &options.setups {
        measure(options, *setup, &core)?;
    }
    waited::measure(options.rounds, options.turns(), None, &core)
}

/// Measures all contestants in one setup, and prints the table.
fn measure(options: &Options, setup: Setup, core: &Core) -> Result<(), String> {
    let (server, replica) = start(setup);
    core.give(server.pid());
    let gauge = Gauge::new(&server);
    let mut client = server.client();
    let contestants = contestants::all(&mut client);
    let (turns, pairs) = options.turns();

    let mut costs = vec![Vec::new(); contestants.len()];
    let bar = ProgressBar::new(options.rounds + 1);
    for round in 0..=options.rounds {
        let mut sums = vec![0; contestants.len()];
        for turn in 0..turns {
            if let Some(replica) = &replica {
                server.wait_for_replica(replica);
            }
            for step in 0..contestants.len() {
                let at = (turn + step) % contestants.len();
                sums[at] += contestants[at].take_turn(&mut client, &gauge)?;
            }
        }
        bar.inc(1);
        if round == 0 {
            continue;
        }
        for (costs, sum) in costs.iter_mut().zip(sums) {
            costs.push(sum as f64 / pairs as f64);
        }
    }
    bar.finish_and_clear();
    let title = title(setup, &mut client, options.rounds, pairs);
    print(&title, &contestants, &costs);
    Ok(())
}

fn start(setup: Setup) -> (Server, Option<Server>) {
    let server = support::Setup::new();
    match setup {
        Setup::Alone => (server.start(), None),
        Setup::Replica => {
            let server = server.start();
            let replica = server.replica(support::Setup::without_module());
            (server, Some(replica))
        }
        Setup::Aof => {
            let server = server
                .config("appendonly yes")
                .config("appendfsync everysec");
            // A rewrite would fork the server in the middle of a turn.
            (server.config("auto-aof-rewrite-percentage 0").start(), None)
        }
    }
}

fn title(setup: Setup, client: &mut Client, rounds: u64, pairs: u64) -> String {
    let server = server_name(client);
    let setup = match setup {
        Setup::Alone => "alone",
        Setup::Replica => "with a replica",
        Setup::Aof => "with an append-only file, synced every second",
    };
    format!("{server}, {setup}: {rounds} rounds of {pairs} pairs")
}

fn print(title: &str, contestants: &[Contestant], costs: &[Vec<f64>]) {
    let of = |name| {
        let at = contestants
            .iter()
            .position(|contestant| contestant.name == name);
        &costs[at.expect("a contestant of that name")]
    };
    let ours_to = |other: &[f64]| Spread::of_ratios(of(OURS), other);
    println!("\n{title}");
    println!("ns of the server's main thread per pair, and ours / that: median (least to most)\n");
    for (contestant, costs) in contestants.iter().zip(costs) {
        let (cost, ratio) = (Spread::of(costs.clone()), ours_to(costs));
        println!("{:42} {cost:18.0}   {ratio:.2}", contestant.name);
    }
    println!();
    println!(
        "ours / {REDISSON}: {:.2}, promised: below 0.50",
        ours_to(of(REDISSON))
    );
    println!(
        "ours / {SET_AND_COMPARE}: {:.2}, promised: 1.00 at most",
        ours_to(of(SET_AND_COMPARE))
    );
}
