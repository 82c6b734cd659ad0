//! Up to ten thousand clients that wait for one lock: what each takes of the server's memory, with its connection, and how
//! long a failover takes them to a promoted replica.

use super::memory::by_size;
use super::{Bench, Problem};
use crate::catalogue::System;
use crate::figures::{Round, Row, Table};
use crate::meter::Meter;
use crate::service::redis::{Redis, setup};
use crate::service::{Kind, Loads, Missing, Service, Setting};
use crate::wire::{Reply, Wire};
use lock_test_support::{Server, Setup};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SIZES: [usize; 2] = [1_000, 10_000];

/// By then the server has made the buffers of idle clients smaller.
const LATER: Duration = Duration::from_secs(12);

/// Measures each size on fresh servers.
pub fn measure(bench: &mut Bench, systems: &[System]) -> Vec<Table> {
    let can: Vec<&System> = systems
        .iter()
        .filter(|system| way(system.name).is_some())
        .collect();
    let sizes = if bench.extent.smoke {
        &SIZES[..1]
    } else {
        &SIZES[..]
    };
    by_size(bench, &can, sizes, ("waiters", "clients that wait"), row)
}

/// How a client waits.
struct Way {
    /// On how many connections.
    connections: usize,
    /// What it sends on the last of them; `OWNER` stands for its id.
    wait: &'static [&'static str],
    /// Whether that is replied to.
    replies: bool,
}

fn way(system: &str) -> Option<Way> {
    let blocks = |wait| Way {
        connections: 1,
        wait,
        replies: false,
    };
    Some(match system {
        "blpop" => blocks(&["BLPOP", "lock", "0"]),
        "lock" => blocks(&["LOCK.ACQUIRE", "lock", "OWNER", "30000", "WAIT", "0"]),
        "lock-session" => blocks(&[
            "LOCK.ACQUIRE",
            "lock",
            "OWNER",
            "30000",
            "WAIT",
            "0",
            "SESSION",
        ]),
        // A connection for commands, and one for the subscription.
        "redisson-scripts" => Way {
            connections: 2,
            wait: &["SUBSCRIBE", "redisson_lock__channel:{lock}"],
            replies: true,
        },
        _ => return None,
    })
}

fn row(bench: &mut Bench, system: &System, size: usize) -> Result<Row, Problem> {
    let (Kind::Redis(loads), Some(way)) = (system.service, way(system.name)) else {
        return Err(Problem::lacks("nobody waits at its server"));
    };
    let missing = |Missing(reason)| Problem::lacks(reason);
    let mut redis = Redis::start(&bench.core, loads, Setting::Alone).map_err(missing)?;
    let mut meter = Meter::new(&redis);
    if loads == Loads::Locks {
        let hold: [&[u8]; 4] = [b"LOCK.ACQUIRE", b"lock", b"holder", b"3600000"];
        let mut holder = Wire::connect(&redis.urls()[0]).map_err(Problem::failed)?;
        holder.ask(&hold).map_err(Problem::failed)?;
    }
    // As many connections for all, or this program would have too many.
    let waiters = size / way.connections;
    let (before, resident) = (meter.memory(), meter.resident());
    let crowd = crowd(&redis.urls()[0], &way, waiters).map_err(Problem::failed)?;
    let each = |bytes: u64, before: u64| bytes.saturating_sub(before) as f64 / waiters as f64;
    let at_once = each(meter.memory(), before);
    sleep(LATER);
    let mut round = Round::from([
        ("waiters".to_owned(), waiters as f64),
        ("bytes_a_waiter".to_owned(), at_once),
        (
            "bytes_a_waiter_later".to_owned(),
            each(meter.memory(), before),
        ),
        (
            "resident_a_waiter_later".to_owned(),
            each(meter.resident(), resident),
        ),
    ]);
    drop(meter);
    let replica = setup(loads).map_err(missing)?;
    round.extend(fail_over(redis.server(), replica, &way, crowd).map_err(Problem::failed)?);
    Ok(Row {
        system: system.name.to_owned(),
        server: redis.version(),
        client: "raw protocol".to_owned(),
        rounds: vec![round],
        ..Row::default()
    })
}

/// A replica is promoted, and the master becomes its replica. How long it takes until everyone who waits has heard of that,
/// and until all wait at the promoted one; for them the connections are made anew.
fn fail_over(
    master: &mut Server,
    replica: Setup,
    way: &Way,
    mut waiting: Vec<Wire>,
) -> Result<Round, String> {
    let replica = master.replica(replica);
    let url = format!("redis://127.0.0.1:{}", replica.port());
    let mut round = Round::new();
    let start = Instant::now();
    let mut put = |name: &str| {
        round.insert(name.to_owned(), start.elapsed().as_secs_f64() * 1000.0);
    };
    Wire::connect(&url)?.ask(&[b"REPLICAOF", b"NO", b"ONE"])?;
    let port = replica.port().to_string();
    let demote: [&[u8]; 3] = [b"REPLICAOF", b"127.0.0.1", port.as_bytes()];
    Wire::connect(&format!("redis://127.0.0.1:{}", master.port()))?.ask(&demote)?;
    // Those who subscribe are told nothing.
    if !way.replies {
        // An error, or the end of the connection.
        waiting.iter_mut().for_each(|wire| drop(wire.reply()));
        put("told_ms");
    }
    let waiters = waiting.len() / way.connections;
    drop(waiting);
    crowd(&url, way, waiters)?;
    put("again_ms");
    Ok(round)
}

/// So many clients that wait. Each has sent something before, as a client does.
fn crowd(url: &str, way: &Way, waiters: usize) -> Result<Vec<Wire>, String> {
    let mut crowd = Vec::with_capacity(waiters * way.connections);
    for number in 0..waiters {
        for _ in 0..way.connections {
            let mut wire = Wire::connect(url)?;
            wire.ask(&[b"PING"])?;
            crowd.push(wire);
        }
        let owner = format!("0c7b1f6e-5a3d-4e0b-9f55-3f9a6d1c2b84:{number:05}");
        let word = |word: &&'static str| match *word {
            "OWNER" => owner.as_bytes().to_vec(),
            word => word.as_bytes().to_vec(),
        };
        let words: Vec<Vec<u8>> = way.wait.iter().map(word).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let Some(wire) = crowd.last_mut() else {
            continue;
        };
        wire.push(&words);
        wire.flush()?;
        if way.replies {
            wire.reply()?;
        }
    }
    until_all_wait(url, way, waiters)?;
    Ok(crowd)
}

fn until_all_wait(url: &str, way: &Way, waiters: usize) -> Result<(), String> {
    if way.replies {
        return Ok(());
    }
    let right = format!("blocked_clients:{waiters}\r\n");
    let mut probe = Wire::connect(url)?;
    for _ in 0..6_000 {
        if let Reply::Text(info) = probe.ask(&[b"INFO", b"clients"])?
            && String::from_utf8_lossy(&info).contains(&right)
        {
            return Ok(());
        }
        sleep(Duration::from_millis(10));
    }
    Err("not all clients wait at the server".to_owned())
}
