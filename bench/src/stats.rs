//! Medians, ratios, fairness, percentiles.

use crate::protocol::Pairs;
use hdrhistogram::Histogram;

/// The middle of some numbers; none of none.
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0)
}

/// The median of the ratios of one to the other, round by round: what slows the machine for a while slows both.
pub fn median_ratio(ours: &[f64], other: &[f64]) -> Option<f64> {
    let pairs = ours.iter().zip(other).filter(|(_, other)| **other != 0.0);
    let ratios: Vec<f64> = pairs.map(|(ours, other)| ours / other).collect();
    median(&ratios)
}

/// Jain's index: 1 where all have got as much, 1/n where one has got everything.
pub fn jain(shares: &[u64]) -> Option<f64> {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// Times, from pairs of microseconds and how many times.
#[derive(Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        Times(Histogram::new(3).expect("three digits are possible"))
    }
}

impl Times {
    /// Adds what a round told.
    pub fn add(&mut self, pairs: &Pairs) {
        for &(microseconds, count) in pairs {
            // It grows as it must, up to what 64 bits hold.
            let _ = self.0.record_n(microseconds, count);
        }
    }

    /// Of one round.
    pub fn of(pairs: &Pairs) -> Times {
        let mut times = Times::default();
        times.add(pairs);
        times
    }

    /// The microseconds that this many percent were not above; none where there is nothing.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_percentile(percent) as f64)
    }

    /// The longest.
    pub fn longest(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.max() as f64)
    }

    /// How long the longest was beside the middle.
    pub fn spread(&self) -> Option<f64> {
        let median = self.percentile(50.0)?;
        Some(self.longest()? / median.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        // The second round was slow for both.
        assert_eq!(
            median_ratio(&[1.0, 10.0, 1.0], &[2.0, 20.0, 2.0]),
            Some(0.5)
        );
        assert_eq!(median_ratio(&[1.0, 3.0], &[0.0, 1.0]), Some(3.0));
        assert_eq!(median_ratio(&[], &[]), None);
    }

    #[test]
    fn jains_index_is_one_for_equal_shares_and_an_nth_for_a_winner() {
        assert_eq!(jain(&[7, 7, 7, 7]), Some(1.0));
        assert_eq!(jain(&[0, 0, 0, 9]), Some(0.25));
        assert_eq!(jain(&[1, 3]), Some(0.8));
        assert_eq!(jain(&[0, 0]), None);
        assert_eq!(jain(&[]), None);
    }

    #[test]
    fn pairs_count_as_often_as_they_say() {
        let mut times = Times::of(&vec![(10, 98), (500, 1)]);
        times.add(&vec![(900, 1)]);
        assert_eq!(times.percentile(50.0), Some(10.0));
        assert_eq!(times.percentile(99.0), Some(500.0));
        assert_eq!(times.longest(), Some(900.0));
        assert_eq!(times.spread(), Some(90.0));
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Times::default().percentile(50.0), None);
        assert_eq!(Times::default().spread(), None);
    }

    #[test]
    fn what_took_less_than_a_microsecond_is_zero() {
        assert_eq!(Times::of(&vec![(0, 3)]).percentile(50.0), Some(0.0));
    }
}
