//! How much a server takes for locks that are held, and for clients that wait: of the systems that are a few commands to
//! Redis, which the harness sends itself.

use super::{Bench, Problem, held, waiters};
use crate::catalogue::System;
use crate::figures::{Row, Table};
use crate::plan::Topic;

/// Measures both.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Vec<Table> {
    let mut tables = held::measure(bench, systems);
    tables.extend(waiters::measure(bench, systems));
    tables
}

/// Measures what holds or waits in each of these sizes, on fresh servers: a table for each.
pub fn by_size(
    bench: &mut Bench,
    systems: &[&System],
    sizes: &[usize],
    (id, title): (&str, &str),
    row: fn(&mut Bench, &System, usize) -> Result<Row, Problem>,
) -> Vec<Table> {
    bench.begin(title, systems.len() * sizes.len());
    let mut tables = Vec::new();
    for &size in sizes {
        let mut rows = Vec::new();
        for system in systems {
            bench.step(system);
            match row(bench, system, size) {
                Ok(row) => rows.push(row),
                Err(problem) => bench.gap(system, title, problem),
            }
        }
        tables.push(Table {
            id: format!("{id}-{size}"),
            topic: Topic::Memory,
            title: format!("{} {title}", thousands(size)),
            rows,
        });
    }
    tables
}

/// A number with commas.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_separated() {
        let shown = [7, 1000, 1_000_000].map(super::thousands);
        assert_eq!(shown, ["7", "1,000", "1,000,000"]);
    }
}
