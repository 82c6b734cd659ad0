//! The summary: what was done to which server, what was checked, and what was found.

use crate::run::{Outcome, Settings};
use crate::scenario::Scenario;
use std::fmt::Write;

/// A heading for the server, and the seed.
pub fn heading(server: &str, settings: &Settings) -> String {
    let Settings { seed, .. } = settings;
    format!("## {server}\n\nSeed {seed}.\n")
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
    text.push_str("\n| fault | times | operations in its rounds |\n| --- | ---: | ---: |\n");
    for (name, injected) in &outcome.faults {
        let (times, operations) = (injected.times, injected.operations);
        let _ = writeln!(text, "| {name} | {times} | {operations} |");
    }
    for (name, why) in &outcome.lacking {
        let _ = writeln!(text, "| {name} | does not apply: {why} | |");
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
