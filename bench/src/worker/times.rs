//! How long things took, as a result tells it: pairs of microseconds and how many times.

use crate::protocol::Pairs;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Durations, in whole microseconds to three digits.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        // Three digits are always possible.
        Times(Histogram::new(3).expect("three digits"))
    }
}

impl Times {
    /// Notes one.
    pub fn record(&mut self, duration: Duration) {
        // It grows as it must, up to what 64 bits hold.
        let _ = self.0.record(duration.as_micros() as u64);
    }

    /// Adds those of another client.
    pub fn add(&mut self, other: &Times) {
        // The histogram grows as it must.
        let _ = self.0.add(&other.0);
    }

    /// As pairs, ascending.
    pub fn pairs(&self) -> Pairs {
        let recorded = self.0.iter_recorded();
        recorded
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }
}
