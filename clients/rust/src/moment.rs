//! The clock.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A moment by a clock that nobody can set. On Linux it goes on while the machine is suspended, as the server's lease
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        let now = clock_gettime(CLOCK);
        Moment(Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    /// So much later. Saturates.
    pub fn after(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(span))
    }

    /// How long it is from `earlier` to this moment; zero if that is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long it is until then; zero if it is over.
    pub fn left(self) -> Duration {
        self.since(Moment::now())
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        Moment::now() >= self
    }
}
