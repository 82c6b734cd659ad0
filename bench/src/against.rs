//! `lock-bench against PATH`: two builds of the module, by what a pair costs and by how fast a lock is handed over.

use crate::common::support::{Setup, module};
use crate::common::{Core, Spread};
use crate::hand_off::relay::{Baton, Relay};
use crate::pair_cost::waited;
use clap::Args;
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// What to compare.
#[derive(Args)]
pub struct Options {
    /// The other build: a .so
    path: PathBuf,
    /// How many rounds are counted
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How many pairs each build has in a round, rounded up to thousands
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,
    /// How many times each build hands over in a round
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// How many wait in the long queue
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=2500))]
    waiters: u16,
}

/// Measures, and prints the tables.
///
/// # Errors
/// A file that is not there, or a wrong reply.
pub fn run(options: &Options) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", options.path.display());
    let other = options.path.canonicalize().map_err(failed)?;
    crate::common::support::allow_many_files();
    let core = Core::reserve();
    let turns = options.pairs.div_ceil(1000);
    waited::measure(
        options.rounds,
        (turns as usize, turns * 1000),
        Some(&other),
        &core,
    )?;
    println!(
        "\nhand-off: us from sending a release to the next one's reply, a round's median: median (least to most)\n"
    );
    for waiting in [1, usize::from(options.waiters)] {
        hand_over(options, &other, waiting, &core);
    }
    Ok(())
}

/// Both builds hand a lock on, one step each in turn. New servers each round: where in memory a server happens to lie
/// makes it faster or slower for all its life.
fn hand_over(options: &Options, other: &Path, waiting: usize, core: &Core) {
    let modules = [module(), other.to_owned()];
    let mut medians = [Vec::new(), Vec::new()];
    let bar = ProgressBar::new(options.rounds);
    for _ in 0..options.rounds {
        let servers = modules.each_ref().map(|module| {
            let line = format!("loadmodule {}", module.display());
            let server = Setup::without_module().config(&line).start();
            core.give(server.pid());
            server
        });
        let mut relays = servers
            .each_ref()
            .map(|server| Relay::new(server, Baton::Lock, "lock", waiting + 1, waiting));
        let mut took = [Vec::new(), Vec::new()];
        // The first tenth is not counted.
        let first = options.steps / 10;
        for step in 0..options.steps + first {
            for turn in 0..2 {
                let at = (step as usize + turn) % 2;
                let time = relays[at].pass_on();
                if step >= first {
                    took[at].push(time.as_nanos() as f64 / 1000.0);
                }
            }
        }
        for (medians, took) in medians.iter_mut().zip(took) {
            medians.push(Spread::of(took).median);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let [ours, others] = medians;
    let ratio = Spread::of_ratios(&ours, &others);
    println!(
        "{waiting} in line, ours                       {:24.1}",
        Spread::of(ours)
    );
    println!(
        "{waiting} in line, the other build            {:24.1}",
        Spread::of(others)
    );
    println!("ours / the other build: {ratio:.3}\n");
}
