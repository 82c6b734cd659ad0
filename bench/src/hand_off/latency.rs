//! From the sending of a release to the reply that the next owner reads.

use super::Options;
use super::relay::{Baton, Relay};
use crate::common::support::{Server, Setup};
use crate::common::{Core, Spread, server_name};
use indicatif::ProgressBar;

const FROM_HAND: &str = "LPUSH to one who waits in BLPOP";
const LOCK: &str = "LOCK.RELEASE to one who waits in line";

/// Those that are compared, in the order of the table. The long line is beside a short one with as
/// many connections, which take turns: a connection that was not used for a while is slower,
/// whatever it waits for. A long line of `BLPOP` is not among them: some servers go through all of
/// it, and leave cold caches to whoever comes next.
const FEW: usize = 2;
const ROWS: [&str; 4] = [
    FROM_HAND,
    LOCK,
    "  1 in line, of many connections",
    "  many in line",
];

/// Measures, and prints the table.
pub fn measure(options: &Options) {
    let core = Core::reserve();
    let server = Setup::new().start();
    core.give(server.pid());
    let many = usize::from(options.waiters);
    let relay = |name: &str, waiting| {
        let runners = many + 1;
        Relay::new(&server, Baton::Lock, name, runners, waiting)
    };
    let mut relays = few(&server, 0);
    relays.push(relay("lock-1", 1));
    relays.push(relay("lock-many", many));

    let mut medians = vec![Vec::new(); relays.len()];
    let bar = ProgressBar::new(options.rounds + 1);
    for round in 0..=options.rounds {
        // New connections: where in memory one happens to lie makes it faster or slower.
        relays.splice(..FEW, few(&server, round + 1));
        let mut took = vec![Vec::new(); relays.len()];
        for step in 0..options.steps as usize {
            for turn in 0..relays.len() {
                let at = (step + turn) % relays.len();
                took[at].push(relays[at].pass_on().as_nanos() as f64 / 1000.0);
            }
        }
        bar.inc(1);
        if round == 0 {
            continue;
        }
        for (medians, took) in medians.iter_mut().zip(took) {
            medians.push(Spread::of(took).median);
        }
    }
    bar.finish_and_clear();
    print(&server, options, &medians);
}

/// A list and a lock with two connections each.
fn few(server: &Server, round: u64) -> Vec<Relay> {
    [(Baton::Element, "list"), (Baton::Lock, "lock")]
        .map(|(baton, name)| Relay::new(server, baton, &format!("{name}:{round}"), 2, 1))
        .into()
}

fn print(server: &Server, options: &Options, medians: &[Vec<f64>]) {
    let (rounds, steps, many) = (options.rounds, options.steps, options.waiters);
    let name = server_name(&mut server.client());
    println!("\n{name}, hand-off: {rounds} rounds of {steps}; many are {many}");
    println!("us from sending to the next one's reply, a round's median: median (least to most)\n");
    for (row, medians) in ROWS.iter().zip(medians) {
        println!("{row:42} {:24.1}", Spread::of(medians.clone()));
    }
    let ratio = |a: usize, b: usize| Spread::of_ratios(&medians[a], &medians[b]);
    println!();
    println!(
        "{LOCK} / {FROM_HAND}: {:.3}, promised: 1.10 at most",
        ratio(1, 0)
    );
    println!(
        "{many} in line / 1 in line: {:.3}, promised: 1.10 at most",
        ratio(3, 2)
    );
}
