//! Points in time and durations of the wall clock, for leases and fencing tokens.
//!
//! The clock is read in microseconds, and leases end at whole milliseconds. A holder counts from
//! before the call: so a deadline is rounded up, and the time left in the holder's reply is rounded
//! down. For those who wait for the end it is rounded up, so that they do not wake early.

use super::MAX_TTL;

/// A duration in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// A point in time: milliseconds since the Unix epoch, as the server stores an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(pub i64);

impl Deadline {
    /// Whether a lease with this deadline is over. It is over at the deadline itself; the server
    /// keeps the key for one millisecond more.
    pub fn has_passed(self, now: Now) -> bool {
        now.millis() >= self.0
    }

    /// The whole milliseconds from `now` to the deadline, from 0 to [`MAX_TTL`]: what a holder can rely on.
    pub fn left(self, now: Now) -> Millis {
        Millis(self.0.saturating_sub(round_up(now.0)).clamp(0, MAX_TTL.0))
    }

    /// How long to wait from `now` until the deadline has passed, from 0 to [`MAX_TTL`].
    pub fn wait(self, now: Now) -> Millis {
        Millis(self.0.saturating_sub(now.millis()).clamp(0, MAX_TTL.0))
    }
}

/// When a hold began: microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start(pub i64);

impl Start {
    /// The deadline of what lasts so long from that start.
    pub fn plus(self, span: Millis) -> Deadline {
        Deadline(round_up(self.0) + span.0)
    }
}

/// The current time: microseconds since the Unix epoch. A command reads it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub i64);

impl Now {
    /// Whole milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The deadline of a lease that starts now: `ttl` from now, or up to a millisecond more.
    pub fn plus(self, ttl: Millis) -> Deadline {
        Deadline(round_up(self.0) + ttl.0)
    }
}

/// A point in time of the monotonic clock, in milliseconds. Waits and sessions are measured by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub i64);

impl Tick {
    /// So much later.
    pub fn plus(self, span: Millis) -> Tick {
        Tick(self.0.saturating_add(span.0))
    }
}

/// The first whole millisecond at or after a time in microseconds.
fn round_up(micros: i64) -> i64 {
    micros.div_euclid(1000) + i64::from(micros.rem_euclid(1000) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lease_that_begins_within_a_millisecond_ends_with_a_whole_one() {
        for (now, deadline) in [
            (5_000_000, 5010),
            (5_000_001, 5011),
            (5_000_999, 5011),
            (5_001_000, 5011),
        ] {
            assert_eq!(Now(now).plus(Millis(10)), Deadline(deadline), "{now}");
            assert_eq!(Start(now).plus(Millis(10)), Deadline(deadline), "{now}");
        }
        assert_eq!(Now(-1).plus(Millis(10)), Deadline(10));
    }

    #[test]
    fn a_holder_is_told_less_than_is_left_and_one_who_waits_no_less() {
        let deadline = Deadline(5010);
        for (now, left, wait) in [
            (5_000_000, 10, 10),
            (5_000_001, 9, 10),
            (5_009_000, 1, 1),
            (5_009_001, 0, 1),
            (5_010_000, 0, 0),
            (6_000_000, 0, 0),
        ] {
            assert_eq!(deadline.left(Now(now)), Millis(left), "{now}");
            assert_eq!(deadline.wait(Now(now)), Millis(wait), "{now}");
        }
    }

    #[test]
    fn one_who_waited_for_the_longest_lease_was_told_of_a_millisecond_more() {
        for now in [5_000_000, 5_000_001] {
            let longest = Now(now).plus(MAX_TTL);
            assert_eq!(longest.wait(Now(now)), MAX_TTL, "{now}");
        }
        // Someone else has set the expiry.
        assert_eq!(Deadline(i64::MAX).left(Now(0)), MAX_TTL);
        assert_eq!(Deadline(i64::MIN).wait(Now(5_000_000)), Millis(0));
    }

    proptest! {
        #[test]
        fn a_lease_lasts_its_ttl_and_is_told_as_no_longer(
            now in 0..(1_i64 << 53),
            ttl in prop_oneof![1..100_000_i64, 1..=MAX_TTL.0],
            later in 0..200_000_000_i64,
        ) {
            let (deadline, end) = (Now(now).plus(Millis(ttl)), i128::from(now) + i128::from(ttl) * 1000);
            prop_assert_eq!(deadline.left(Now(now)), Millis(ttl));
            prop_assert!(deadline.wait(Now(now)).0 - ttl <= 1);
            prop_assert!(i128::from(deadline.0) * 1000 - end < 1000);
            let then = Now(now + later);
            prop_assert!(!deadline.has_passed(then) || i128::from(then.0) >= end);
            // Neither tells of an end that is not one: who waits so long finds it over, and who
            // holds it for so long holds it to the last.
            let wait = Now(then.0 + deadline.wait(then).0 * 1000);
            prop_assert!(deadline.has_passed(wait) || deadline.wait(then) == MAX_TTL);
            let held = then.0 + deadline.left(then).0 * 1000;
            prop_assert!(deadline.has_passed(then) || !deadline.has_passed(Now(held - 1)));
        }
    }
}
