//! The proof under fault: many clients on real servers, everything that may go wrong, and the checker of the simulator,
//! which judges what the clients believed. `make prove`.
//!
//! A [`scenario`] is a [`world`] of servers, the faults that happen to them, and what is promised then. It runs in rounds
//! ([`run`]): [`client`]s and [`fault`]s are drawn from a seed, and each thread keeps a journal ([`record`]). [`judge`] cuts
//! the journals into the histories of single locks, and gives those to [`check`]. `suite.rs` is the same code as tests: that
//! what is wrong is found. Without arguments it runs for some seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aftermath;
#[path = "../sim/check/mod.rs"]
mod check;
mod client;
mod fault;
mod fencing;
#[path = "../inputs/mod.rs"]
mod inputs;
mod judge;
mod line;
#[path = "../memory/mod.rs"]
mod memory;
mod others;
mod record;
mod report;
mod resp;
mod route;
mod run;
mod scenario;
mod topology;
mod world;

use clap::Parser;
use run::{Outcome, Settings};
use scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Lets everything go wrong on a real server, and checks what its clients believed.
#[derive(Parser)]
struct Arguments {
    /// For how long in all, in seconds. Without it: the short form.
    #[arg(long)]
    seconds: Option<f64>,
    /// The seed of the first scenario; the next ones have the next seeds.
    #[arg(long)]
    seed: Option<u64>,
    /// Which faults, with commas between them.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Which scenarios, with commas between them: the beginnings of their names.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Each scenario goes on until so many operations were checked under each fault.
    #[arg(long, default_value_t = 0)]
    operations: u64,
    /// A file that the summary is written to.
    #[arg(long)]
    report: Option<PathBuf>,
    /// To be one of the writers of the scenario `fencing`: the ports of the locks and of the store.
    #[arg(long, hide = true, value_delimiter = ',')]
    writer: Vec<u16>,
    /// Lists the scenarios and their faults.
    #[arg(long)]
    list: bool,
    /// What `cargo test` passes on to all its targets is not for this one.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// How long the short form takes, start and end of the servers not counted.
const SHORT: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `cargo test NAME` runs the tests with that in their names.
    let filters = arguments.rest.iter().filter(|word| !word.starts_with('-'));
    if filters.clone().count() > 0 && !filters.clone().any(|name| "prove".contains(&**name)) {
        println!("\ntest result: ok. 0 passed; 0 failed; 0 ignored");
        return ExitCode::SUCCESS;
    }
    if let [_, _] = arguments.writer[..] {
        fencing::write(&arguments.writer, arguments.seed.unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    if arguments.list {
        list();
        return ExitCode::SUCCESS;
    }
    let scenarios = chosen(&arguments);
    if scenarios.is_empty() {
        eprintln!("There is no such scenario, or none has such a fault; --list shows them.");
        return ExitCode::FAILURE;
    }
    lock_test_support::allow_many_files();
    let whole = arguments.seconds.map_or(SHORT, Duration::from_secs_f64);
    let until = Instant::now() + whole;
    let settings = Settings {
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 48)),
        time: whole,
        operations: arguments.operations,
        faults: arguments.faults,
        tamper: |_| (),
    };
    println!("Seed {}", settings.seed);
    let (mut sections, mut outcomes) = (String::new(), Vec::new());
    for (number, scenario) in scenarios.iter().enumerate() {
        // Each fault is to have its turn.
        let share =
            weight(scenario) as f64 / scenarios[number..].iter().map(weight).sum::<usize>() as f64;
        let settings = Settings {
            seed: settings.seed.wrapping_add(number as u64),
            time: until
                .saturating_duration_since(Instant::now())
                .mul_f64(share),
            ..settings.clone()
        };
        let outcome: Outcome = run::run(scenario, &settings);
        if let Some(story) = &outcome.verdict.story {
            save(
                scenario,
                &settings,
                &story.whole,
                arguments.report.as_deref(),
            );
        }
        let section = report::section(scenario, &outcome);
        print!("{section}");
        sections.push_str(&section);
        outcomes.push(outcome);
    }
    let mut good = outcomes.iter().all(Outcome::is_good);
    let total = report::total(&outcomes);
    let again = report::again(&settings);
    print!("{total}{again}");
    let text = report::heading(&server(), &settings) + &total + &sections + &again;
    if let Some(path) = &arguments.report {
        if let Err(error) = std::fs::write(path, &text) {
            eprintln!("The summary could not be written: {error}");
            good = false;
        }
    }
    // One test, to those who count them.
    let (word, passed) = if good { ("ok", 1) } else { ("FAILED", 0) };
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored",
        1 - passed
    );
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How much of the time a scenario has, compared with the others.
fn weight(scenario: &Scenario) -> usize {
    scenario.faults().len().max(1)
}

/// The scenarios that the arguments choose: without any the short form's, or all.
fn chosen(arguments: &Arguments) -> Vec<Scenario> {
    let is_named = |scenario: &Scenario| match arguments.scenarios.as_slice() {
        [] => arguments.seconds.is_some() || arguments.operations > 0 || scenario.short,
        names => names.iter().any(|name| scenario.name.starts_with(&**name)),
    };
    let has_fault = |scenario: &Scenario| {
        let faults = scenario.faults();
        let mut names = faults.iter().map(|fault| fault.name());
        arguments.faults.is_empty() || names.any(|name| arguments.faults.iter().any(|f| f == name))
    };
    scenario::all()
        .into_iter()
        .filter(|scenario| is_named(scenario) && has_fault(scenario))
        .collect()
}

/// Keeps the whole history of the lock that something is wrong with, beside the summary if there is one.
fn save(scenario: &Scenario, settings: &Settings, history: &str, report: Option<&Path>) {
    let letters = scenario.name.chars().map(|letter| match letter {
        ' ' | ',' => '-',
        letter => letter,
    });
    let name = format!("{}-{}.txt", letters.collect::<String>(), settings.seed);
    let folder = report.and_then(Path::parent);
    let file = folder
        .map_or_else(std::env::temp_dir, Path::to_owned)
        .join(name);
    match std::fs::write(&file, history) {
        Ok(()) => println!("The whole history of the lock is in {}", file.display()),
        Err(error) => eprintln!("The history could not be written: {error}"),
    }
}

fn list() {
    for scenario in scenario::all() {
        println!("{}: {}", scenario.name, scenario.about);
        for fault in scenario.faults() {
            println!("    {}", fault.name());
        }
    }
}

/// What the server program says that it is.
fn server() -> String {
    let output = Command::new(lock_test_support::binary())
        .arg("--version")
        .output();
    let text = output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let mut words = text.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let version = words.find_map(|word| word.strip_prefix("v="));
    format!("{name} {}", version.unwrap_or_default())
}
