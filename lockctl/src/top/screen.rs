//! What is on the screen: from two samples.

use super::sample::{Reading, Sample};
use crate::held::Held;
use crate::text::shown;
use std::cmp::Reverse;
use std::time::Duration;

/// Tokens below are no times: of a clock that was never set, or of other software. (The year 2001, in µs.)
const FIRST_TIME: u64 = 1_000_000_000_000_000;

/// What is on the screen.
#[derive(Debug, Default)]
pub struct Screen {
    pub interval: Duration,
    pub servers: Vec<ServerRow>,
    pub queues: Vec<QueueRow>,
    pub sort: Sort,
    pub paused: bool,
    /// Why no server could be asked, or one of them.
    pub error: Option<String>,
}

/// What comes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Waiters,
    LongestWait,
    Held,
}

impl Sort {
    /// The next in the circle.
    pub fn next(self) -> Sort {
        match self {
            Sort::Waiters => Sort::LongestWait,
            Sort::LongestWait => Sort::Held,
            Sort::Held => Sort::Waiters,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Waiters => "waiters",
            Sort::LongestWait => "longest wait",
            Sort::Held => "time held",
        }
    }
}

/// A server.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct ServerRow {
    pub address: String,
    /// None if it could not be asked.
    pub numbers: Option<Numbers>,
}

/// What a server counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Numbers {
    pub sessions: u64,
    pub waiters: u64,
    pub queues: u64,
    /// A second, if two samples are known.
    pub acquired: Option<f64>,
    pub waits: Option<f64>,
    pub handed_over: Option<f64>,
    /// p50, p99, p999 and the longest.
    pub quantiles: [Duration; 4],
    pub grace: Duration,
}

/// A wait queue.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct QueueRow {
    pub lock: String,
    pub holder: String,
    pub held: Option<Duration>,
    pub left: Duration,
    pub session: bool,
    pub waiters: u64,
    pub longest: Duration,
    pub first: String,
    pub server: String,
}

impl Screen {
    /// Of a sample, and of an earlier one if there is one.
    pub fn new(interval: Duration, earlier: Option<&Sample>, sample: &Sample) -> Screen {
        let mut screen = Screen {
            interval,
            ..Screen::default()
        };
        screen.show(earlier, sample);
        screen
    }

    /// Shows another sample.
    pub fn show(&mut self, earlier: Option<&Sample>, sample: &Sample) {
        let servers = match &sample.servers {
            Ok(servers) => servers,
            Err(failure) => {
                // What was seen last is worth more than nothing.
                self.error = Some(failure.to_string());
                return;
            }
        };
        self.error = None;
        self.servers.clear();
        self.queues.clear();
        for (address, reading) in servers {
            let numbers = match reading {
                Ok(reading) => {
                    let before = earlier.and_then(|earlier| earlier.of(address));
                    let span = earlier.map(|earlier| sample.at.duration_since(earlier.at));
                    let rows = reading.queues.iter();
                    let rows = rows.map(|queue| row(queue, reading.now, address));
                    self.queues.extend(rows);
                    Some(numbers(reading, before.zip(span)))
                }
                Err(failure) => {
                    let text = || format!("{address}: {failure}");
                    self.error.get_or_insert_with(text);
                    None
                }
            };
            let address = address.clone();
            self.servers.push(ServerRow { address, numbers });
        }
        self.sort_by(self.sort);
    }

    /// Sorts the queues.
    pub fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.queues.sort_by_key(|queue| {
            let held = queue.held.unwrap_or_default();
            let order = match sort {
                Sort::Waiters => (u128::from(queue.waiters), queue.longest),
                Sort::LongestWait => (queue.longest.as_millis(), held),
                Sort::Held => (held.as_millis(), queue.longest),
            };
            (Reverse(order), queue.lock.clone())
        });
    }
}

impl Sample {
    fn of(&self, address: &str) -> Option<&Reading> {
        let servers = self.servers.as_ref().ok()?;
        let (_, reading) = servers.iter().find(|(name, _)| name == address)?;
        reading.as_ref().ok()
    }
}

fn numbers(reading: &Reading, before: Option<(&Reading, Duration)>) -> Numbers {
    let field = |name: &str| reading.fields.get(name).copied().unwrap_or(0);
    let rate = |name: &str| {
        let (before, span) = before?;
        // It is smaller after a restart.
        let more = field(name).checked_sub(*before.fields.get(name)?)?;
        #[allow(clippy::cast_precision_loss)]
        Some(more as f64 / span.as_secs_f64())
    };
    let millis = |name: &str| Duration::from_millis(field(name));
    Numbers {
        sessions: field("sessions"),
        waiters: field("waiters"),
        queues: field("lines"),
        acquired: rate("acquired"),
        waits: rate("waits_started"),
        handed_over: rate("handed_over"),
        quantiles: ["wait_ms_p50", "wait_ms_p99", "wait_ms_p999", "wait_ms_max"].map(millis),
        grace: millis("grace_ms_left"),
    }
}

fn row(queue: &Held, now: Option<Duration>, server: &str) -> QueueRow {
    let first = queue.queue.first();
    QueueRow {
        lock: shown(&queue.name),
        holder: queue.shown_owner(),
        held: now.and_then(|now| held_for(queue.token, now)),
        left: queue.ttl,
        session: queue.session,
        waiters: queue.waiters,
        longest: first.map_or(Duration::ZERO, |waiter| waiter.waited),
        first: first.map_or_else(String::new, |waiter| shown(&waiter.owner)),
        server: server.to_owned(),
    }
}

/// For how long a hold lasts: its token is the time of its start, in µs, unless the server's clock was set back.
fn held_for(token: u64, now: Duration) -> Option<Duration> {
    let started = (token >= FIRST_TIME).then(|| Duration::from_micros(token))?;
    Some(now.saturating_sub(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lock: &str, waiters: u64, longest: u64, held: u64) -> QueueRow {
        QueueRow {
            lock: lock.to_owned(),
            waiters,
            longest: Duration::from_millis(longest),
            held: Some(Duration::from_millis(held)),
            ..QueueRow::default()
        }
    }

    #[test]
    fn the_longest_queue_comes_first_or_what_the_key_says() {
        let queues = vec![
            queue("a", 1, 9, 5),
            queue("b", 7, 2, 6),
            queue("c", 3, 4, 70),
        ];
        let mut screen = Screen {
            queues,
            ..Screen::default()
        };
        for first in ["b", "a", "c", "b"] {
            screen.sort_by(screen.sort);
            assert_eq!(screen.queues[0].lock, first);
            screen.sort_by(screen.sort.next());
        }
    }

    #[test]
    fn a_token_tells_since_when_a_lock_is_held() {
        let now = Duration::from_secs(1_795_251_790);
        let held = held_for(1_795_251_785_500_000, now);
        assert_eq!(held, Some(Duration::from_millis(4500)));
        assert_eq!(held_for(17, now), None);
        assert_eq!(held_for(0, now), None);
    }
}
