//! What the server's other traffic suffers from locks: alone, beside 1,000 locks a second, beside 1,000 who wait and do not
//! move, and beside a queue of 1,000 that moves every millisecond. Each on servers of its own, in turns.

use super::side::{Servers, start_worker};
use super::traffic::Traffic;
use super::{Bench, Problem, is_slow};
use crate::catalogue::System;
use crate::figures::{Round, Row, Table};
use crate::plan::{HELD_MS, Topic, job};
use crate::protocol::{Job, Work};
use crate::service::Setting;
use crate::worker_process::WorkerProcess;
use std::time::{Duration, Instant};

/// What runs beside the traffic.
struct Beside {
    id: &'static str,
    title: &'static str,
    job: Option<Job>,
}

/// Which of them is the traffic alone.
const ALONE: usize = 0;

fn all() -> [Beside; 4] {
    let beside = |id, title, job| Beside { id, title, job };
    let with = |work, clients| job_of(work, clients);
    [
        beside("alone", "GET and SET alone", None),
        beside(
            "paced",
            "GET and SET beside 1,000 locks a second",
            Some(Job {
                pace: 1000,
                ..with(Work::Paced, 50)
            }),
        ),
        beside(
            "still",
            "GET and SET beside 1,000 who wait and do not move",
            Some(Job {
                lease_ms: HELD_MS,
                ..with(Work::Still, 1001)
            }),
        ),
        beside(
            "moving",
            "GET and SET beside a queue of 1,000 that moves every ms",
            Some(Job {
                hold_us: 1000,
                ..with(Work::Contend, 1000)
            }),
        ),
    ]
}

fn job_of(work: Work, clients: usize) -> Job {
    Job {
        clients,
        ..job(work)
    }
}

/// Measures the systems on a Redis server.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Vec<Table> {
    let kinds = all();
    let title = Topic::Beside.title();
    bench.begin(title, systems.len() * (bench.extent.rounds + 1));
    let table = |kind: &Beside| Table {
        id: format!("beside-{}", kind.id),
        topic: Topic::Beside,
        title: kind.title.to_owned(),
        rows: Vec::new(),
    };
    let mut tables: Vec<Table> = kinds.iter().map(table).collect();
    for system in systems {
        if !system.service.is_redis() {
            let reason = "its server has no other traffic to compare";
            bench.gap(system, title, Problem::lacks(reason));
            continue;
        }
        let mut sides = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            match Side::start(bench, system, kind) {
                Ok(side) => sides.push((at, side)),
                Err(problem) => bench.gap(system, kind.title, problem),
            }
        }
        // Where nothing of a system runs beside it, the traffic alone says nothing of that system.
        if sides.iter().all(|(at, _)| *at == ALONE) {
            continue;
        }
        for (at, row) in turns(bench, system, sides, &kinds) {
            tables[at].rows.push(row);
        }
    }
    tables
}

/// The sides take turns; the first round is not counted.
fn turns(
    bench: &mut Bench,
    system: &System,
    mut sides: Vec<(usize, Side)>,
    kinds: &[Beside],
) -> Vec<(usize, Row)> {
    // The queue of a thousand has to come round.
    let seconds = bench.extent.seconds.max(1.0);
    let mut done = Vec::new();
    for round in 0..=bench.extent.rounds {
        bench.step(system);
        let mut alone = None;
        let mut going_on = Vec::new();
        for (at, mut side) in sides {
            let start = Instant::now();
            match side.turn(seconds, alone.as_ref()) {
                Ok(figures) => {
                    if at == ALONE {
                        alone = Some(figures.clone());
                    }
                    if round > 0 {
                        side.row.rounds.push(figures);
                    }
                    match round > 0 && is_slow(start, seconds) {
                        true => done.push((at, side)),
                        false => going_on.push((at, side)),
                    }
                }
                Err(problem) => bench.gap(system, kinds[at].title, problem),
            }
        }
        sides = going_on;
    }
    done.extend(sides);
    done.into_iter().map(|(at, side)| (at, side.row)).collect()
}

struct Side {
    /// Dropped before the servers that they are connected to.
    worker: Option<WorkerProcess>,
    traffic: Traffic,
    servers: Servers,
    still: bool,
    row: Row,
}

impl Side {
    fn start(bench: &mut Bench, system: &System, kind: &Beside) -> Result<Side, Problem> {
        let servers = Servers::start(bench, system, Setting::Alone)?;
        let urls = servers.urls();
        let traffic = Traffic::connect(&urls[0]).map_err(Problem::failed)?;
        let mut row = Row {
            system: system.name.to_owned(),
            server: servers.version(),
            ..Row::default()
        };
        let worker = match &kind.job {
            None => None,
            Some(job) => {
                let (worker, client) = start_worker(bench, system, urls, job)?;
                row.client = client;
                // Some poll, or renew, from the beginning.
                worker.set_still(true);
                Some(worker)
            }
        };
        let still = kind.job.as_ref().is_some_and(|job| job.work == Work::Still);
        Ok(Side {
            worker,
            traffic,
            servers,
            still,
            row,
        })
    }

    /// The others stand still meanwhile.
    fn turn(&mut self, seconds: f64, alone: Option<&Round>) -> Result<Round, Problem> {
        let set_still = |side: &Side, still| side.worker.iter().for_each(|it| it.set_still(still));
        set_still(self, false);
        let round = self.measure(seconds, alone);
        set_still(self, true);
        round
    }

    fn measure(&mut self, seconds: f64, alone: Option<&Round>) -> Result<Round, Problem> {
        let start = self.servers.meter.start();
        // Those who do not move need no go.
        let mut works = self.worker.as_mut().filter(|_| !self.still);
        if let Some(worker) = &mut works {
            worker.begin(seconds)?;
        }
        let moved = self.traffic.run(Duration::from_secs_f64(seconds));
        // Before the queue is worked off.
        let cpu = self.servers.meter.cpu().saturating_sub(start.cpu);
        let moved = moved.map_err(Problem::failed)?;
        let mut round = Round::new();
        if let Some(worker) = works {
            let outcome = worker.finish(seconds)?;
            if outcome.errors > 0 {
                let text = format!(
                    "{} operations failed: {}",
                    outcome.errors,
                    worker.last_words()
                );
                return Err(Problem::failed(text));
            }
            let rate = outcome.operations as f64 / outcome.seconds.max(1e-9);
            round.insert("locks_per_second".to_owned(), rate);
        }
        let operations = moved.operations.max(1) as f64;
        let figures = [
            ("traffic_per_second", Some(operations / moved.seconds)),
            ("traffic_p99_us", moved.times.percentile(99.0)),
            ("traffic_cpu_us", Some(cpu as f64 / 1000.0 / operations)),
        ];
        for (name, value) in figures {
            let Some(value) = value else { continue };
            round.insert(name.to_owned(), value);
            if let Some(alone) = alone.and_then(|alone| alone.get(name)) {
                round.insert(format!("{name}_to_alone"), value / alone);
            }
        }
        Ok(round)
    }
}
