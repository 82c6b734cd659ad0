//! How long the waits took that ended with the lock.

use crate::lock::Millis;
use hdrhistogram::Histogram;

/// The durations of waits that ended with the lock, exact to 1 %.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitTimes(Histogram<u32>);

/// Significant digits.
const DIGITS: u8 = 2;

/// The longest wait that is distinguished from longer ones: about 34 years.
const LONGEST: u64 = 1 << 40;

impl WaitTimes {
    /// No waits yet. None if there is no memory for it; nothing is allocated after this.
    pub fn new() -> Option<WaitTimes> {
        Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .ok()
            .map(WaitTimes)
    }

    /// Records a wait that took so long and ended with the lock.
    pub fn record(&mut self, waited: Millis) {
        self.0
            .saturating_record(u64::try_from(waited.0).unwrap_or(0));
    }

    /// The time within which that share of them got the lock, 0.5 for half of them; 0 if there were
    /// none.
    pub fn within(&self, share: f64) -> Millis {
        Millis(self.0.value_at_quantile(share) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_by_their_share() {
        let mut times = WaitTimes::new().unwrap();
        assert_eq!(times.within(1.0), Millis(0));
        (1..=1000).for_each(|ms| times.record(Millis(ms)));
        for (share, ms) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            let told = times.within(share).0;
            assert!((ms..=ms + ms / 100).contains(&told), "{share}: {told}");
        }
    }

    #[test]
    fn a_wait_of_no_time_and_one_of_an_age_are_told_too() {
        let mut times = WaitTimes::new().unwrap();
        times.record(Millis(-1));
        times.record(Millis(0));
        assert_eq!(times.within(1.0), Millis(0));
        times.record(Millis(i64::MAX));
        assert!(times.within(1.0) >= Millis(LONGEST as i64));
        assert_eq!(times.within(0.5), Millis(0));
    }
}
