//! How long leases and holds may last.

use super::time::{Deadline, Millis, Now, Start};
use super::MAX_TTL;

/// The bounds that the settings put on every lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The longest lease.
    pub lease: Millis,
    /// How long a hold may last from its start, whatever renews it.
    pub hold: Option<Millis>,
}

impl Limits {
    /// No bounds except the range of what is stored.
    pub const NONE: Limits = Limits {
        lease: MAX_TTL,
        hold: None,
    };

    /// The deadline of a lease of `ttl` from now, for a hold that began at `start`: not after the
    /// end of the hold, if that is bounded.
    ///
    /// `stands` is the present deadline. The bound, which may have been set later, never moves it
    /// back.
    pub fn deadline(
        &self,
        ttl: Millis,
        start: Start,
        stands: Option<Deadline>,
        now: Now,
    ) -> Deadline {
        let wanted = now.plus(ttl.min(self.lease));
        match self.hold.map(|hold| start.plus(hold)) {
            Some(end) => wanted.min(stands.map_or(end, |stands| stands.max(end))),
            None => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;

    const NOW: Now = Now(5_000_000);

    fn limits(hold: i64) -> Limits {
        Limits {
            hold: Some(Millis(hold)),
            ..Limits::NONE
        }
    }

    /// The deadline of a lease of 1 s, of a hold that began `age` ms ago and has `stands` ms left.
    fn of_a_second(limits: Limits, age: i64, stands: Option<i64>) -> i64 {
        let start = Start(NOW.0 - age * 1000);
        let stands = stands.map(|ms| Deadline(5000 + ms));
        limits.deadline(Millis(1000), start, stands, NOW).0 - 5000
    }

    #[test]
    fn a_lease_is_as_long_as_asked_for_until_the_hold_ends() {
        assert_eq!(of_a_second(Limits::NONE, 1 << 40, None), 1000);
        assert_eq!(of_a_second(limits(5000), 0, None), 1000);
        assert_eq!(of_a_second(limits(5000), 4000, Some(300)), 1000);
        assert_eq!(of_a_second(limits(5000), 4001, Some(300)), 999);
        assert_eq!(of_a_second(limits(1000), 0, None), 1000);
        assert_eq!(of_a_second(limits(999), 0, None), 999);
    }

    #[test]
    fn the_end_of_a_hold_takes_nothing_away_that_stands() {
        for age in [4800, 5000, 9000] {
            assert_eq!(of_a_second(limits(5000), age, Some(300)), 300);
            // Less than what stands was asked for.
            assert_eq!(of_a_second(limits(5000), age, Some(1500)), 1000);
        }
    }

    #[test]
    fn a_lease_that_is_over_is_not_written_again_after_the_end_of_its_hold() {
        let over = |age| limits(5000).deadline(Millis(1000), Start(NOW.0 - age), None, NOW);
        assert!(!over(4_999_999).has_passed(NOW));
        assert!(over(5_000_000).has_passed(NOW));
        assert!(over(9_000_000).has_passed(NOW));
    }

    #[test]
    fn no_lease_is_longer_than_the_longest() {
        let limits = Limits {
            lease: Millis(600),
            hold: None,
        };
        assert_eq!(of_a_second(limits, 0, None), 600);
        // Which may have been set after the lease.
        assert_eq!(of_a_second(limits, 0, Some(900)), 600);
    }

    proptest! {
        #[test]
        fn it_is_what_is_wanted_or_what_stands_or_the_end_of_the_hold(
            start in 1..=(1_i64 << 53),
            now in 0..(1_i64 << 53),
            ttl in 1..=MAX_TTL.0,
            hold in option::of(1000..=MAX_TTL.0),
            stands in option::of(0..(1_i64 << 54)),
        ) {
            let (now, ttl, start) = (Now(now), Millis(ttl), Start(start));
            let (hold, stands) = (hold.map(Millis), stands.map(Deadline));
            let limits = Limits { hold, ..Limits::NONE };
            let deadline = limits.deadline(ttl, start, stands, now);
            let wanted = now.plus(ttl);
            prop_assert!(deadline <= wanted);
            let end = hold.map(|hold| start.plus(hold));
            prop_assert!(deadline == wanted || Some(deadline) == end || Some(deadline) == stands);
            prop_assert!(stands.is_none_or(|stands| deadline >= stands.min(wanted)));
            prop_assert!(end.is_none_or(|end| deadline <= end.max(stands.unwrap_or(end))));
        }
    }
}
