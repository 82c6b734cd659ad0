//! A report from fixed figures, as a reader gets it.

use super::{markdown, plots, table};
use crate::figures::{Gap, Machine, Report, Round, Row, Table};
use crate::plan::{Extent, Topic};
use std::collections::BTreeMap;

fn row(system: &str, figures: &[(&str, [f64; 3])]) -> Row {
    let round = |at: usize| -> Round {
        figures
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values[at]))
            .collect()
    };
    let spread = vec![(50.0, 100.0), (99.0, 900.0), (100.0, 2000.0)];
    let spreads = ["waits", "handoff"].map(|name| (name.to_owned(), spread.clone()));
    Row {
        system: system.to_owned(),
        server: "Redis 7.0.15".to_owned(),
        client: "raw protocol".to_owned(),
        rounds: (0..3).map(round).collect(),
        percentiles: BTreeMap::from(spreads),
        ..Row::default()
    }
}

fn report() -> Report {
    let contention = |clients: u32| Table {
        id: format!("contention-{clients}-0ms"),
        topic: Topic::Contention,
        title: format!("{clients} clients, hold 0 ms"),
        rows: vec![
            row("blpop", &[("per_second", [9000.0; 3]), ("jain", [1.0; 3])]),
            row("lock", &[("per_second", [6000.0; 3]), ("jain", [1.0; 3])]),
        ],
    };
    let mut report = Report {
        date: "2026-01-02T03:04:05Z".to_owned(),
        commit: "0123456789ab".to_owned(),
        machine: Machine {
            cpu: "Some CPU".to_owned(),
            cores: 2,
            kernel: "Linux 6.1".to_owned(),
            memory_gib: 8,
        },
        extent: Extent {
            seconds: 0.5,
            rounds: 3,
            smoke: false,
        },
        base: "lock".to_owned(),
        cells: vec![
            Table {
                id: "pair-1".to_owned(),
                topic: Topic::Pair,
                title: "1 connection".to_owned(),
                rows: vec![
                    row(
                        "lock",
                        &[
                            ("server_cpu_us", [2.0, 20.0, 2.0]),
                            ("per_second", [9e4; 3]),
                        ],
                    ),
                    row("set-compare", &[("server_cpu_us", [3.0, 30.0, 4.0])]),
                ],
            },
            contention(10),
            contention(100),
        ],
        missing: vec![
            Gap {
                system: "etcd".to_owned(),
                cell: Some("1 connection".to_owned()),
                reason: "Debian's package etcd-server is not installed".to_owned(),
                failed: false,
            },
            Gap {
                system: "redis-py".to_owned(),
                cell: Some("1 connection".to_owned()),
                reason: "3 operations failed: timeout".to_owned(),
                failed: true,
            },
        ],
    };
    report
        .cells
        .iter_mut()
        .for_each(|cell| cell.summarize("lock"));
    report
}

#[test]
fn the_report_of_fixed_figures() {
    let plots = [("hand-off.svg".to_owned(), "Hand-off".to_owned())];
    insta::assert_snapshot!("report", markdown::markdown(&report(), &plots));
}

#[test]
fn what_is_written_can_be_read_again() {
    let report = report();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::figures::Report>(&json).unwrap(),
        report
    );
}

#[test]
fn a_system_that_was_not_measured_is_a_line_and_no_number() {
    let text = markdown::markdown(&report(), &[]);
    assert!(
        text.contains("- `etcd`: Debian's package etcd-server is not installed (1 connection)")
    );
    assert!(text.contains("- `redis-py`: failed: 3 operations failed: timeout"));
    assert!(!table::text(&report()).contains("etcd"));
}

#[test]
fn every_plot_has_its_systems_by_name_and_can_be_drawn() {
    let plots = plots::all(&report());
    let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "contention-0ms",
            "hand-off",
            "pair-cpu",
            "waits",
            "fairness"
        ]
    );
    for plot in plots {
        let svg = plot.svg.unwrap();
        assert!(svg.contains("LOCK.ACQUIRE"), "{}", plot.name);
        assert!(plots::png(&svg).unwrap().starts_with(b"\x89PNG"));
    }
}
