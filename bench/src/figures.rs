//! What was measured, as report.json has it: raw figures by round, and what follows from them.

use crate::plan::{Extent, Topic};
use crate::stats::{median, median_ratio};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The figures of one round by name; [`crate::metrics`] says what each name means.
pub type Round = BTreeMap<String, f64>;

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it was begun, in UTC.
    pub date: String,
    /// The commit, and whether something was changed since.
    pub commit: String,
    /// The machine.
    pub machine: Machine,
    /// How much was measured.
    pub extent: Extent,
    /// The system to which the others are compared.
    pub base: String,
    /// By cell.
    pub cells: Vec<Table>,
    /// What was not measured, and why.
    pub missing: Vec<Gap>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// How many cores.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
    /// In GiB.
    pub memory_gib: u64,
}

/// A cell: the same work, done by several systems in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Unique.
    pub id: String,
    /// Of which work it is.
    pub topic: Topic,
    /// What a reader calls it.
    pub title: String,
    /// By system.
    pub rows: Vec<Row>,
}

/// A system in a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The system.
    pub system: String,
    /// Its servers' name and version.
    pub server: String,
    /// Its client's name and version.
    pub client: String,
    /// Round by round.
    pub rounds: Vec<Round>,
    /// Of all rounds together: percent, and the microseconds that so many were not above.
    pub percentiles: BTreeMap<String, Vec<(f64, f64)>>,
    /// The median of each figure.
    pub medians: BTreeMap<String, f64>,
    /// The median of each figure's ratio to the base's in the same round.
    pub ratios: BTreeMap<String, f64>,
}

/// Something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The system.
    pub system: String,
    /// The cell's title; none: all.
    pub cell: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether something went wrong: else the system just cannot do this, or is not there.
    pub failed: bool,
}

impl Row {
    /// This figure of every round.
    fn series(&self, metric: &str) -> Vec<f64> {
        self.rounds
            .iter()
            .filter_map(|round| round.get(metric).copied())
            .collect()
    }
}

impl Table {
    /// Computes the medians; and the ratios to the base's row, where it has one and the systems took turns.
    pub fn summarize(&mut self, base: &str) {
        let base = self.rows.iter().find(|row| row.system == base).cloned();
        let base = base.filter(|_| self.topic.takes_turns());
        for row in &mut self.rows {
            let names = row.rounds.first().cloned().unwrap_or_default();
            for metric in names.into_keys() {
                let series = row.series(&metric);
                if let Some(median) = median(&series) {
                    row.medians.insert(metric.clone(), median);
                }
                let ratio = base
                    .as_ref()
                    .and_then(|base| median_ratio(&series, &base.series(&metric)));
                if let Some(ratio) = ratio {
                    row.ratios.insert(metric, ratio);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: &str, costs: &[f64]) -> Row {
        let rounds = costs
            .iter()
            .map(|&cost| Round::from([("server_cpu_us".to_owned(), cost)]));
        Row {
            system: system.to_owned(),
            rounds: rounds.collect(),
            ..Row::default()
        }
    }

    #[test]
    fn ratios_are_to_the_base_in_the_same_round() {
        let mut table = Table {
            id: String::new(),
            topic: Topic::Pair,
            title: String::new(),
            rows: vec![
                row("other", &[4.0, 40.0, 6.0]),
                row("lock", &[2.0, 20.0, 2.0]),
            ],
        };
        table.summarize("lock");
        assert_eq!(table.rows[0].medians["server_cpu_us"], 6.0);
        assert_eq!(table.rows[0].ratios["server_cpu_us"], 2.0);
        assert_eq!(table.rows[1].ratios["server_cpu_us"], 1.0);
        table.rows[0].ratios.clear();
        table.summarize("not measured");
        assert!(table.rows[0].ratios.is_empty());
    }
}
