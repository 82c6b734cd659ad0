//! What to do with the waiters of a lock whose key now holds a foreign value.

use crate::lock::{Deadline, Now};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignValue {
    /// Nothing until the lease that they know of ends.
    Keep,
    /// Check again at this time: the value ends too, and the lock is free then.
    LookAt(Deadline),
    /// Refuse them.
    Refuse,
}

/// `lease` is the end of the lease that they wait for, `end` that of the foreign value.
///
/// If both end at once, as after an `HSET` into the lock, the lock is free from then on. But the
/// server keeps a value for one more millisecond, and the module ends only locks exactly in time.
pub fn on_foreign_value(lease: Option<Deadline>, end: Option<Deadline>, now: Now) -> ForeignValue {
    if lease.is_some_and(|lease| !lease.has_passed(now)) {
        return ForeignValue::Keep;
    }
    match end {
        Some(end) if end.has_passed(now) => ForeignValue::LookAt(Deadline(now.millis() + 1)),
        _ => ForeignValue::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now(5_000_999);
    const NEXT: ForeignValue = ForeignValue::LookAt(Deadline(5001));

    fn at(lease: i64, end: Option<i64>) -> ForeignValue {
        on_foreign_value(Some(Deadline(lease)), end.map(Deadline), NOW)
    }

    #[test]
    fn nobody_is_refused_before_the_old_lease_would_have_ended() {
        for end in [None, Some(4000), Some(5000), Some(9000)] {
            assert_eq!(at(5001, end), ForeignValue::Keep);
        }
    }

    #[test]
    fn a_value_that_stays_refuses_them_at_the_end_of_the_old_lease() {
        assert_eq!(at(5000, None), ForeignValue::Refuse);
        assert_eq!(at(5000, Some(5001)), ForeignValue::Refuse);
        assert_eq!(
            on_foreign_value(None, Some(Deadline(5001)), NOW),
            ForeignValue::Refuse
        );
    }

    #[test]
    fn a_value_whose_time_is_over_is_looked_at_again_when_the_server_lets_it_go() {
        assert_eq!(at(5000, Some(5000)), NEXT);
        assert_eq!(at(4000, Some(4000)), NEXT);
        assert_eq!(on_foreign_value(None, Some(Deadline(5000)), NOW), NEXT);
    }
}
