//! How long a command takes when many clients wait, in the worst shapes for the deadlock search.
//!
//! `lock-bench deadlock`; `LOCK_TEST_SERVER` names another server than the one on the PATH.
//! For a call that replies at once it is the time that the server counts itself (`INFO commandstats`), for one that
//! waits the CPU time of the server's main thread.
//!
//! A wrong reply ends it with a panic. A missed promise does not: other work on the machine is enough for that.

mod shapes;

use crate::common::support::{Client, Server, Setup, Waiter, allow_many_files, eventually};
use crate::common::{Gauge, Spread, server_name};
use clap::Args;
use indicatif::ProgressBar;
use shapes::{Shape, Then};

/// How much of what to measure.
#[derive(Args)]
pub struct Options {
    /// How often each shape is built and measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// How many wait
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(100..=15_000))]
    waits: u16,
    /// Only the shapes whose names contain this
    #[arg(long, default_value = "")]
    only: String,
}

/// Measures, and prints the table.
pub fn run(options: &Options) {
    allow_many_files();
    let shapes = shapes::all(usize::from(options.waits));
    let shapes: Vec<Shape> = shapes
        .into_iter()
        .filter(|shape| shape.name.contains(&options.only))
        .collect();
    let bar = ProgressBar::new(options.rounds * shapes.len() as u64);
    let mut lines = Vec::new();
    for shape in &shapes {
        let rounds = (0..options.rounds).map(|_| {
            bar.inc(1);
            measure(shape)
        });
        let rounds: Vec<Round> = rounds.collect();
        let times = Spread::of(rounds.iter().map(|round| round.ms).collect());
        let refused = rounds.iter().map(|round| round.refused).max();
        let refused = refused.unwrap_or_default();
        lines.push(format!("{:64} {times:24.2} {refused:8}", shape.name));
    }
    bar.finish_and_clear();
    let name = server_name(&mut Server::start().client());
    println!(
        "\n{name}, {} waits, {} rounds",
        options.waits, options.rounds
    );
    println!("ms of the command: median (least to most), promised: 5 at most; waits refused since");
    println!(
        "(whoever is granted a lock is granted all its waits for it: these are not bounded)\n"
    );
    lines.iter().for_each(|line| println!("{line}"));
}

struct Round {
    ms: f64,
    refused: u64,
}

fn measure(shape: &Shape) -> Round {
    let waits = shape.waits.len();
    let server = Setup::new()
        .module_args("max-waiters 100000")
        .config("maxclients 19000")
        .start();
    let mut client = server.client();
    for line in &shape.holds {
        client.grant(line);
    }
    let begin = |(before, line): &(Option<String>, String)| {
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        Waiter::begin(&server, &before, line)
    };
    let mut waiters: Vec<Waiter> = Vec::with_capacity(waits);
    for (at, wait) in shape.waits.iter().enumerate() {
        waiters.push(begin(wait));
        // The first ones in order.
        if at < 10 {
            server.until_waiting(at as u64 + 1);
        }
    }
    server.until_waiting(waits as u64);
    assert_eq!(client.counter("deadlocks_refused"), 0);
    let ms = match &shape.then {
        Then::Run(line) => {
            client.run("CONFIG RESETSTAT");
            client.run(line);
            spent(&mut client, line.split(' ').next().unwrap())
        }
        Then::Wait(line) => {
            let gauge = Gauge::new(&server);
            let before = gauge.read();
            let waiter = begin(&(None, line.clone()));
            eventually("it waits", || waiter.is_blocked(&mut client));
            (gauge.read() - before) as f64 / 1e6
        }
    };
    let refused = client.counter("deadlocks_refused");
    Round { ms, refused }
}

/// The milliseconds that the server has spent on a command.
fn spent(client: &mut Client, command: &str) -> f64 {
    let field = format!("cmdstat_{}", command.to_lowercase());
    let stats = client.info("commandstats", &field).unwrap();
    let usec = stats.split(',').find_map(|part| part.strip_prefix("usec="));
    usec.unwrap().parse::<f64>().unwrap() / 1000.0
}
