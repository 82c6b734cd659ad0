//! A cell: all systems do the same work, in turns.

use super::side::Side;
use super::{Bench, is_slow};
use crate::catalogue::System;
use crate::figures::{Row, Table};
use crate::plan::Cell;
use std::time::Instant;

/// Measures a cell. All servers and workers live through all their rounds.
pub fn measure(bench: &mut Bench, cell: &Cell, systems: &[System]) -> Table {
    let rounds = bench.extent.rounds;
    bench.begin(&cell.title, systems.len() * (rounds + 2));
    let mut sides: Vec<(usize, Side)> = Vec::new();
    for (at, system) in systems.iter().enumerate() {
        bench.step(system);
        match Side::start(bench, system, cell.setting, &cell.job) {
            Ok(side) => sides.push((at, side)),
            Err(problem) => bench.gap(system, &cell.title, problem),
        }
    }
    let mut rows: Vec<Option<Row>> = systems.iter().map(|_| None).collect();
    // The first round is not counted.
    for round in 0..=rounds {
        let mut going_on = Vec::new();
        for (at, mut side) in sides {
            bench.step(&systems[at]);
            let start = Instant::now();
            if let Err(problem) = side.turn(cell.seconds, round > 0) {
                bench.gap(&systems[at], &cell.title, problem);
            } else if round == rounds || (round > 0 && is_slow(start, cell.seconds)) {
                rows[at] = Some(side.finish());
            } else {
                going_on.push((at, side));
            }
        }
        sides = going_on;
    }
    Table {
        id: cell.id.clone(),
        topic: cell.topic,
        title: cell.title.clone(),
        rows: rows.into_iter().flatten().collect(),
    }
}
