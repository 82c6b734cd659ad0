//! How far deadlock searches go.

use crate::queue::Place;

/// What the deadlock searches of one command may still cost.
#[derive(Debug)]
pub struct Budget {
    lookups: usize,
    waits: usize,
}

/// A name counts as one lookup more for each so many bytes of it.
const LONG: usize = 1024;

impl Budget {
    /// So many locks are looked up at most: each time the server opens a key.
    pub const LOOKUPS: usize = 1000;
    /// So many waits are looked at at most.
    pub const WAITS: usize = 10_000;

    /// All that a command may spend.
    pub const fn full() -> Budget {
        Budget::new(Budget::LOOKUPS, Budget::WAITS)
    }

    /// So many lookups, so many waits.
    pub const fn new(lookups: usize, waits: usize) -> Budget {
        Budget { lookups, waits }
    }

    /// Whether nothing more may be looked at.
    pub fn is_spent(&self) -> bool {
        self.waits == 0
    }

    /// Looks a lock up. False where that is one too many.
    pub fn look_up(&mut self, place: &Place) -> bool {
        let left = self.lookups.checked_sub(1 + place.name.len() / LONG);
        self.lookups = left.unwrap_or(0);
        left.is_some()
    }

    /// Looks at so many waits.
    pub fn look_at(&mut self, waits: usize) {
        self.waits = self.waits.saturating_sub(waits);
    }
}
