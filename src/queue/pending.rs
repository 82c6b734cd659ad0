//! Grants whose clients were not told yet.
//!
//! A client may go away between the grant and its reply. Then what its call added to the count is
//! undone, but not a hold that another call stands for as well: a repeat with `HOLDS`, which was
//! answered or may still be.

use super::{Place, WaiterId};
use crate::lock::Token;
use std::collections::BTreeMap;

/// One hold that was granted to waiters: it stands for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    /// The token of the hold.
    pub token: Token,
    /// How many holds it made.
    pub holds: u32,
}

#[derive(Debug, Default)]
struct Stand {
    untold: usize,
    answered: bool,
}

/// The grants that are under way.
#[derive(Debug, Default)]
pub struct Pending {
    grants: BTreeMap<WaiterId, (Place, Level)>,
    levels: BTreeMap<Level, Stand>,
    /// What nobody stands for, until it has been undone.
    undo: Vec<(Place, Level)>,
}

impl Pending {
    /// No grants.
    pub const fn new() -> Pending {
        Pending {
            grants: BTreeMap::new(),
            levels: BTreeMap::new(),
            undo: Vec::new(),
        }
    }

    /// Whether no grant is under way.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// A waiter was granted the lock, which made it so many holds.
    pub fn granted(&mut self, id: WaiterId, place: Place, token: Token, holds: u32) {
        let level = Level { token, holds };
        self.grants.insert(id, (place, level));
        self.levels.entry(level).or_default().untold += 1;
    }

    /// A call that did not wait was answered that its owner has so many holds.
    pub fn answered(&mut self, token: Token, holds: u32) {
        if let Some(stand) = self.levels.get_mut(&Level { token, holds }) {
            stand.answered = true;
        }
    }

    /// The waiter was told. Gives the lock that it was granted, and the token of the hold.
    pub fn told(&mut self, id: WaiterId) -> Option<(Place, Token)> {
        let (place, level) = self.grants.get(&id).cloned()?;
        self.end(id, true);
        Some((place, level.token))
    }

    /// The waiter is gone and was not told. Where nobody else stands for the hold it was granted,
    /// that hold is to be undone. Gives the lock that it was granted, and the token of the hold.
    pub fn gone(&mut self, id: WaiterId) -> Option<(Place, Token)> {
        let (place, level) = self.grants.get(&id).cloned()?;
        let undo = self.end(id, false);
        self.undo.extend(undo);
        Some((place, level.token))
    }

    /// Whether a hold is to be undone.
    pub fn has_undo(&self) -> bool {
        !self.undo.is_empty()
    }

    /// One of the holds to be undone.
    pub fn take_undo(&mut self) -> Option<(Place, Level)> {
        self.undo.pop()
    }

    /// These cannot be undone for now.
    pub fn put_back(&mut self, undo: Vec<(Place, Level)>) {
        self.undo.extend(undo);
    }

    fn end(&mut self, id: WaiterId, told: bool) -> Option<(Place, Level)> {
        let (place, level) = self.grants.remove(&id)?;
        let stand = self.levels.get_mut(&level)?;
        stand.untold -= 1;
        stand.answered |= told;
        let (last, answered) = (stand.untold == 0, stand.answered);
        if last {
            self.levels.remove(&level);
        }
        (last && !answered).then_some((place, level))
    }
}

#[cfg(test)]
mod tests;
