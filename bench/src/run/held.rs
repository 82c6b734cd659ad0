//! Up to a million locks that are held: what they take, whether a pair beside them gets dearer, and how long it takes to
//! load them, to copy them to a replica, and to promote that.

use super::memory::by_size;
use super::side::start_worker;
use super::{Bench, Problem};
use crate::catalogue::System;
use crate::figures::{Round, Row, Table};
use crate::meter::Meter;
use crate::plan::job;
use crate::protocol::{Job, Work};
use crate::service::redis::{Redis, setup};
use crate::service::{Kind, Loads, Missing, Service, Setting};
use crate::wire::{Reply, Wire};
use lock_test_support::Server;
use std::time::{Duration, Instant};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// So many are sent in one go.
const BATCH: usize = 1_000;

/// As long as Redisson's.
const OWNER: &[u8] = b"0c7b1f6e-5a3d-4e0b-9f55-3f9a6d1c2b84:117";

const HOUR: &[u8] = b"3600000";

/// Measures each size on fresh servers.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Vec<Table> {
    let can: Vec<&System> = systems
        .iter()
        .filter(|system| holds(system.name, "", &mut |_| ()))
        .collect();
    let sizes = if bench.extent.smoke {
        &SIZES[..2]
    } else {
        &SIZES[..]
    };
    by_size(bench, &can, sizes, ("held", "locks that are held"), row)
}

/// Pushes what takes a lock for an hour; false: the system is not one of those that are compared here.
fn holds(system: &str, lock: &str, push: &mut dyn FnMut(&[&[u8]])) -> bool {
    let lock = lock.as_bytes();
    match system {
        "lock" => push(&[b"LOCK.ACQUIRE", lock, OWNER, HOUR]),
        "set-del" => push(&[b"SET", lock, OWNER, b"NX", b"PX", HOUR]),
        // What its script does.
        "redisson-scripts" => {
            push(&[b"HINCRBY", lock, OWNER, b"1"]);
            push(&[b"PEXPIRE", lock, HOUR]);
        }
        _ => return false,
    }
    true
}

fn row(bench: &mut Bench, system: &System, size: usize) -> Result<Row, Problem> {
    let Kind::Redis(loads) = system.service else {
        return Err(Problem::lacks("it is no Redis server"));
    };
    let missing = |Missing(reason)| Problem::lacks(reason);
    let mut redis = Redis::start(&bench.core, loads, Setting::Alone).map_err(missing)?;
    let mut meter = Meter::new(&redis);
    let empty = meter.memory();
    fill(&redis.urls()[0], system.name, size).map_err(Problem::failed)?;
    let each = meter.memory().saturating_sub(empty) as f64 / size as f64;
    let mut row = Row {
        system: system.name.to_owned(),
        server: redis.version(),
        client: "raw protocol".to_owned(),
        ..Row::default()
    };
    for cost in pairs(bench, system, &redis, &mut meter)? {
        row.rounds.push(Round::from([
            ("bytes_a_lock".to_owned(), each),
            ("pair_cpu_us".to_owned(), cost),
        ]));
    }
    drop(meter);
    let load = load(redis.server())?;
    bench.core.give(redis.server().pid());
    let (sync, promote) = fail_over(redis.server(), loads, system.name, size)?;
    for round in &mut row.rounds {
        round.insert("load_ms".to_owned(), load);
        round.insert("sync_ms".to_owned(), sync);
        round.insert("promote_ms".to_owned(), promote);
    }
    Ok(row)
}

fn fill(url: &str, system: &str, size: usize) -> Result<(), String> {
    let mut wire = Wire::connect(url)?;
    for start in (0..size).step_by(BATCH) {
        let mut sent = 0;
        for number in start..size.min(start + BATCH) {
            holds(system, &format!("held:{number:08}"), &mut |words| {
                wire.push(words);
                sent += 1;
            });
        }
        wire.flush()?;
        for _ in 0..sent {
            if let Reply::Error(error) = wire.reply()? {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// What a pipelined pair costs the server, round by round.
fn pairs(
    bench: &mut Bench,
    system: &System,
    redis: &Redis,
    meter: &mut Meter,
) -> Result<Vec<f64>, Problem> {
    let job = Job {
        pipeline: 100,
        ..job(Work::Pair)
    };
    let (mut worker, _) = start_worker(bench, system, redis.urls(), &job)?;
    let seconds = bench.extent.seconds.min(0.3);
    worker.go(seconds)?;
    let mut costs = Vec::new();
    for _ in 0..bench.extent.rounds.min(5) {
        let start = meter.cpu();
        let outcome = worker.go(seconds)?;
        let cpu = meter.cpu().saturating_sub(start);
        costs.push(cpu as f64 / 1000.0 / outcome.operations.max(1) as f64);
    }
    Ok(costs)
}

/// How long the server takes to load what it has saved, as it says itself.
fn load(server: &mut Server) -> Result<f64, Problem> {
    const LOADED: &str = "DB loaded from disk: ";
    server.client().run("SAVE");
    server.restart();
    let log = server.log();
    let seconds = log
        .split(LOADED)
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let unknown = || Problem::failed("the server's log does not say how long it loaded");
    Ok(seconds.ok_or_else(unknown)? * 1000.0)
}

/// How long a new replica takes to be up to date; and, when the master is killed, to be promoted and grant a free lock.
fn fail_over(
    server: &mut Server,
    loads: Loads,
    system: &str,
    size: usize,
) -> Result<(f64, f64), Problem> {
    let setup = setup(loads).map_err(|Missing(reason)| Problem::lacks(reason))?;
    let start = Instant::now();
    let replica = server.replica(setup);
    let sync = start.elapsed();
    let mut client = replica.client();
    let keys = client.int("DBSIZE");
    if keys < size as i64 {
        return Err(Problem::failed(format!(
            "the replica has {keys} of {size} locks"
        )));
    }
    server.kill();
    let url = replica.url();
    let mut wire = Wire::connect(url.trim_end_matches('/')).map_err(Problem::failed)?;
    let start = Instant::now();
    wire.ask(&[b"REPLICAOF", b"NO", b"ONE"])
        .map_err(Problem::failed)?;
    while !granted(&mut wire, system).map_err(Problem::failed)? {
        std::thread::sleep(Duration::from_millis(1));
    }
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    Ok((millis(sync), millis(start.elapsed())))
}

fn granted(wire: &mut Wire, system: &str) -> Result<bool, String> {
    let mut replies = 0;
    holds(system, "free", &mut |words| {
        wire.push(words);
        replies += 1;
    });
    wire.flush()?;
    let mut granted = true;
    for _ in 0..replies {
        granted &= match wire.reply()? {
            Reply::List(reply) => reply.first() == Some(&Reply::Int(1)),
            Reply::Error(_) | Reply::Nil => false,
            _ => true,
        };
    }
    Ok(granted)
}
