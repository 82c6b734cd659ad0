//! A schedule: all that is done to a world, and when. It is made from a seed, and executed without any further
//! chance; so a part of it can be left out, and the rest stays as it was.

use crate::check::{Promises, Us};
use redis_reentrant_lock::engine::{CutOffSettings, Settings, NUMBERS};

/// One timed action.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub at: Us,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Job(Job),
    Fault(Fault),
}

/// What a client wants with a lock, from acquiring it on. If it is busy, it begins afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub client: u8,
    pub lock: u8,
    pub ttl: i64,
    pub wait: Option<i64>,
    /// With `SESSION LINGER`.
    pub session: Option<i64>,
    /// With `HOLDS` in every call.
    pub counts: bool,
    /// With `TOKEN` in every call after the first.
    pub names_token: bool,
    /// Another lock that it acquires while it holds the first, and releases before.
    pub second: Option<u8>,
    /// What it does while it holds the lock, and how long after the step before.
    pub steps: Vec<(Us, Step)>,
    pub end: End,
    /// After how long it gives a call up, and how often it tries again.
    pub patience: Us,
    pub retries: u8,
    /// From which delays are taken.
    pub salt: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Reenter(i64),
    Renew(i64),
    Assert,
    Release,
}

/// How a job ends that got its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Release,
    /// The lease lapses, or goes on as long as the connection.
    Forget,
    /// The connection is closed.
    Close,
    /// The process dies; the server may learn of it late.
    Die {
        silently: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What this server sends to that one is lost, until it is healed.
    Cut {
        from: u8,
        to: u8,
    },
    Heal {
        from: u8,
        to: u8,
    },
    /// In a cluster: a master loses the others, which will let a replica take its place.
    Isolate {
        server: u8,
    },
    /// A server becomes master, whatever its master does; in a cluster only once its master is isolated.
    Promote {
        server: u8,
    },
    /// A server becomes a replica of the newest master.
    Follow {
        server: u8,
    },
    Crash {
        server: u8,
        lost_steps: u32,
        down: Us,
    },
    Pause {
        server: u8,
        us: Us,
    },
    PauseWrites {
        server: u8,
        us: Us,
    },
    StepClock {
        server: u8,
        by: Us,
    },
    /// `CONFIG SET` of the setting with that place in the table.
    Set {
        server: u8,
        setting: u8,
        value: i64,
    },
    PauseClient {
        client: u8,
        us: Us,
    },
    Kill {
        client: u8,
        silently: bool,
    },
    Revive {
        client: u8,
    },
    Disconnect {
        client: u8,
    },
    /// The client closes its connection when its next wait is granted, before it hears of it.
    Flinch {
        client: u8,
    },
    /// The client goes to the newest master.
    Move {
        client: u8,
    },
    Unblock {
        client: u8,
        error: bool,
    },
    Revoke {
        client: u8,
    },
    Allow {
        client: u8,
    },
    ForceRelease {
        lock: u8,
    },
    Delete {
        lock: u8,
    },
    Overwrite {
        lock: u8,
        kind: u8,
        owner: u8,
        ttl: i64,
    },
    Flush,
    /// A slot is being moved, has moved.
    MoveSlot {
        lock: u8,
        to: u8,
    },
    SlotMoved {
        lock: u8,
    },
}

impl Fault {
    /// `CONFIG SET lock.NAME value`.
    pub fn setting(server: u8, name: &str, value: i64) -> Fault {
        let place = NUMBERS.iter().position(|number| number.name == name);
        Fault::Set {
            server,
            setting: place.unwrap_or_default() as u8,
            value,
        }
    }
}

/// What does not change in a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub plan: &'static str,
    pub promises: Promises,
    pub settings: Settings,
    pub cluster: bool,
    /// So many servers are masters at first, each with slots of its own.
    pub masters: u8,
    pub node_timeout: i64,
    pub servers: u8,
    pub clients: u8,
    pub locks: u8,
    pub min_replicas: i64,
    /// In seconds.
    pub max_lag: i64,
    /// Of the replication stream.
    pub lag: Us,
    /// Of acknowledgements.
    pub ack_lag: Us,
    /// Of a client's messages, at most.
    pub latency: Us,
    /// The wall clocks' difference from the true time.
    pub wall: [Us; 3],
    /// When each server does in a second what it does once a second.
    pub phase: [Us; 3],
    /// How late timers come.
    pub timers_late: Us,
    pub expires_on_read: bool,
    /// How long an iteration of the event loop takes.
    pub iteration: Us,
    /// The last server is no replica at first. It joins the new master of a failover, so that there are as many
    /// replicas again while the old master goes on.
    pub has_spare: bool,
    /// The module hears of each iteration of the event loop, not only once a second.
    pub hears_of_every_loop: bool,
    /// When the last action is over.
    pub end: Us,
    /// After how long all leases, lingers and grace periods are over.
    pub rest: Us,
}

impl Config {
    /// One server, short ways, everything promised.
    pub fn plain(plan: &'static str) -> Config {
        Config {
            plan,
            promises: Promises {
                one_owner: true,
                unknown_clock: 0,
                tokens_across_servers: true,
                counts: true,
                served_within: 200_000,
                kept_linger: 1,
            },
            settings: Settings::new(),
            cluster: false,
            masters: 1,
            node_timeout: 2000,
            servers: 1,
            clients: 3,
            locks: 1,
            min_replicas: 0,
            max_lag: 1,
            lag: 200,
            ack_lag: 300,
            latency: 100,
            wall: [0; 3],
            phase: [333_333, 456_790, 580_247],
            timers_late: 500,
            expires_on_read: false,
            iteration: 30,
            has_spare: false,
            hears_of_every_loop: false,
            end: 0,
            rest: 30_000_000,
        }
    }
}

impl Config {
    /// The settings by which a master that is cut off learns of it.
    pub fn cut_off_settings(&self) -> CutOffSettings {
        CutOffSettings {
            cluster_node_timeout: self.cluster.then_some(self.node_timeout),
            min_replicas: self.min_replicas,
            max_lag: self.max_lag,
        }
    }

    /// Whether slots move between the servers.
    pub fn moves_slots(&self) -> bool {
        self.masters > 1
    }

    /// For how long such a master may still grant, in ms: what the documentation calls F.
    pub fn cut_off(&self) -> i64 {
        self.cut_off_settings().cut_off().0
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub config: Config,
    pub actions: Vec<Action>,
}
