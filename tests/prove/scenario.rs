//! The scenarios: which servers, which faults, and what is promised then.

pub mod several;
pub mod single;

use crate::check::{self, Kind};
use crate::fault::Fault;
use crate::others;
use crate::run::{Outcome, Settings};
use crate::world::World;
use std::collections::BTreeSet;
use std::time::Duration;

/// One scenario.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether the short form runs it.
    pub short: bool,
    /// Starts the servers. An error says why it does not apply to this kind of server.
    pub start: fn() -> Result<World, String>,
    /// What goes wrong. They make it at the same time, each its own faults one after the other.
    pub troublemakers: Vec<Faults>,
    /// The longest pause between two faults of one troublemaker.
    pub pause: Duration,
    pub promises: Promises,
    pub crowd: Crowd,
    /// What has to be so when all rounds are over, besides what always has. The text of what is wrong.
    pub finally: fn(&World) -> Result<(), String>,
    /// What is done instead of all that, where it is something else.
    pub instead: Option<fn(&Settings) -> Outcome>,
}

impl Scenario {
    /// Every kind of fault once.
    pub fn faults(&self) -> Vec<Box<dyn Fault>> {
        let of_all = self.troublemakers.iter().flat_map(|faults| faults());
        let mut names = BTreeSet::new();
        of_all.filter(|fault| names.insert(fault.name())).collect()
    }
}

/// Makes each kind of fault once.
pub type Faults = fn() -> Vec<Box<dyn Fault>>;

/// What is promised, and what is not.
#[derive(Debug, Clone, Copy)]
pub struct Promises {
    pub check: check::Promises,
    /// What breaks no promise here: it is counted and printed, and fails nothing.
    pub tolerated: &'static [Kind],
    pub sessions: Sessions,
    /// Tokens grow over all locks: there is one server.
    pub one_order_of_tokens: bool,
}

/// How long the holder of a session relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// As long as its connection is open, whatever the lease: there is one server, and nothing between.
    WhileOpen,
    /// For its lease, from the last reply: another server may take over meanwhile.
    WhileAnswered,
}

/// The clients of a round.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Threads that send calls of many owners in one go.
    pub pipelines: usize,
    /// So many owners each.
    pub actors: usize,
    /// Threads that call and wait, each with a connection of its own.
    pub waiters: usize,
    /// Locks that all of them contend for.
    pub locks: u32,
    /// Leases, in ms.
    pub ttl: (i64, i64),
    /// How long a round lasts.
    pub round: Duration,
    /// Whether holders may ask for less than what is left of their lease: what is lost of that in a crash cuts it short.
    pub shortens: bool,
    /// The linger of some sessions, in ms; 0: none has one.
    pub linger: i64,
    /// Whether holds are bound to connections.
    pub sessions: bool,
}

/// Promises of one server that keeps its data.
pub const ALL: Promises = Promises {
    check: check::Promises {
        one_owner: true,
        unknown_clock: 0,
        tokens_across_servers: true,
        counts: true,
        served_within: 0,
        kept_linger: 1,
    },
    tolerated: &[],
    sessions: Sessions::WhileOpen,
    one_order_of_tokens: true,
};

/// A crowd that is busy.
pub const BUSY: Crowd = Crowd {
    pipelines: 2,
    actors: 32,
    waiters: 10,
    locks: 12,
    ttl: (60, 1500),
    round: Duration::from_millis(2500),
    shortens: true,
    linger: 200,
    sessions: true,
};

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let histories = single::all().into_iter().chain(several::all());
    histories.chain(others::all()).collect()
}
