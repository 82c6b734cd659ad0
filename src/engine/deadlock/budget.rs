//! The bound of deadlock searches.

use crate::lock::LockKey;

/// What the deadlock searches of one command may still cost, in steps.
///
/// A step takes 0.1 to 0.4 us, so that all of them together stay below 5 ms (`lock-bench deadlock`).
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// The steps that one command may take.
    pub const STEPS: usize = 10_000;
    /// To follow a wait. All waits of one owner for one lock are followed as one.
    const WAIT: usize = 1;
    /// To look up a lock: the server opens its key. As much again for each KB of its name.
    const LOOKUP: usize = 10;
    /// To refuse a wait.
    const REFUSAL: usize = 20;

    /// The budget of a command.
    pub const fn full() -> Budget {
        Budget::new(Budget::STEPS)
    }

    /// A budget of so many steps.
    pub const fn new(steps: usize) -> Budget {
        Budget(steps)
    }

    /// Whether nothing was taken of it.
    pub fn is_full(&self) -> bool {
        self.0 == Budget::STEPS
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Follows so many waits. False if there are not enough steps left.
    pub fn follow(&mut self, waits: usize) -> bool {
        self.spend(waits * Budget::WAIT)
    }

    /// Looks up a lock. False if there are not enough steps left.
    pub fn look_up(&mut self, key: &LockKey) -> bool {
        self.spend(Budget::LOOKUP * (1 + key.name.len() / 1024))
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
