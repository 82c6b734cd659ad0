//! Judges a history: what clients believed, in which order they were served, what they were answered.
//!
//! It judges the histories of the simulator, and those of real servers (`tests/prove`).
//!
//! Jepsen's test of Hazelcast has four models of a lock, against which it searches for an order of the calls. Here each
//! is a check that goes through the history once, by what each client may believe at each time:
//!
//! - the owner-aware mutex (nobody else takes or frees it): `owners`;
//! - the reentrant mutex (each hold is counted, and needs a release): `counts`;
//! - the fenced mutex (each new hold has a larger token): `tokens`;
//! - the reentrant fenced mutex (a reentry keeps the token, and no other hold has it): `counts` and `tokens` together.
//!
//! Beyond these, an owner may lose its lock by time, so a belief has an end; and waits have an order (`queues`, `order`).
//!
//! It knows nothing of how the history came about. What clients sent and heard is enough for the first checks; the
//! others need what is known of the servers beside, and find nothing where that is missing.

mod calls;
mod counts;
mod history;
mod order;
mod owners;
mod queues;
mod tokens;

pub use history::{Call, Conn, Entry, Lock, Op, Owner, Reply, Server, Us, What};
use std::fmt;

/// What is promised in a history, and so checked. The rest always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promises {
    /// No two owners hold a lock at once.
    pub one_owner: bool,
    /// So long after a promotion a server whose clock differs cannot tell how much of a lease is left: a hold that it
    /// confirms lasts as long as its owner knows otherwise. 0 if the clocks agree.
    pub unknown_clock: Us,
    /// Tokens grow from one server to the next too.
    pub tokens_across_servers: bool,
    /// Hold counts are what the calls make of them, as long as the server stays the same.
    pub counts: bool,
    /// So long a lock may be free while it is waited for.
    pub served_within: Us,
    /// With such a linger a hold outlasts its connection.
    pub kept_linger: i64,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    TwoOwners,
    WithoutRights,
    LeaseCutShort,
    TokenOrder,
    TokenReused,
    Revived,
    HoldCount,
    Overtaken,
    FreeWhileWaitedFor,
    LateTimeout,
    AnsweredTwice,
    NotAnswered,
    OwnedByNobody,
    LeftOver,
    Differs,
}

/// Something that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub at: Us,
    pub kind: Kind,
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Violation { at, kind, text } = self;
        write!(f, "at {:.6} s: {kind:?}: {text}", *at as f64 / 1e6)
    }
}

/// What was sent, by its number.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Us,
    owner: Owner,
    conn: Conn,
    server: Server,
    lock: Lock,
    op: Op,
}

/// One check: it is told every entry in order.
trait Check {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>);
}

/// Everything that is wrong with a history, in order of time.
pub fn check(history: &[Entry], promises: &Promises) -> Vec<Violation> {
    run(
        history,
        &mut [
            &mut owners::Owners::new(*promises),
            &mut tokens::Tokens::new(promises.tokens_across_servers),
            &mut counts::Counts::new(promises.counts),
            &mut queues::Queues::new(promises.served_within),
            &mut order::Order::default(),
            &mut calls::Calls::default(),
        ],
    )
}

/// What is wrong with the tokens of a history, which may be that of several locks taken for one.
// The simulator's servers have an order of tokens each, which differ by their clocks.
#[allow(dead_code)]
pub fn check_tokens(history: &[Entry], promises: &Promises) -> Vec<Violation> {
    let mut tokens = tokens::Tokens::new(promises.tokens_across_servers);
    run(history, &mut [&mut tokens])
}

fn run(history: &[Entry], checks: &mut [&mut dyn Check]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sent: Vec<Option<Sent>> = Vec::with_capacity(64);
    for entry in history {
        if let What::Sent {
            call,
            owner,
            conn,
            server,
            lock,
            op,
        } = entry.what
        {
            let at = call as usize;
            if sent.len() <= at {
                sent.resize(at + 1, None);
            }
            sent[at] = Some(Sent {
                at: entry.at,
                owner,
                conn,
                server,
                lock,
                op,
            });
        }
        for check in &mut *checks {
            check.see(entry, &sent, &mut found);
        }
    }
    found
}

fn call_of(sent: &[Option<Sent>], call: Call) -> Option<Sent> {
    sent.get(call as usize).copied().flatten()
}
