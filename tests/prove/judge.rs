//! Judges a round: the journals are merged by time, cut into the histories of single locks, and given to the checker.
//!
//! Locks do not know of each other, but for the order of tokens, which is over all locks of a server. So each lock has
//! a history of its own, which stays short however many operations a round has.

use crate::check::{self, Call, Conn, Entry, Kind, Op, Reply, Server, Us, Violation, What};
use crate::record::{Event, LockId, Of};
use crate::scenario::Promises;
use rustc_hash::FxHashMap;
use std::fmt::Write;

/// What there is to say of one round, or of many.
#[derive(Debug, Default, Clone)]
pub struct Verdict {
    /// Calls that were answered.
    pub operations: u64,
    pub grants: u64,
    /// Calls whose outcome is unknown, since their connection ended.
    pub unknown: u64,
    /// What breaks no promise, by kind: the scenario promises less, or the locks were lost by a fault just then.
    pub not_promised: FxHashMap<Kind, u64>,
    /// What breaks one, by kind; and the first of it, with the history of its lock.
    pub broken: FxHashMap<Kind, u64>,
    pub story: Option<Story>,
}

impl Verdict {
    /// How often a promise was broken.
    pub fn violations(&self) -> u64 {
        self.broken.values().sum()
    }

    /// Adds that of another round.
    pub fn add(&mut self, other: Verdict) {
        self.operations += other.operations;
        self.grants += other.grants;
        self.unknown += other.unknown;
        for (kind, count) in other.not_promised {
            *self.not_promised.entry(kind).or_default() += count;
        }
        for (kind, count) in other.broken {
            *self.broken.entry(kind).or_default() += count;
        }
        self.story = self.story.take().or(other.story);
    }
}

/// What is wrong, in words, with what happened to that lock.
#[derive(Debug, Clone)]
pub struct Story {
    /// What is wrong.
    pub what: String,
    /// The entries before it.
    pub before: String,
    /// All entries.
    pub whole: String,
}

/// So many entries of the history are told where something is wrong.
const STORY: usize = 60;

/// Judges what was recorded in a round.
pub fn judge(mut events: Vec<Event>, promises: &Promises) -> Verdict {
    events.sort_by_key(|event| (event.at, rank(&event.what)));
    let mut verdict = count(&events);
    let events = with_servers(events);
    let loses = events.iter().any(|event| event.what == What::MayLose);
    for (lock, history) in &by_lock(&events) {
        let found = check::check(history, &promises.check);
        verdict.sort_out(found, promises, |first| tell(*lock, history, first));
        if loses {
            verdict.look_at_losses(history, promises);
        }
    }
    if promises.one_order_of_tokens {
        let merged = merged(&events);
        let found = check::check_tokens(&merged, &promises.check);
        verdict.sort_out(found, promises, |first| tell(0, &merged, first));
    }
    verdict
}

impl Verdict {
    /// Counts what breaks a promise, and what was not promised.
    fn sort_out(
        &mut self,
        found: Vec<Violation>,
        promises: &Promises,
        tell: impl Fn(&Violation) -> Story,
    ) {
        for violation in found {
            if promises.tolerated.contains(&violation.kind) {
                *self.not_promised.entry(violation.kind).or_default() += 1;
                continue;
            }
            *self.broken.entry(violation.kind).or_default() += 1;
            self.story.get_or_insert_with(|| tell(&violation));
        }
    }

    /// Counts what would break a promise, had no fault taken locks away.
    fn look_at_losses(&mut self, history: &[Entry], promises: &Promises) {
        let hide = |entry: &&Entry| !matches!(entry.what, What::MayLose | What::Keeps);
        let blind: Vec<Entry> = history.iter().filter(hide).cloned().collect();
        for violation in check::check(&blind, &promises.check) {
            if matches!(violation.kind, Kind::TwoOwners | Kind::LeaseCutShort) {
                *self.not_promised.entry(violation.kind).or_default() += 1;
            }
        }
    }
}

/// What was learned comes after what was done at the same time.
fn rank(what: &What) -> u8 {
    match what {
        What::Heard { .. } | What::Lease { .. } => 1,
        _ => 0,
    }
}

/// A call with `WAIT` that has reached its server's socket.
struct Written {
    at: Us,
    server: Server,
    of: Of,
    call: Call,
}

