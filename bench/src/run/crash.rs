//! An owner's process is killed: how long until the next one has the lock.

use super::side::{Servers, start_worker};
use super::{Bench, Problem};
use crate::catalogue::System;
use crate::figures::{Round, Row, Table};
use crate::plan::{Topic, job};
use crate::protocol::{Job, Work};
use crate::service::Setting;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Those who have nothing but a lease wait for its end.
const LEASE_MS: u64 = 10_000;

/// The next one waits at the server by then.
const WAITS: Duration = Duration::from_millis(500);

/// How often; each may take a lease.
const ROUNDS: usize = 3;

/// Measures all systems, one after the other: nothing but time passes.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Table {
    let title = format!(
        "SIGKILL of the owner's process, leases of {} s",
        LEASE_MS / 1000
    );
    let rounds = bench.extent.rounds.min(ROUNDS);
    bench.begin(&title, systems.len());
    let mut rows = Vec::new();
    for system in systems {
        bench.step(system);
        match row(bench, system, rounds) {
            Ok(row) => rows.push(row),
            Err(problem) => bench.gap(system, &title, problem),
        }
    }
    Table {
        id: "crash".to_owned(),
        topic: Topic::Crash,
        title,
        rows,
    }
}

fn row(bench: &mut Bench, system: &System, rounds: usize) -> Result<Row, Problem> {
    let servers = Servers::start(bench, system, Setting::Alone)?;
    let mut row = Row {
        system: system.name.to_owned(),
        server: servers.version(),
        ..Row::default()
    };
    for round in 0..rounds {
        let job = |work| Job {
            lock: format!("crash:{round}"),
            lease_ms: LEASE_MS,
            ..job(work)
        };
        let (mut holder, client) = start_worker(bench, system, servers.urls(), &job(Work::Hold))?;
        let (mut next, _) = start_worker(bench, system, servers.urls(), &job(Work::Next))?;
        next.begin(0.0)?;
        sleep(WAITS);
        let killed = Instant::now();
        holder.kill();
        next.finish(LEASE_MS as f64 / 1000.0)?;
        let took = killed.elapsed().as_secs_f64() * 1000.0;
        row.rounds
            .push(Round::from([("crash_ms".to_owned(), took)]));
        row.client = client;
    }
    Ok(row)
}
