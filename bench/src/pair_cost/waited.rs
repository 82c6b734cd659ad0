//! What waiting costs those who do not wait: the same pairs on servers where nobody has ever
//! waited, where someone has, and, if asked for, with another build of the module.

use super::contestants::{self, Contestant};
use crate::common::support::{self, Client, Server, Setup, Waiter};
use crate::common::{Core, Gauge, Spread, server_name};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// A server to be compared.
struct Side {
    name: String,
    module: PathBuf,
    /// Whether someone has waited on it. From then on the module is told of every change of a key,
    /// and looks at every command.
    waited: bool,
}

/// Measures all sides, and prints the table:
/// of so many rounds, and of so many turns with so many pairs in all.
///
/// # Errors
/// A wrong reply.
pub fn measure(
    rounds: u64,
    (turns, pairs): (usize, u64),
    against: Option<&Path>,
    core: &Core,
) -> Result<(), String> {
    let sides = sides(against);
    let pair = contestants::ours();
    let mut costs = vec![Vec::new(); sides.len()];
    let mut server = String::new();
    let bar = ProgressBar::new(rounds);
    for _ in 0..rounds {
        // New servers each round: where in memory a server happens to lie makes it faster or
        // slower for all its life.
        let mut started: Vec<Started> = sides.iter().map(|side| Started::new(side, core)).collect();
        let mut sums = vec![0; sides.len()];
        // The first turn is not counted.
        for turn in 0..=turns {
            for step in 0..sides.len() {
                let at = (turn + step) % sides.len();
                let cost = started[at].take_turn(&pair)?;
                sums[at] += if turn == 0 { 0 } else { cost };
            }
        }
        for (costs, sum) in costs.iter_mut().zip(sums) {
            costs.push(sum as f64 / pairs as f64);
        }
        server = server_name(&mut started[0].client);
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("\n{server}, waiting: {rounds} rounds of {pairs} pairs");
    println!(
        "ns of the server's main thread per pair, and that / the first: median (least to most)\n"
    );
    for (side, costs_here) in sides.iter().zip(&costs) {
        let (cost, ratio) = (
            Spread::of(costs_here.clone()),
            Spread::of_ratios(costs_here, &costs[0]),
        );
        println!("{:42} {cost:18.0}   {ratio:.2}", side.name);
    }
    if against.is_some() {
        let ratio = Spread::of_ratios(&costs[0], &costs[sides.len() - 1]);
        println!("\nours / the other build: {ratio:.3}");
    }
    Ok(())
}

fn sides(against: Option<&Path>) -> Vec<Side> {
    let ours = |name: &str, waited| Side {
        name: name.to_owned(),
        module: support::module(),
        waited,
    };
    let mut sides = vec![
        ours("nobody has waited", false),
        ours("the same again, to see the noise", false),
        ours("someone has waited once", true),
    ];
    sides.extend(against.map(|path| Side {
        name: "the other build, nobody has waited".to_owned(),
        module: path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        waited: false,
    }));
    sides
}

/// A server that runs.
struct Started {
    client: Client,
    gauge: Gauge,
    _server: Server,
}

impl Started {
    fn new(side: &Side, core: &Core) -> Started {
        let module = format!("loadmodule {}", side.module.display());
        let server = Setup::without_module().config(&module).start();
        core.give(server.pid());
        let mut client = server.client();
        if side.waited {
            client.grant("LOCK.ACQUIRE waited me");
            let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE waited you WAIT 0");
            client.run("LOCK.RELEASE waited me");
            assert_eq!(waiter.grant()[0], 1);
            assert_eq!(waiter.run("LOCK.RELEASE waited you"), "0");
        }
        Started {
            gauge: Gauge::new(&server),
            client,
            _server: server,
        }
    }

    fn take_turn(&mut self, pair: &Contestant) -> Result<u64, String> {
        pair.take_turn(&mut self.client, &self.gauge)
    }
}
