//! Grants whose clients were not told yet.
//!
//! A client may go away between the grant and its reply. Then what its call added to the count is
//! undone, but not a hold that another call stands for as well: a repeat with `HOLDS`, which was
//! answered or may still be.

use super::{by_number, take, ByNumber, Place, WaiterId};
use crate::lock::Token;

/// One hold that was granted to waiters: it stands for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    grants: ByNumber<WaiterId, (Place, Level)>,
    levels: ByNumber<Level, Stand>,
    /// What nobody stands for, until it has been undone.
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
        let (place, level, _) = self.end(id, true)?;
        Some((place, level.token))
    }

    /// The waiter is gone and was not told. Where nobody else stands for the hold it was granted,
    /// that hold is to be undone. Gives the lock that it was granted, and the token of the hold.
    pub fn gone(&mut self, id: WaiterId) -> Option<(Place, Token)> {
        let (place, level, stands) = self.end(id, false)?;
        if !stands {
            self.undo.push((place.clone(), level));
        }
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

    /// Gives what it was granted, and whether that hold stands: for others, or as it was told.
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
