//! Hold counts are what an owner's calls make of them.

use super::{
    call_of, Call, Check, Entry, Kind, Lock, Op, Owner, Reply, Sent, Server, Us, Violation, What,
};

/// What an owner knows of its count.
#[derive(Debug, Clone, Copy)]
struct Count {
    lock: Lock,
    owner: Owner,
    token: i64,
    holds: i64,
    /// The server that told it, and how often its process or role had changed.
    told_by: (Server, u32),
    /// So many calls may count besides: the owner gave them up.
    given_up: i64,
    open: Option<Call>,
}

pub struct Counts {
    promised: bool,
    /// How often the process or role of each server has changed.
    changes: Vec<(Server, u32)>,
    counts: Vec<Count>,
    /// Since when locks are kept, if they are: what comes back after a `SWAPDB` has the count that it had.
    keeps: Option<Us>,
}

impl Counts {
    pub fn new(promised: bool) -> Counts {
        Counts {
            promised,
            changes: Vec::new(),
            counts: Vec::new(),
            keeps: Some(Us::MIN),
        }
    }

    fn of(&mut self, lock: Lock, owner: Owner) -> &mut Count {
        let same = |count: &Count| (count.lock, count.owner) == (lock, owner);
        let at = self.counts.iter().position(same).unwrap_or_else(|| {
            self.counts.push(Count {
                lock,
                owner,
                token: 0,
                holds: 0,
                told_by: (0, 0),
                given_up: 0,
                open: None,
            });
            self.counts.len() - 1
        });
        &mut self.counts[at]
    }

    fn heard(&mut self, entry: &Entry, call: &Sent, reply: &Reply, found: &mut Vec<Violation>) {
        let changes = self
            .changes
            .iter()
            .find(|(server, _)| *server == call.server);
        let told_by = (call.server, changes.map_or(0, |(_, changes)| *changes));
        let promised = self.promised && self.keeps.is_some_and(|since| call.at > since);
        let count = self.of(call.lock, call.owner);
        count.open = None;
        let before = (count.token, count.told_by == told_by);
        let (told, expected) = match (reply, call.op) {
            (Reply::Grant { holds, token, .. }, op) if *holds > 0 => {
                let expected = match (op, *token == before.0) {
                    (Op::Acquire { holds: Some(n), .. }, _) => i64::from(n),
                    (Op::Acquire { .. }, true) if !before.1 => i64::from(*holds),
                    (Op::Acquire { .. }, true) => count.holds + 1,
                    (Op::Acquire { .. }, false) if before.1 => 1,
                    (_, true) if before.1 => count.holds,
                    _ => i64::from(*holds),
                };
                count.token = *token;
                (i64::from(*holds), expected)
            }
            (Reply::Left(left), Op::Release { holds, .. }) if *left >= 0 => {
                (*left, holds.map_or(count.holds - 1, i64::from))
            }
            _ => return,
        };
        count.holds = told;
        // Which hold a release was of is not told.
        if matches!(reply, Reply::Grant { .. }) {
            count.told_by = told_by;
        }
        let is_known = before.1 || !matches!(reply, Reply::Left(_));
        if promised && is_known && (told - expected).abs() > count.given_up {
            let Sent {
                owner, lock, op, ..
            } = call;
            found.push(Violation {
                at: entry.at,
                kind: Kind::HoldCount,
                text: format!("owner {owner} is told of {told} holds of lock {lock} after {op:?}, not {expected}"),
            });
        }
    }
}

impl Check for Counts {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        match &entry.what {
            What::Sent {
                call, owner, lock, ..
            } => {
                let count = self.of(*lock, *owner);
                // The call before was given up.
                if count.open.replace(*call).is_some() {
                    count.given_up += 1;
                }
            }
            What::Heard { call, reply } => {
                if let Some(call) = call_of(sent, *call) {
                    self.heard(entry, &call, reply, found);
                }
            }
            What::MayLose => self.keeps = None,
            What::Keeps => {
                self.keeps = Some(entry.at);
                // The next reply tells each owner what it has now.
                for count in &mut self.counts {
                    count.told_by.1 = u32::MAX;
                }
            }
            What::Started { server } | What::Role { server, .. } => {
                match self.changes.iter_mut().find(|(of, _)| of == server) {
                    Some((_, changes)) => *changes += 1,
                    None => self.changes.push((*server, 1)),
                }
            }
            _ => (),
        }
    }
}
