//! Pauses between attempts.

use crate::moment::Moment;
use std::time::Duration;

/// The first pause is about so long, in ms.
const FIRST: u64 = 50;

/// The longest pause, in ms.
const LONGEST: u64 = 1000;

/// Pauses that grow, each of a random length, so that many clients do not come back at once.
pub(crate) struct Pace {
    next: u64,
}

impl Pace {
    /// Begins with short ones.
    pub fn new() -> Pace {
        Pace { next: FIRST }
    }

    /// Pauses, but not longer than until then. False if that is over.
    pub async fn pause(&mut self, until: Option<Moment>) -> bool {
        let pause = Duration::from_millis(fastrand::u64(self.next..=2 * self.next));
        self.next = (2 * self.next).min(LONGEST / 2);
        let left = until.map_or(Duration::MAX, Moment::left);
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(pause.min(left)).await;
        true
    }
}
