//! A cell: all systems do the same work, in turns.

use super::Bench;
use super::side::Side;
use crate::catalogue::System;
use crate::figures::Table;
use crate::plan::Cell;

/// Measures a cell. All servers and workers live through all rounds.
pub fn measure(bench: &mut Bench, cell: &Cell, systems: &[System]) -> Table {
    let rounds = bench.extent.rounds;
    bench.begin(&cell.title, systems.len() * (rounds + 2));
    let mut sides: Vec<(System, Side)> = Vec::new();
    for system in systems {
        bench.step(system);
        match Side::start(bench, system, cell.setting, &cell.job) {
            Ok(side) => sides.push((*system, side)),
            Err(problem) => bench.gap(system, &cell.title, problem),
        }
    }
    // The first round is not counted.
    for round in 0..=rounds {
        let mut going_on = Vec::new();
        for (system, mut side) in sides {
            bench.step(&system);
            match side.turn(cell.seconds, round > 0) {
                Ok(()) => going_on.push((system, side)),
                Err(problem) => bench.gap(&system, &cell.title, problem),
            }
        }
        sides = going_on;
    }
    Table {
        id: cell.id.clone(),
        topic: cell.topic,
        title: cell.title.clone(),
        rows: sides.into_iter().map(|(_, side)| side.finish()).collect(),
    }
}
