//! Connections that no lock needs now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// For how long a connection is kept that nobody needs. So there are as many as were needed at once in that time.
const LONGEST: Duration = Duration::from_secs(60);

/// The connections to one server that no lock needs now.
pub(crate) struct Idle<T>(VecDeque<(Instant, T)>);

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Idle(VecDeque::new())
    }
}

impl<T> Idle<T> {
    /// The one that was needed last.
    pub fn take(&mut self) -> Option<T> {
        self.0.pop_back().map(|(_, item)| item)
    }

    /// Keeps one.
    pub fn put(&mut self, item: T, now: Instant) {
        self.0.push_back((now, item));
    }

    /// Drops those that nobody has needed for too long.
    pub fn drop_old(&mut self, now: Instant) {
        while matches!(self.0.front(), Some((since, _)) if now.duration_since(*since) > LONGEST) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_needed_for_a_minute_goes_and_the_rest_is_kept() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut idle = Idle::default();
        for item in 0..100 {
            idle.put(item, begin);
        }
        assert_eq!(idle.take(), Some(99));
        idle.put(99, at(60));
        idle.drop_old(at(60));
        assert_eq!(idle.0.len(), 100);
        idle.put(100, at(61));
        idle.drop_old(at(61));
        assert_eq!(idle.take(), Some(100));
        assert_eq!(idle.take(), Some(99));
        assert_eq!(idle.take(), None);
    }
}
