//! The bound of deadlock searches.

use crate::queue::Place;

/// What the deadlock searches of one command may still cost, in steps. A step takes some tenths of a
/// microsecond.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// So many steps a command may take.
    pub const STEPS: usize = 10_000;
    /// A wait that is followed. Several of one owner for one lock are followed as one.
    const WAIT: usize = 1;
    /// A lock that is looked up: the server opens its key. So much again for each KB of its name.
    const LOOKUP: usize = 10;
    /// A wait that is refused.
    const REFUSAL: usize = 20;

    /// All that a command may take.
    pub const fn full() -> Budget {
        Budget::new(Budget::STEPS)
    }

    /// So many steps.
    pub const fn new(steps: usize) -> Budget {
        Budget(steps)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Follows so many waits. False where that is too many.
    pub fn follow(&mut self, waits: usize) -> bool {
        self.spend(waits * Budget::WAIT)
    }

    /// Looks a lock up. False where that is too much.
    pub fn look_up(&mut self, place: &Place) -> bool {
        self.spend(Budget::LOOKUP * (1 + place.name.len() / 1024))
    }

    /// How many of so many waits may be refused, one at least.
    pub fn refuse(&mut self, waits: usize) -> usize {
        let refused = waits.min((self.0 / Budget::REFUSAL).max(1));
        self.spend(waits * Budget::REFUSAL);
        refused
    }

    fn spend(&mut self, steps: usize) -> bool {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}
