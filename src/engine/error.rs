//! What the engine refuses, and the error text.

use super::session::MIN_TTL;
use crate::lock::{self, Escaped, Millis, MAX_TTL};
use thiserror::Error;

/// A refusal. The text starts with a code. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The lock refuses it.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// `READONLY`: the server is a replica, writable or not.
    #[error("READONLY this server is a replica: only its master grants locks")]
    OnReplica,
    /// The caller has no connection of its own: it is a script or function.
    #[error("ERR SESSION needs a connection of its own, which a script or function does not have")]
    NoConnection,
    /// The lease is too short for a session.
    #[error("ERR ttl must be a whole number from {} to {} for a session, not \"{}\"", MIN_TTL.0, MAX_TTL.0, .0.0)]
    SessionTtl(Millis),
    /// As many calls wait as `lock.max-waiters` allows.
    #[error("TOOMANYWAITERS {0} calls are waiting already (lock.max-waiters)")]
    TooManyWaiters(i64),
    /// The wait would close a cycle of owners that wait for one another.
    #[error(
        "DEADLOCK waiting for {} would close a cycle of {owners} owners{}",
        Escaped(lock),
        if *.shares_connection { " by way of a shared connection" } else { "" }
    )]
    Deadlock {
        /// How many owners.
        owners: usize,
        /// Whether it is a cycle only because owners share a connection.
        shares_connection: bool,
        /// The lock that was asked for.
        lock: Vec<u8>,
    },
}
