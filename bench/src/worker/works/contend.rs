//! All clients want one lock.

use super::{Done, Round};
use crate::worker::Locker;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Who released last, and when: the lower bits are the client, the upper ones nanoseconds. Only the holder writes it.
pub struct Baton {
    started: Instant,
    last: AtomicU64,
}

const CLIENT_BITS: u32 = 16;
const NOBODY: u64 = u64::MAX;

impl Default for Baton {
    fn default() -> Baton {
        Baton {
            started: Instant::now(),
            last: AtomicU64::new(NOBODY),
        }
    }
}

impl Baton {
    /// Just before this client releases.
    fn pass(&self, client: usize) {
        let nanoseconds = self.started.elapsed().as_nanos() as u64;
        let packed = (nanoseconds << CLIENT_BITS) | client as u64;
        self.last.store(packed, Ordering::Release);
    }

    /// How long ago another client passed it on; none where this one was the last itself.
    fn take(&self, client: usize) -> Option<Duration> {
        let last = self.last.load(Ordering::Acquire);
        let by = last & ((1 << CLIENT_BITS) - 1);
        if last == NOBODY || by == client as u64 {
            return None;
        }
        let passed = Duration::from_nanos(last >> CLIENT_BITS);
        Some(self.started.elapsed().saturating_sub(passed))
    }
}

/// Acquires, holds, releases.
pub fn contend(
    round: &Round,
    number: usize,
    locker: &mut dyn Locker,
    done: &mut Done,
) -> Result<(), String> {
    let hold = Duration::from_micros(round.job.hold_us);
    let lock = &round.job.lock;
    while round.goes_on() {
        let asked = Instant::now();
        locker.acquire(lock)?;
        let handed_over = round.baton.take(number);
        let waited = asked.elapsed();
        done.waits.record(waited);
        // Then ever fewer contend.
        if round.goes_on() {
            done.latency.record(waited);
            done.operations += 1;
            if let Some(took) = handed_over {
                done.handoff.record(took);
            }
        }
        if !hold.is_zero() {
            sleep(hold);
        }
        round.baton.pass(number);
        locker.release(lock)?;
    }
    Ok(())
}
