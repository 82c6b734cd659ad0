//! What is measured: the works of the command line, and the cells of those in which workers take turns.

use crate::protocol::{Job, Work};
use crate::service::Setting;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A work on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Acquire and release a lock that nobody else wants
    Pair,
    /// Reentry to depth 10, and renewal
    Reentry,
    /// 2 to 1,000 clients on one lock
    Contention,
    /// Bytes for a lock that is held and for a client that waits
    Memory,
    /// How long until the next one runs when an owner is killed
    Crash,
    /// What other traffic of the server suffers
    Beside,
}

impl Topic {
    /// What a reader calls it.
    pub fn title(self) -> &'static str {
        match self {
            Topic::Pair => "A lock that nobody else wants",
            Topic::Reentry => "Reentry and renewal",
            Topic::Contention => "Many clients, one lock",
            Topic::Memory => "Memory",
            Topic::Crash => "A crashed owner",
            Topic::Beside => "The server's other traffic",
        }
    }

    /// Whether the systems take turns, round by round. Else each is measured to its end, so that figures of two systems
    /// are not of the same time.
    pub fn takes_turns(self) -> bool {
        match self {
            Topic::Pair | Topic::Reentry | Topic::Contention => true,
            Topic::Memory | Topic::Crash | Topic::Beside => false,
        }
    }
}

/// A server that does something besides, and a job for the workers.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Unique, for report.json.
    pub id: String,
    /// Of which work it is.
    pub topic: Topic,
    /// What a reader calls it.
    pub title: String,
    /// What the server does besides.
    pub setting: Setting,
    /// What the workers do; the system and its servers are not known yet.
    pub job: Job,
    /// How many seconds a round has.
    pub seconds: f64,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// Seconds of a round.
    pub seconds: f64,
    /// Rounds that are counted; one more comes first.
    pub rounds: usize,
    /// Only what shows most.
    pub smoke: bool,
}

/// How long a lease is where nothing crashes.
const LEASE_MS: u64 = 30_000;

/// How long a lease is that is held through all rounds.
pub const HELD_MS: u64 = 3_600_000;

/// A job of one client that does this.
pub fn job(work: Work) -> Job {
    Job {
        system: String::new(),
        urls: Vec::new(),
        work,
        lock: "bench".to_owned(),
        clients: 1,
        hold_us: 0,
        lease_ms: LEASE_MS,
        depth: 10,
        pipeline: 1,
        pace: 0,
    }
}

/// The cells of a work in which workers take turns; none for the others.
pub fn cells(topic: Topic, extent: &Extent) -> Vec<Cell> {
    match topic {
        Topic::Pair => pairs(extent),
        Topic::Reentry => reentry(extent),
        Topic::Contention => contention(extent),
        Topic::Memory | Topic::Crash | Topic::Beside => Vec::new(),
    }
}

fn pairs(extent: &Extent) -> Vec<Cell> {
    let cell = |id: &str, title: &str, setting, clients, pipeline| Cell {
        id: format!("pair-{id}"),
        topic: Topic::Pair,
        title: title.to_owned(),
        setting,
        job: Job {
            clients,
            pipeline,
            ..job(Work::Pair)
        },
        seconds: extent.seconds,
    };
    let mut cells = vec![
        cell("1", "1 connection", Setting::Alone, 1, 1),
        cell(
            "pipelined",
            "1 connection, pipelined by 100",
            Setting::Alone,
            1,
            100,
        ),
    ];
    if !extent.smoke {
        cells.extend([
            cell("50", "50 connections", Setting::Alone, 50, 1),
            cell(
                "replica",
                "50 connections, with a replica",
                Setting::Replica,
                50,
                1,
            ),
            cell(
                "pipelined-replica",
                "1 connection, pipelined by 100, with a replica",
                Setting::Replica,
                1,
                100,
            ),
            cell(
                "aof",
                "50 connections, with an append-only file",
                Setting::Aof,
                50,
                1,
            ),
        ]);
    }
    cells
}

fn reentry(extent: &Extent) -> Vec<Cell> {
    let cell = |id: &str, title: &str, work| Cell {
        id: id.to_owned(),
        topic: Topic::Reentry,
        title: title.to_owned(),
        setting: Setting::Alone,
        job: Job {
            // The lock that is renewed is taken before all others have started.
            lease_ms: match work {
                Work::Renew => HELD_MS,
                _ => LEASE_MS,
            },
            ..job(work)
        },
        seconds: extent.seconds,
    };
    vec![
        cell("reenter-10", "10 acquires, then 10 releases", Work::Reenter),
        cell("renew", "renewal", Work::Renew),
    ]
}

fn contention(extent: &Extent) -> Vec<Cell> {
    let cell = |clients: usize, hold_ms: u64| Cell {
        id: format!("contention-{clients}-{hold_ms}ms"),
        topic: Topic::Contention,
        title: format!("{clients} clients, hold {hold_ms} ms"),
        setting: Setting::Alone,
        job: Job {
            clients,
            hold_us: hold_ms * 1000,
            ..job(Work::Contend)
        },
        // So that the thousandth has its turn.
        seconds: match clients {
            1000 => extent.seconds.max(2.0),
            _ => extent.seconds,
        },
    };
    if extent.smoke {
        return vec![cell(10, 0), cell(100, 0)];
    }
    let sizes = [2, 10, 100, 1000];
    let holds = [0, 1];
    holds
        .iter()
        .flat_map(|&hold| sizes.map(|clients| cell(clients, hold)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_cells_have_one_id() {
        let extent = Extent {
            seconds: 1.0,
            rounds: 1,
            smoke: false,
        };
        let topics = Topic::value_variants().iter();
        let cells: Vec<Cell> = topics.flat_map(|&topic| cells(topic, &extent)).collect();
        let ids: BTreeSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids.len(), cells.len());
        assert_eq!(cells.len(), 6 + 2 + 8);
    }
}
