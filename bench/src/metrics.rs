//! The figures of a round: their names in report.json, and how a reader sees them.

use crate::figures::Round;
use crate::meter::Reading;
use crate::protocol::Outcome;
use crate::stats::{Times, jain};

/// A figure.
pub struct Metric {
    /// In report.json.
    pub name: &'static str,
    /// In a table.
    pub title: &'static str,
    /// How many digits after the point.
    pub digits: usize,
}

impl Metric {
    /// Whether its ratio to the base's means anything.
    pub fn is_compared(&self) -> bool {
        !self.name.ends_with("_to_alone") && !["jain", "waiters"].contains(&self.name)
    }
}

const fn metric(name: &'static str, title: &'static str, digits: usize) -> Metric {
    Metric {
        name,
        title,
        digits,
    }
}

/// All figures, in the order of the columns.
pub const METRICS: [Metric; 31] = [
    metric("per_second", "a second", 0),
    metric("server_cpu_us", "server CPU, us", 2),
    metric("client_cpu_us", "client CPU, us", 2),
    metric("commands", "commands", 2),
    metric("bytes", "bytes", 0),
    metric("latency_p50_us", "p50, us", 0),
    metric("latency_p99_us", "p99, us", 0),
    metric("handoff_p50_us", "hand-off p50, us", 0),
    metric("handoff_p99_us", "hand-off p99, us", 0),
    metric("wait_longest_to_median", "longest wait / median", 1),
    metric("jain", "Jain's index", 3),
    metric("server_memory_kb", "server memory, KB", 0),
    metric("crash_ms", "until the next one runs, ms", 1),
    metric("traffic_per_second", "GET/SET a second", 0),
    metric("traffic_p99_us", "GET/SET p99, us", 0),
    metric("traffic_cpu_us", "server CPU an op, us", 2),
    metric("traffic_per_second_to_alone", "GET/SET / alone", 2),
    metric("traffic_p99_us_to_alone", "p99 / alone", 2),
    metric("traffic_cpu_us_to_alone", "server CPU / alone", 2),
    metric("locks_per_second", "locks a second", 0),
    metric("bytes_a_lock", "bytes a lock", 0),
    metric("pair_cpu_us", "pair beside, server CPU us", 2),
    metric("load_ms", "load from RDB, ms", 0),
    metric("promote_ms", "promote a replica, ms", 0),
    metric("sync_ms", "full sync, ms", 0),
    metric("waiters", "waiters", 0),
    metric("bytes_a_waiter", "bytes a waiter, at once", 0),
    metric("bytes_a_waiter_later", "after 12 s", 0),
    metric("resident_a_waiter_later", "resident, after 12 s", 0),
    metric("told_ms", "failover: until all are told, ms", 0),
    metric("again_ms", "until all wait again, ms", 0),
];

/// The percentiles that report.json has of all rounds together.
pub const PERCENTS: [f64; 10] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 100.0];

/// What a worker's round comes to, by operation.
pub fn of_round(
    outcome: &Outcome,
    taken: &Reading,
    client_cpu: u64,
    counts_commands: bool,
) -> Round {
    let mut round = Round::new();
    let operations = outcome.operations.max(1) as f64;
    let mut put = |name: &str, value: f64| {
        round.insert(name.to_owned(), value);
    };
    put(
        "per_second",
        outcome.operations as f64 / outcome.seconds.max(1e-9),
    );
    put("server_cpu_us", taken.cpu as f64 / 1000.0 / operations);
    put("client_cpu_us", client_cpu as f64 / 1000.0 / operations);
    if counts_commands {
        put("commands", taken.commands as f64 / operations);
        put("bytes", taken.bytes as f64 / operations);
    }
    let mut percentiles = |name: &str, times: &Times| {
        for (percent, suffix) in [(50.0, "p50"), (99.0, "p99")] {
            if let Some(value) = times.percentile(percent) {
                put(&format!("{name}_{suffix}_us"), value);
            }
        }
    };
    percentiles("latency", &Times::of(&outcome.latency));
    percentiles("handoff", &Times::of(&outcome.handoff));
    if !outcome.waits.is_empty() {
        let waits = Times::of(&outcome.waits);
        if let Some(spread) = waits.spread() {
            put("wait_longest_to_median", spread);
        }
        if let Some(jain) = jain(&outcome.per_client) {
            put("jain", jain);
        }
    }
    round
}
