//! Each client has a lock of its own.

use super::{Done, Round};
use crate::protocol::Work;
use crate::worker::Locker;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Repeats the operation until it is to stop.
pub fn own(
    round: &Round,
    number: usize,
    locker: &mut dyn Locker,
    done: &mut Done,
) -> Result<(), String> {
    let job = round.job;
    let (lock, locks) = (job.own(number), job.batch(number));
    let depth = job.depth;
    match job.work {
        Work::Reenter => repeat(round, done, 1, || {
            (0..depth).try_for_each(|_| locker.acquire(&lock))?;
            (0..depth).try_for_each(|_| locker.release(&lock))
        }),
        Work::Renew => repeat(round, done, 1, || {
            locker.renew(&lock).unwrap_or(Err("no renewal".to_owned()))
        }),
        Work::Paced => {
            let mut pace = Pace::new(round, number);
            repeat(round, done, 1, || {
                pace.wait();
                locker.acquire(&lock)?;
                locker.release(&lock)
            })
        }
        _ if job.pipeline > 1 => repeat(round, done, job.pipeline as u64, || {
            locker.batch(&locks).unwrap_or(Err("no batch".to_owned()))
        }),
        _ => repeat(round, done, 1, || {
            locker.acquire(&lock)?;
            locker.release(&lock)
        }),
    }
}

fn repeat(
    round: &Round,
    done: &mut Done,
    count: u64,
    mut operation: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut before = Instant::now();
    while round.goes_on() {
        operation()?;
        let now = Instant::now();
        done.latency.record(now - before);
        done.operations += count;
        before = now;
    }
    Ok(())
}

/// When a client of many starts its next pair, so that all together keep the pace.
struct Pace {
    next: Instant,
    interval: Duration,
}

impl Pace {
    fn new(round: &Round, number: usize) -> Pace {
        let pace = round.job.pace.max(1) as f64;
        Pace {
            next: round.start + Duration::from_secs_f64(number as f64 / pace),
            interval: Duration::from_secs_f64(round.job.clients as f64 / pace),
        }
    }

    /// Waits for it. A client that is late by more than one does not catch up.
    fn wait(&mut self) {
        let now = Instant::now();
        sleep(self.next.saturating_duration_since(now));
        self.next = (self.next + self.interval).max(now);
    }
}
