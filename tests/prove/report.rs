//! The summary: what was done to which server, what was checked, and what was found.

use crate::run::{Outcome, Settings};
use crate::scenario::Scenario;
use std::fmt::Write;

/// A heading for the server, and the seed.
pub fn heading(server: &str, settings: &Settings) -> String {
    let Settings { seed, .. } = settings;
    format!("## {server}\n\nSeed {seed}.\n")
}

/// What there is to say of all of them together.
pub fn total(outcomes: &[Outcome]) -> String {
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let faults = sum(|outcome| outcome.faults.values().map(|fault| fault.times).sum());
    let operations = sum(|outcome| outcome.verdict.operations);
    let inputs = sum(|outcome| outcome.inputs);
    let violations = sum(|outcome| outcome.verdict.violations());
    let of = |outcome: &Outcome| outcome.faults.values().filter(|it| it.times == 0).count();
    let not_reached: usize = outcomes.iter().map(of).sum();
    let mut text = format!(
        "\nIn all: {faults} faults injected, {operations} operations checked, {inputs} inputs tried, {violations} violations.\n"
    );
    if not_reached > 0 {
        let _ = writeln!(
            text,
            "Not reached, for which it takes more time: {not_reached} kinds of faults."
        );
    }
    text
}

/// What there is to say of a scenario.
pub fn section(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = format!(
        "\n### {}\n\n{}.\n\n",
        scenario.name,
        capital(scenario.about)
    );
    if let Some(why) = &outcome.skipped {
        let _ = writeln!(text, "Does not apply: {why}.");
        return text;
    }
    let verdict = &outcome.verdict;
    let rate = verdict.operations as f64 / outcome.took.as_secs_f64();
    let _ = writeln!(
        text,
        "{} operations checked in {} rounds of {:.0} s in all ({rate:.0} a second), {} grants, {} outcomes unknown to the client.",
        verdict.operations,
        outcome.rounds,
        outcome.took.as_secs_f64(),
        verdict.grants,
        verdict.unknown,
    );
    if outcome.inputs > 0 {
        let _ = writeln!(text, "\n{} inputs tried.", outcome.inputs);
    }
    if let Some(said) = &outcome.said {
        let _ = writeln!(text, "\n{said}");
    }
    if !outcome.faults.is_empty() || !outcome.lacking.is_empty() {
        text.push_str(&faults(outcome));
    }
    text.push('\n');
    let mut not_promised: Vec<_> = verdict.not_promised.iter().collect();
    not_promised.sort();
    for (kind, count) in not_promised {
        let _ = writeln!(text, "Not promised here, and seen: {kind:?} {count} times.");
    }
    let _ = writeln!(text, "Violations: {}.", verdict.violations());
    let mut broken: Vec<_> = verdict.broken.iter().collect();
    broken.sort();
    for (kind, count) in broken {
        let _ = writeln!(text, "{kind:?}: {count}.");
    }
    if let Some(failure) = &outcome.failure {
        let _ = writeln!(text, "\nFAILED: {failure}");
    }
    if let Some(story) = &verdict.story {
        let _ = writeln!(text, "\n```text\n{}\n{}```", story.what, story.before);
    }
    text
}

/// What was done, how often, and how much went on meanwhile.
fn faults(outcome: &Outcome) -> String {
    let mut text =
        "\n| fault | times | operations in its rounds |\n| --- | ---: | ---: |\n".to_owned();
    for (name, injected) in &outcome.faults {
        let (times, operations) = (injected.times, injected.operations);
        let _ = match times {
            0 => writeln!(text, "| {name} | not reached | |"),
            _ => writeln!(text, "| {name} | {times} | {operations} |"),
        };
    }
    for (name, why) in &outcome.lacking {
        let _ = writeln!(text, "| {name} | does not apply: {why} | |");
    }
    text
}

/// How to repeat it.
pub fn again(settings: &Settings) -> String {
    let mut line = format!("make prove SEED={}", settings.seed);
    if !settings.faults.is_empty() {
        let _ = write!(line, " FAULTS='{}'", settings.faults.join(","));
    }
    format!(
        "\nAgain, with the same faults in the same order, though not the same timing: `{line}`.\n"
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
