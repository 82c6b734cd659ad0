//! Moments and spans of the wall clock, which leases and fencing tokens are made of.

/// A span in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

/// A moment: milliseconds since the Unix epoch, as the server stores an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub i64);

impl Deadline {
    /// Whether a lease with this deadline is over. It is at the deadline itself; the server keeps
    /// the key for one millisecond more.
    pub fn has_passed(self, now: Now) -> bool {
        now.millis() >= self.0
    }

    /// The time from `now` to the deadline, never below 0.
    pub fn left(self, now: Now) -> Millis {
        Millis((self.0 - now.millis()).max(0))
    }
}

/// When a hold began: microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start(pub i64);

/// The present moment: microseconds since the Unix epoch. One reading serves a whole command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub i64);

impl Now {
    /// Whole milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The deadline of a lease that starts now.
    pub fn plus(self, ttl: Millis) -> Deadline {
        Deadline(self.millis() + ttl.0)
    }
}
