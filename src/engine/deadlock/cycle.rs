//! A cycle of waits.

use crate::engine::port::ClientId;
use crate::engine::wait::WaiterId;
use crate::lock::{Escaped, LockKey};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Waits that keep each other from ending: the lock of each is not released while the next one waits,
/// and the lock of the last one not while the first one waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The waits.
    pub steps: Vec<WaitEdge>,
    /// Which of them are refused.
    pub refused: Refused,
}

/// One wait of a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitEdge {
    /// Who waits.
    pub owner: Arc<[u8]>,
    /// For which lock.
    pub key: LockKey,
    /// Its number, if it has begun. Of several waits of the owner for the lock, the oldest.
    pub id: Option<WaiterId>,
    /// The hold of that lock, if the next wait is on the connection that it is bound to. None if the
    /// next wait is the holder's own.
    pub bound: Option<Bound>,
}

/// A hold that is bound to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Who holds the lock.
    pub owner: Arc<[u8]>,
    /// The connection.
    pub client: ClientId,
}

/// What to refuse, to break a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The wait that is about to begin.
    New,
    /// All waits of this owner for this lock. The oldest is the youngest wait of the cycle, and each of
    /// the others would take its key.
    Group(Arc<[u8]>, LockKey),
    /// This wait.
    One(WaiterId),
}

impl Cycle {
    /// How many owners are part of it.
    pub fn owners(&self) -> usize {
        let holders = self.steps.iter().filter_map(|step| step.bound.as_ref());
        let owners = self.steps.iter().map(|step| &step.owner);
        let owners: HashSet<_> = owners.chain(holders.map(|bound| &bound.owner)).collect();
        owners.len()
    }

    /// Whether it is closed only because owners share a connection.
    pub fn shares_connection(&self) -> bool {
        self.steps.iter().any(|step| step.bound.is_some())
    }
}

/// How many waits of a cycle are shown.
const SHOWN: usize = 10;

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().take(SHOWN).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let (owner, lock) = (Escaped(&step.owner), Escaped(&step.key.name));
            write!(f, "{comma}{owner} waits for {lock} (db {})", step.key.db)?;
            if let Some(Bound { owner, client }) = &step.bound {
                write!(
                    f,
                    ", which {} has bound to connection {}",
                    Escaped(owner),
                    client.0
                )?;
            }
        }
        match self.steps.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
