//! How much a server takes for locks that are held, and for clients that wait: of the systems that are a few commands to
//! Redis, which the harness sends itself.

use super::{Bench, held, waiters};
use crate::catalogue::System;
use crate::figures::{Row, Table};
use crate::plan::Topic;

/// Measures both.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Vec<Table> {
    let mut tables = held::measure(bench, systems);
    tables.extend(waiters::measure(bench, systems));
    tables
}

/// A table of one size.
pub fn table(id: String, title: String, rows: Vec<Row>) -> Table {
    Table {
        id,
        topic: Topic::Memory,
        title,
        rows,
    }
}

/// A number with commas.
pub fn thousands(number: usize) -> String {
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
