//! How late a server acts, on a machine that has other things to do as well.

use crate::Server;
use std::time::{Duration, Instant, SystemTime};

impl Server {
    /// How long the server was ready to run and the machine had no time for it, in all, in
    /// microseconds. Zero where the machine does not say so.
    fn held_up(&self) -> u64 {
        let stats = std::fs::read_to_string(format!("/proc/{}/schedstat", self.pid()));
        let stats = stats.unwrap_or_default();
        let nanos = stats.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
        nanos.unwrap_or(0) / 1000
    }

    /// Measures how late the server is, in microseconds by its own clock, until the machine has not
    /// held it up in so many rounds. Returns those in order.
    ///
    /// On a machine that is busy all the time it returns the best of many rounds: a server that is
    /// late by itself has none that are better.
    pub fn lateness(&self, rounds: usize, mut measure: impl FnMut(usize) -> i64) -> Vec<i64> {
        let (mut quiet, mut all) = (Vec::new(), Vec::new());
        for round in 0..5 * rounds {
            let before = self.held_up();
            let late = measure(round);
            all.push(late);
            if self.held_up() - before < 200 {
                quiet.push(late);
            }
            if quiet.len() == rounds {
                quiet.sort_unstable();
                return quiet;
            }
        }
        all.sort_unstable();
        all.truncate(rounds);
        all
    }

    /// Stops the process, and lets it go on when something was done: all of that happens to the
    /// server at once.
    pub fn stand_still<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.signal(libc::SIGSTOP);
        crate::eventually("the server stands still", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            stat.rsplit(')').next().unwrap().starts_with(" T")
        });
        let done = meanwhile();
        self.signal(libc::SIGCONT);
        done
    }
}

/// Checks that something is done within a bound three times of at most five: the machine may delay
/// any of them.
pub fn mostly_within(bound: Duration, mut attempt: impl FnMut() -> Duration) {
    let (mut took, mut within) = (Vec::new(), 0);
    while within < 3 {
        took.push(attempt());
        within += usize::from(took.last().is_some_and(|took| *took < bound));
        assert!(took.len() < within + 3, "not within {bound:?}: {took:?}");
    }
}

/// The clock by which servers reckon, beside the one that only goes on.
pub struct Clocks(SystemTime, Instant);

impl Clocks {
    /// From now on.
    pub fn start() -> Clocks {
        Clocks(SystemTime::now(), Instant::now())
    }

    /// Whether the machine's clock was set meanwhile, as after a standstill of a virtual machine: then
    /// leases have ended early, or late.
    pub fn were_set(&self) -> bool {
        let steady = self.1.elapsed();
        let wall = self.0.elapsed().unwrap_or_default();
        wall.abs_diff(steady) > Duration::from_millis(50)
    }
}
