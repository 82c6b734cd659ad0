//! The two clocks.

use crate::engine::Clock;
use crate::lock::{Now, Tick};

/// Both clocks.
pub fn clock() -> Clock {
    Clock {
        now: now(),
        tick: tick(),
    }
}

/// The wall clock, by which leases end.
pub fn now() -> Now {
    let (seconds, nanos) = read(libc::CLOCK_REALTIME);
    Now(seconds * 1_000_000 + nanos / 1000)
}

/// The monotonic clock, by which waits end.
pub fn tick() -> Tick {
    let (seconds, nanos) = read(libc::CLOCK_MONOTONIC);
    Tick(seconds * 1000 + nanos / 1_000_000)
}

fn read(clock: libc::clockid_t) -> (i64, i64) {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock is one that every system has, the time is written to where we say.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec, time.tv_nsec)
}