/// Adds what the servers certainly know: that a client has closed its connection; and, instead of what was written, what
/// waits. A server reads what has reached its sockets before what reaches them later, and replies when it has run all that
/// it read. Only calls that may write count as later ones: the others are answered while those are paused.
fn with_servers(events: Vec<Event>) -> Vec<Event> {
    let mut sent: FxHashMap<Call, (Us, Server)> = FxHashMap::default();
    let mut written: Vec<Written> = Vec::new();
    let mut all = Vec::with_capacity(events.len());
    for event in events {
        let Event { at, of, .. } = event;
        match event.what {
            What::Sent {
                op: Op::Assert { .. },
                ..
            } => (),
            What::Sent { call, server, .. } => drop(sent.insert(call, (at, server))),
            What::Written { call } => {
                let server = sent.get(&call).map(|(_, server)| *server);
                written.extend(server.map(|server| Written {
                    at,
                    server,
                    of,
                    call,
                }));
                continue;
            }
            What::Heard { call, .. } => {
                written.retain(|wait| wait.call != call);
                if let Some((since, on)) = sent.remove(&call) {
                    let certain = written.extract_if(.., |it| it.at < since && it.server == on);
                    all.extend(certain.map(|Written { of, call, .. }| {
                        let what = What::IsWaiting { call };
                        Event { at, of, what }
                    }));
                }
            }
            What::Closed {
                conn,
                by_client: true,
            } => {
                all.push(event);
                let what = What::Gone { conn };
                all.push(Event { at, of, what });
                continue;
            }
            _ => (),
        }
        all.push(event);
    }
    all
}

fn count(events: &[Event]) -> Verdict {
    let mut verdict = Verdict::default();
    for event in events {
        match &event.what {
            What::Sent { .. } => verdict.unknown += 1,
            What::Heard { reply, .. } => {
                verdict.operations += 1;
                verdict.unknown -= 1;
                let granted = matches!(reply, Reply::Grant { holds: 1.., .. });
                verdict.grants += u64::from(granted);
            }
            _ => (),
        }
    }
    verdict
}

/// The history of each lock, with its calls numbered anew.
fn by_lock(events: &[Event]) -> FxHashMap<LockId, Vec<Entry>> {
    let mut histories: FxHashMap<LockId, Vec<Entry>> = FxHashMap::default();
    let mut of_conn: FxHashMap<Conn, Vec<LockId>> = FxHashMap::default();
    for event in events {
        if let (Of::Lock(lock), What::Sent { conn, .. }) = (event.of, &event.what) {
            histories.entry(lock).or_default();
            let locks = of_conn.entry(*conn).or_default();
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
    }
    let mut numbers: FxHashMap<Call, Call> = FxHashMap::default();
    let mut next: FxHashMap<LockId, Call> = FxHashMap::default();
    let mut last = 0;
    for Event { at, of, what } in events {
        last = *at;
        let entry = || Entry {
            at: *at,
            what: what.clone(),
        };
        match of {
            Of::Lock(lock) => {
                let mut entry = entry();
                match &mut entry.what {
                    What::Sent { call, .. } => {
                        let number = next.entry(*lock).or_default();
                        numbers.insert(*call, *number);
                        *call = *number;
                        *number += 1;
                    }
                    What::Heard { call, .. } | What::IsWaiting { call } => *call = numbers[call],
                    _ => (),
                }
                histories.entry(*lock).or_default().push(entry);
            }
            Of::Conn(conn) => {
                for lock in of_conn.get(conn).into_iter().flatten() {
                    histories.entry(*lock).or_default().push(entry());
                }
            }
            Of::Everything => {
                for history in histories.values_mut() {
                    history.push(entry());
                }
            }
        }
    }
    for history in histories.values_mut() {
        history.push(Entry {
            at: last,
            what: What::Quiet,
        });
    }
    histories
}

/// All that concerns tokens, as of one lock: no owner has two.
fn merged(events: &[Event]) -> Vec<Entry> {
    let concerns = |event: &&Event| match &event.what {
        What::Sent { op, .. } => matches!(op, Op::Acquire { token: None, .. }),
        What::Heard { reply, .. } => matches!(reply, Reply::Grant { .. }),
        _ => event.of == Of::Everything,
    };
    let entry = |event: &Event| Entry {
        at: event.at,
        what: event.what.clone(),
    };
    events.iter().filter(concerns).map(entry).collect()
}

fn tell(lock: LockId, history: &[Entry], violation: &Violation) -> Story {
    let until: Us = violation.at;
    let end = history.partition_point(|entry| entry.at <= until);
    Story {
        what: format!("lock {lock}: {violation}"),
        before: lines(&history[end.saturating_sub(STORY)..end]),
        whole: lines(history),
    }
}

fn lines(history: &[Entry]) -> String {
    let mut text = String::new();
    for entry in history {
        let _ = writeln!(text, "{:>12.6} {:?}", entry.at as f64 / 1e6, entry.what);
    }
    text
}
