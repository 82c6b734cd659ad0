//! The tables of a report, in Markdown that is also aligned for a terminal.

use crate::catalogue::SYSTEMS;
use crate::figures::{Gap, Report, Row, Table};
use crate::metrics::{METRICS, Metric};
use std::collections::BTreeMap;
use std::fmt::Write;

/// All tables.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut topic = None;
    for table in &report.cells {
        if topic.replace(table.topic) != Some(table.topic) {
            let _ = writeln!(text, "\n## {}", table.topic.title());
        }
        let _ = writeln!(text, "\n### {}\n", table.title);
        text += &aligned(&lines(table, &report.base));
    }
    text
}

/// What a reader calls a system.
pub fn title(system: &str) -> &str {
    let known = SYSTEMS.iter().find(|known| known.name == system);
    known.map_or(system, |known| known.title)
}

/// A head, and a line for each system: of each figure the median, and beside it the ratio to the base.
fn lines(table: &Table, base: &str) -> Vec<Vec<String>> {
    let shown = |metric: &&Metric| {
        table
            .rows
            .iter()
            .any(|row| row.medians.contains_key(metric.name))
    };
    let shown: Vec<&Metric> = METRICS.iter().filter(shown).collect();
    let mut head = vec!["system".to_owned()];
    head.extend(shown.iter().map(|metric| metric.title.to_owned()));
    let line = |row: &Row| {
        let mut line = vec![format!("{} (`{}`)", title(&row.system), row.system)];
        line.extend(shown.iter().map(|metric| cell(row, metric, base)));
        line
    };
    let mut lines = vec![head];
    lines.extend(table.rows.iter().map(line));
    lines
}

fn cell(row: &Row, metric: &Metric, base: &str) -> String {
    let Some(median) = row.medians.get(metric.name) else {
        return "-".to_owned();
    };
    let digits = metric.digits;
    match row.ratios.get(metric.name) {
        Some(ratio) if row.system != base && metric.is_compared() => {
            format!("{median:.digits$} ({ratio:.2}x)")
        }
        _ => format!("{median:.digits$}"),
    }
}

/// A Markdown table whose columns are as wide as what is in them.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let cells = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                // Numbers stand under each other.
                if column == 0 {
                    format!(" {cell:<width$} ")
                } else {
                    format!(" {cell:>width$} ")
                }
            });
        let _ = writeln!(text, "|{}|", cells.collect::<Vec<_>>().join("|"));
        if at == 0 {
            let rules = widths.iter().enumerate().map(|(column, width)| {
                if column == 0 {
                    format!("{:-<1$}", "", width + 2)
                } else {
                    format!("{:->1$}:", "", width + 1)
                }
            });
            let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        }
    }
    text
}

/// What was not measured: a line for each system and reason.
pub fn gaps(missing: &[Gap]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let mut by_reason: BTreeMap<(&str, &str, bool), Vec<&str>> = BTreeMap::new();
    for gap in missing {
        let key = (gap.system.as_str(), gap.reason.as_str(), gap.failed);
        let cells = by_reason.entry(key).or_default();
        cells.extend(gap.cell.as_deref());
    }
    let mut out = String::from("\n## Not measured\n\n");
    for ((system, reason, failed), cells) in by_reason {
        let failed = if failed { "failed: " } else { "" };
        // More than a few means all that there is.
        let cells = match cells.len() {
            1..=4 => format!(" ({})", cells.join("; ")),
            _ => String::new(),
        };
        let _ = writeln!(out, "- `{system}`: {failed}{reason}{cells}");
    }
    out
}
