//! What happens, as it is recorded: each thread keeps a journal of its own, and they are merged by time.
//!
//! Times are monotonic, of one clock for all threads. A call's `Sent` is taken before the write, its `Heard` after the
//! read: what the server did for it lies in between. A journal's own order is kept where times are equal.

use crate::check::{Call, Conn, Us, What};
use std::time::Instant;

/// A lock, by its number in a round. The checker is given one lock at a time.
pub type LockId = u32;

/// The clock of all journals.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Begins to count.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// So many microseconds since the beginning.
    pub fn now(self) -> Us {
        self.0.elapsed().as_micros() as Us
    }
}

/// What happened to one lock, to a connection, or to all.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: Us,
    pub of: Of,
    pub what: What,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    Lock(LockId),
    /// All locks that were asked for on this connection.
    Conn(Conn),
    Everything,
}

/// What one thread records.
pub struct Journal {
    clock: Clock,
    pub events: Vec<Event>,
    /// The latest event that the thread learned of something by.
    learned: Us,
    numbers: Numbers,
}

/// The numbers of the calls of a journal: no other has the same.
struct Numbers {
    next: Call,
    step: Call,
}

impl Journal {
    /// The journal of one of so many threads.
    pub fn new(clock: Clock, thread: usize, threads: usize) -> Journal {
        Journal {
            clock,
            events: Vec::new(),
            learned: 0,
            numbers: Numbers {
                next: thread as Call,
                step: threads as Call,
            },
        }
    }

    /// A number for a call.
    pub fn number(&mut self) -> Call {
        let number = self.numbers.next;
        self.numbers.next += self.numbers.step;
        number
    }

    /// The time for what the thread does next: later than what it has learned. It waits until it is that late.
    pub fn before(&self) -> Us {
        loop {
            let now = self.clock.now();
            if now > self.learned {
                return now;
            }
            std::hint::spin_loop();
        }
    }

    /// Notes what the thread has just learned. Returns the time.
    pub fn learn(&mut self, of: Of, what: What) -> Us {
        let at = self.clock.now();
        self.learned = at;
        self.events.push(Event { at, of, what });
        at
    }

    /// Notes what was or is so at a time.
    pub fn note(&mut self, at: Us, of: Of, what: What) {
        self.events.push(Event { at, of, what });
    }

    /// The time now.
    pub fn now(&self) -> Us {
        self.clock.now()
    }
}
