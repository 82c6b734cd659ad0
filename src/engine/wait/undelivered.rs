//! Grants that were not delivered to their clients yet.
//!
//! A client may disconnect between the grant and its reply. Then what its call added to the count is
//! undone, but not a hold that another call shares: a repeat with `HOLDS`, whose reply was delivered
//! or may still be.

use super::WaiterId;
use crate::engine::port::ClientId;
use crate::engine::table::Table;
use crate::lock::{LockKey, Token};

mod canonical;

/// One hold level that was granted to waiters: all of them share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HoldLevel {
    /// The token of the hold.
    pub token: Token,
    /// The hold count that it made.
    pub holds: u32,
}

/// What a waiter was granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Granted {
    /// Its connection.
    pub client: ClientId,
    /// The lock.
    pub key: LockKey,
    /// The hold level.
    pub level: HoldLevel,
}

/// The calls that share a hold level.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Sharers {
    undelivered: usize,
    answered: bool,
}

/// The undelivered grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Undelivered {
    grants: Table<WaiterId, Granted>,
    levels: Table<HoldLevel, Sharers>,
    /// Holds that no call shares any more, until they are undone.
    undo: Vec<(LockKey, HoldLevel)>,
}

impl Undelivered {
    /// No grants.
    pub const fn new() -> Undelivered {
        Undelivered {
            grants: Table::new(),
            levels: Table::new(),
            undo: Vec::new(),
        }
    }

    /// Records a grant to a waiter.
    pub fn granted(&mut self, id: WaiterId, granted: Granted) {
        self.levels.entry(granted.level).or_default().undelivered += 1;
        self.grants.insert(id, granted);
    }

    /// Records that a call which did not wait got this hold count as its reply.
    pub fn answered(&mut self, token: Token, holds: u32) {
        if let Some(sharers) = self.levels.get_mut(&HoldLevel { token, holds }) {
            sharers.answered = true;
        }
    }

    /// Records that the reply was delivered. Returns what was granted.
    pub fn delivered(&mut self, id: WaiterId) -> Option<Granted> {
        let (granted, _) = self.end(id, true)?;
        Some(granted)
    }

    /// Records that the waiter is gone and its reply was not delivered. If no other call shares the
    /// hold, it has to be undone. Returns what was granted.
    pub fn not_delivered(&mut self, id: WaiterId) -> Option<Granted> {
        let (granted, stays) = self.end(id, false)?;
        if !stays {
            self.undo.push((granted.key.clone(), granted.level));
        }
        Some(granted)
    }

    /// Whether a hold has to be undone.
    pub fn has_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    /// The holds that have to be undone.
    pub fn take_undo(&mut self) -> Vec<(LockKey, HoldLevel)> {
        std::mem::take(&mut self.undo)
    }

    /// Keeps one that cannot be undone for now.
    pub fn put_back(&mut self, key: LockKey, level: HoldLevel) {
        self.undo.push((key, level));
    }

    /// Returns what was granted, and whether that hold stays: it is shared, or was delivered.
    fn end(&mut self, id: WaiterId, delivered: bool) -> Option<(Granted, bool)> {
        let granted = self.grants.take(&id)?;
        let sharers = self.levels.get_mut(&granted.level)?;
        sharers.undelivered -= 1;
        sharers.answered |= delivered;
        let (last, answered) = (sharers.undelivered == 0, sharers.answered);
        if last {
            self.levels.take(&granted.level);
        }
        Some((granted, answered || !last))
    }
}

#[cfg(test)]
mod tests;
