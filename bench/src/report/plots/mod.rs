//! The plots: which there are, and the figures of each.

mod bars;
mod lines;
mod style;

use super::table::title;
use crate::figures::{Report, Row, Table};
use bars::{Bar, bars};
use lines::{Line, lines};
pub use style::png;

/// A plot.
pub struct Plot {
    /// The file's name, without its ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// As SVG.
    pub svg: Result<String, String>,
}

/// Those for which there are figures.
pub fn all(report: &Report) -> Vec<Plot> {
    let mut plots = Vec::new();
    for hold in [0, 1] {
        plots.extend(throughput(report, hold));
    }
    plots.extend(hand_off(report));
    plots.extend(cost(report));
    plots.extend(waits(report));
    plots.extend(fairness(report));
    plots
}

fn table<'a>(report: &'a Report, id: &str) -> Option<&'a Table> {
    report.cells.iter().find(|table| table.id == id)
}

/// The first of these that was measured.
fn first<'a>(report: &'a Report, ids: &[&str]) -> Option<&'a Table> {
    ids.iter().find_map(|id| table(report, id))
}

/// Grants a second by number of clients.
fn throughput(report: &Report, hold: u32) -> Option<Plot> {
    let mut systems: Vec<Line> = Vec::new();
    for clients in [2, 10, 100, 1000] {
        let Some(table) = table(report, &format!("contention-{clients}-{hold}ms")) else {
            continue;
        };
        for row in &table.rows {
            let Some(&rate) = row.medians.get("per_second") else {
                continue;
            };
            let point = (f64::from(clients), rate);
            match systems.iter_mut().find(|line| line.system == row.system) {
                Some(line) => line.points.push(point),
                None => systems.push(Line {
                    system: row.system.clone(),
                    label: title(&row.system).to_owned(),
                    points: vec![point],
                }),
            }
        }
    }
    let has_lines = systems.iter().any(|line| line.points.len() > 1);
    let heading = match hold {
        0 => "Grants a second of one lock that many clients want, given back at once".to_owned(),
        _ => format!("Grants a second of one lock that many clients want, held for {hold} ms"),
    };
    has_lines.then(|| Plot {
        name: format!("contention-{hold}ms"),
        svg: lines(
            &heading,
            "higher is better; both axes are logarithmic",
            "clients",
            &systems,
        ),
        title: heading,
    })
}

/// From release to the next owner, median and 99th percentile.
fn hand_off(report: &Report) -> Option<Plot> {
    let table = first(report, &["contention-100-0ms", "contention-10-0ms"])?;
    let bar = |row: &Row| {
        let percentiles = row.percentiles.get("handoff")?;
        let at = |percent: f64| {
            percentiles
                .iter()
                .find(|(p, _)| *p == percent)
                .map(|(_, us)| *us)
        };
        Some(bar(row, at(50.0)?, at(99.0)))
    };
    plot(
        "hand-off",
        format!(
            "From a release to the next owner's start, microseconds ({})",
            table.title
        ),
        "bar: median, line: 99th percentile; shorter is better",
        table.rows.iter().filter_map(bar).collect(),
    )
}

/// What a pair costs the server, beside ours.
fn cost(report: &Report) -> Option<Plot> {
    let table = first(report, &["pair-50", "pair-1", "pair-pipelined"])?;
    let bar = |row: &Row| Some(bar(row, *row.ratios.get("server_cpu_us")?, None));
    plot(
        "pair-cpu",
        format!(
            "Server CPU of acquire and release, {} = 1 ({})",
            title(&report.base),
            table.title
        ),
        "shorter is better",
        table.rows.iter().filter_map(bar).collect(),
    )
}

/// The cells that show waiting and fairness, the best first.
const CONTENDED: [&str; 3] = [
    "contention-100-1ms",
    "contention-100-0ms",
    "contention-10-0ms",
];

/// How long clients wait.
fn waits(report: &Report) -> Option<Plot> {
    let table = first(report, &CONTENDED)?;
    let bar = |row: &Row| {
        let percentiles = row.percentiles.get("waits")?;
        let at = |percent: f64| {
            percentiles
                .iter()
                .find(|(p, _)| *p == percent)
                .map(|(_, us)| us / 1000.0)
        };
        Some(bar(row, at(50.0)?, at(100.0)))
    };
    plot(
        "waits",
        format!(
            "How long clients waited for the lock, milliseconds ({})",
            table.title
        ),
        "bar: median, line: the longest; a fair lock has both close together",
        table.rows.iter().filter_map(bar).collect(),
    )
}

/// Jain's index.
fn fairness(report: &Report) -> Option<Plot> {
    let table = first(report, &CONTENDED)?;
    let bar = |row: &Row| Some(bar(row, *row.medians.get("jain")?, None));
    plot(
        "fairness",
        format!(
            "Jain's fairness index of the clients' grants ({})",
            table.title
        ),
        "1: all clients got the lock as often",
        table.rows.iter().filter_map(bar).collect(),
    )
}

fn bar(row: &Row, value: f64, to: Option<f64>) -> Bar {
    Bar {
        system: row.system.clone(),
        label: title(&row.system).to_owned(),
        value,
        to,
    }
}

fn plot(name: &str, title: String, note: &str, list: Vec<Bar>) -> Option<Plot> {
    (!list.is_empty()).then(|| Plot {
        name: name.to_owned(),
        svg: bars(&title, note, list),
        title,
    })
}
