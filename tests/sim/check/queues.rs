//! Queues are served first come, first served, and in time.

use super::{
    call_of, Call, Check, Entry, Kind, Lock, Op, Owner, Reply, Sent, Server, Us, Violation, What,
};

pub struct Queues {
    served_within: Us,
    /// Calls that wait, in order, and until when.
    waiting: Vec<(Call, Option<Us>)>,
    /// The tokens of each lock.
    seen: Vec<(Lock, i64)>,
    /// Owners that may not acquire locks.
    without_rights: Vec<Owner>,
    /// Until when each server stood still.
    still: Vec<(Server, Us)>,
}

/// How much later than its time a wait may end.
const LATE: Us = 5_000;

impl Queues {
    pub fn new(served_within: Us) -> Queues {
        Queues {
            served_within,
            waiting: Vec::with_capacity(8),
            seen: Vec::with_capacity(16),
            without_rights: Vec::new(),
            still: Vec::new(),
        }
    }

    /// Whether a call is granted a new hold: its token was not seen before.
    fn is_new(&mut self, call: &Sent, token: i64) -> bool {
        let is_new = token > 0 && !self.seen.contains(&(call.lock, token));
        if is_new {
            self.seen.push((call.lock, token));
        }
        is_new && matches!(call.op, Op::Acquire { token: None, .. })
    }

    fn answered(
        &mut self,
        at: Us,
        number: Call,
        reply: &Reply,
        sent: &[Option<Sent>],
        found: &mut Vec<Violation>,
    ) {
        let Some(call) = call_of(sent, number) else {
            return;
        };
        let place = self.waiting.iter().position(|(waits, _)| *waits == number);
        if let Reply::Grant { holds, token, .. } = reply {
            let is_new = self.is_new(&call, *token) && *holds > 0;
            let same = |first: &Sent| (first.lock, first.server) == (call.lock, call.server);
            let mut before = self.waiting.iter().take(place.unwrap_or(usize::MAX));
            let first = before.find_map(|(waits, _)| call_of(sent, *waits).filter(same));
            if let Some(first) = first.filter(|first| is_new && first.owner != call.owner) {
                found.push(Violation {
                    at,
                    kind: Kind::Overtaken,
                    text: format!(
                        "owner {} is granted lock {} before owner {}, who waits since {:.6} s",
                        call.owner,
                        call.lock,
                        first.owner,
                        first.at as f64 / 1e6
                    ),
                });
            }
        }
        let Some(place) = place else { return };
        let is_grant = matches!(reply, Reply::Grant { holds: 1.., .. });
        if is_grant && self.without_rights.contains(&call.owner) {
            found.push(Violation {
                at,
                kind: Kind::WithoutRights,
                text: format!(
                    "owner {} waited for lock {} and is granted it without the right to it",
                    call.owner, call.lock
                ),
            });
        }
        let (_, until) = self.waiting.remove(place);
        let still = self
            .still
            .iter()
            .filter(|(server, _)| *server == call.server);
        let still = still.map(|(_, until)| *until).max().unwrap_or(0);
        let late = until.is_some_and(|until| at > until.max(still) + LATE);
        if late {
            found.push(Violation {
                at,
                kind: Kind::LateTimeout,
                text: format!("a wait for lock {} ends after its time", call.lock),
            });
        }
    }
}

impl Check for Queues {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        match &entry.what {
            What::Waits { call, until } => self.waiting.push((*call, *until)),
            What::Answered { call, reply } => {
                self.answered(entry.at, *call, reply, sent, found);
            }
            What::LeftQueue { call } => self.waiting.retain(|(waits, _)| waits != call),
            What::Rights { owner, may: true } => self.without_rights.retain(|of| of != owner),
            What::Rights { owner, may: false } => self.without_rights.push(*owner),
            What::StoodStill { server, until } => self.still.push((*server, *until)),
            What::Started { server } => self.waiting.retain(|(waits, _)| {
                call_of(sent, *waits).is_some_and(|call| call.server != *server)
            }),
            What::FreeWhileWaitedFor { server, lock, us } if *us > self.served_within => {
                found.push(Violation {
                    at: entry.at,
                    kind: Kind::FreeWhileWaitedFor,
                    text: format!("lock {lock} of server {server} is free for {us} us"),
                });
            }
            _ => (),
        }
    }
}
