//! What a world has, and what may happen in it.

use super::client::How;
use super::data::Lock;
use redis_reentrant_lock::engine::{PlantedFault, Settings};
use redis_reentrant_lock::lock::Millis;

/// What the host does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgets {
    /// It does not note that a reply could not be delivered.
    Undelivered,
    /// It does not note that a connection has closed.
    Closed,
    /// It never wakes the engine up.
    Wakeups,
}

/// The sizes of a world.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many calls each client may begin. Each has an owner of its own.
    pub calls: Vec<u8>,
    pub locks: Lock,
    /// How many connections may break.
    pub faults: u8,
    /// Whether a call may arrive after its client has given it up.
    pub late_calls: bool,
    /// How locks are acquired.
    pub hows: Vec<How>,
    pub most_holds: u32,
    pub renews: bool,
    /// The lease of a renewal, and the longest lease.
    pub ttl: i64,
    /// Whether the replica may be cut off and promoted.
    pub failover: bool,
    pub grace: i64,
    /// Whether the process of the first master may stand still. Not with sessions: they count as held only while
    /// the connection answers, which no client of this world asks.
    pub stalls: bool,
    /// For how long a master goes on after it was cut off, unless it stands still.
    pub cut_off: i64,
    /// Whether the replica knows that.
    pub knows_cut_off: bool,
    /// How many microseconds past the millisecond each event is: what is rounded up differs from what is rounded
    /// down. Leases then end at more different times, which costs states.
    pub past: i64,
    /// By how much the clock of the replica is behind, in ms.
    pub behind: i64,
    /// A fault of the engine.
    pub fault: Option<PlantedFault>,
    /// None in a world that is not broken.
    pub host_forgets: Option<Forgets>,
}

/// The lease in every world. A third of it is whole, so that fewer points in time differ.
pub const TTL: i64 = 1500;

/// Up to so many ms a server does not notice that it stood still.
pub const STOOD_STILL: i64 = 1500;

/// Nothing but the lock.
pub const PLAIN: How = How {
    ttl: TTL,
    wait: None,
    session: None,
};

/// Waits without a limit.
pub const WAIT: How = How {
    wait: Some(0),
    ..PLAIN
};

/// Binds the hold to the connection.
pub const SESSION: How = How {
    session: Some(0),
    ..WAIT
};

impl Config {
    /// One lock, and clients that begin so many calls.
    pub fn new(calls: &[u8]) -> Config {
        Config {
            calls: calls.to_vec(),
            locks: 1,
            faults: 0,
            late_calls: false,
            hows: vec![WAIT],
            most_holds: 1,
            renews: false,
            ttl: TTL,
            failover: false,
            grace: 0,
            stalls: false,
            cut_off: 0,
            knows_cut_off: true,
            past: 300,
            behind: 0,
            fault: None,
            host_forgets: None,
        }
    }

    /// With a replica that takes the master's place, and what the promise of the grace period asks for.
    pub fn with_failover(self) -> Config {
        let cut_off = self.ttl / 3 * 2;
        Config {
            failover: true,
            past: 0,
            cut_off,
            grace: self.ttl + cut_off + STOOD_STILL,
            ..self
        }
    }

    /// For how long a master goes on after it was cut off at the most (F).
    pub fn longest_cut_off(&self) -> i64 {
        self.cut_off + STOOD_STILL
    }

    /// The settings of each server.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        settings.max_ttl = Millis(self.ttl);
        settings.grace_period = Millis(self.grace);
        settings
    }
}
