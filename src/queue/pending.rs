//! Grants that were not delivered to their clients yet.
//!
//! A client may disconnect between the grant and its reply. Then what its call added to the count is
//! undone, but not a hold that another call shares: a repeat with `HOLDS`, whose reply was delivered
//! or may still be.

use super::{by_number, take, ByNumber, Place, WaiterId};
use crate::lock::Token;

/// One hold level that was granted to waiters: all of them share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Level {
    /// The token of the hold.
    pub token: Token,
    /// The hold count that it made.
    pub holds: u32,
}

#[derive(Debug, Default)]
struct Stand {
    untold: usize,
    answered: bool,
}

/// The undelivered grants.
#[derive(Debug, Default)]
pub struct Pending {
    grants: ByNumber<WaiterId, (Place, Level)>,
    levels: ByNumber<Level, Stand>,
    /// Holds that no call shares any more, until they are undone.
    undo: Vec<(Place, Level)>,
}

impl Pending {
    /// No grants.
    pub const fn new() -> Pending {
        Pending {
            grants: by_number(),
            levels: by_number(),
            undo: Vec::new(),
        }
    }

    /// Whether there is no undelivered grant.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Records that a waiter was granted the lock, with this hold count.
    pub fn granted(&mut self, id: WaiterId, place: Place, token: Token, holds: u32) {
        let level = Level { token, holds };
        self.grants.insert(id, (place, level));
        self.levels.entry(level).or_default().untold += 1;
    }

    /// Records that a call which did not wait got this hold count as its reply.
    pub fn answered(&mut self, token: Token, holds: u32) {
        if let Some(stand) = self.levels.get_mut(&Level { token, holds }) {
            stand.answered = true;
        }
    }

    /// Records that the reply was delivered. Returns the lock that was granted, and the token of the hold.
    pub fn told(&mut self, id: WaiterId) -> Option<(Place, Token)> {
        let (place, level, _) = self.end(id, true)?;
        Some((place, level.token))
    }

    /// Records that the waiter is gone and its reply was not delivered. If no other call shares the
    /// hold, it has to be undone. Returns the lock that was granted, and the token of the hold.
    pub fn gone(&mut self, id: WaiterId) -> Option<(Place, Token)> {
        let (place, level, stands) = self.end(id, false)?;
        if !stands {
            self.undo.push((place.clone(), level));
        }
        Some((place, level.token))
    }

    /// Whether a hold has to be undone.
    pub fn has_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    /// One of the holds to undo.
    pub fn take_undo(&mut self) -> Option<(Place, Level)> {
        self.undo.pop()
    }

    /// Keeps these, which cannot be undone for now.
    pub fn put_back(&mut self, undo: Vec<(Place, Level)>) {
        self.undo.extend(undo);
    }

    /// Returns what was granted, and whether that hold stays: it is shared, or was delivered.
    fn end(&mut self, id: WaiterId, told: bool) -> Option<(Place, Level, bool)> {
        let (place, level) = take(&mut self.grants, &id)?;
        let stand = self.levels.get_mut(&level)?;
        stand.untold -= 1;
        stand.answered |= told;
        let (last, answered) = (stand.untold == 0, stand.answered);
        if last {
            take(&mut self.levels, &level);
        }
        Some((place, level, answered || !last))
    }
}

#[cfg(test)]
mod tests;
