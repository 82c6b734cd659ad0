//! Measures: starts servers and workers, and turns what they say into figures.

mod beside;
mod crash;
mod held;
mod memory;
mod side;
mod traffic;
mod turns;
mod waiters;

use crate::catalogue::System;
use crate::core::Core;
use crate::figures::{Gap, Table};
use crate::languages::Languages;
use crate::plan::{Extent, Topic, cells};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What every measurement needs.
pub struct Bench {
    /// Who runs where.
    pub core: Core,
    /// The workers' programs.
    pub languages: Languages,
    /// How much.
    pub extent: Extent,
    /// Only the cells whose ids contain one of these; all where there are none.
    pub only: Vec<String>,
    /// Where the workers' other output goes.
    pub logs: PathBuf,
    /// How far it is.
    pub bar: ProgressBar,
    /// What was not measured.
    pub gaps: Vec<Gap>,
}

impl Bench {
    /// Measures a work with these systems.
    pub fn measure(&mut self, topic: Topic, systems: &[System]) -> Vec<Table> {
        let tables = match topic {
            Topic::Memory => memory::measure(self, systems),
            Topic::Crash => vec![crash::measure(self, systems)],
            Topic::Beside => beside::measure(self, systems),
            _ => {
                let mut cells = cells(topic, &self.extent);
                let is_one = |id: &str| self.only.iter().any(|part| id.contains(part));
                cells.retain(|cell| self.only.is_empty() || is_one(&cell.id));
                let measure = |cell| turns::measure(self, cell, systems);
                cells.iter().map(measure).collect()
            }
        };
        tables
            .into_iter()
            .filter(|table| !table.rows.is_empty())
            .collect()
    }

    /// Notes what was not measured.
    pub fn gap(&mut self, system: &System, cell: &str, gap: Problem) {
        self.gaps.push(Gap {
            system: system.name.to_owned(),
            cell: Some(cell.to_owned()),
            reason: gap.reason,
            failed: gap.failed,
        });
    }

    /// A new part of the progress bar.
    pub fn begin(&self, title: &str, steps: usize) {
        self.bar.reset();
        self.bar.set_length(steps as u64);
        self.bar.set_prefix(title.to_owned());
    }

    /// A step is done; what is next.
    pub fn step(&self, system: &System) {
        self.bar.set_message(system.name);
        self.bar.inc(1);
    }
}

/// The progress bar.
pub fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
    let bar = ProgressBar::new(0);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Whoever comes to an end so much later than it was to has one round that counts: a thousand clients that poll take a
/// minute to.
const SLOW: Duration = Duration::from_secs(10);

/// Whether a round of so many seconds took so long.
fn is_slow(start: Instant, seconds: f64) -> bool {
    start.elapsed() > SLOW + Duration::from_secs_f64(seconds)
}

/// Why something was not measured.
#[derive(Debug)]
pub struct Problem {
    reason: String,
    failed: bool,
}

impl Problem {
    /// It cannot be had, or the system cannot do this.
    pub fn lacks(reason: impl Into<String>) -> Problem {
        Problem {
            reason: reason.into(),
            failed: false,
        }
    }

    /// It went wrong.
    pub fn failed(reason: impl Into<String>) -> Problem {
        Problem {
            reason: reason.into(),
            failed: true,
        }
    }
}
