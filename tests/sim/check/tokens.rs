//! Tokens grow in the order of the holds, and no two holds have the same.
//!
//! Where it is known when the server decided, that is the order. Else a hold comes after another if it was asked for
//! after the other had been heard of.

mod heard;

use super::{
    call_of, Check, Entry, Kind, Lock, Op, Owner, Reply, Sent, Server, Us, Violation, What,
};
use heard::InOrder;

#[derive(Debug, Clone, Copy)]
struct Last {
    lock: Lock,
    /// The server that granted it, where only the order on one server counts.
    server: Option<Server>,
    token: i64,
}

pub struct Tokens {
    across_servers: bool,
    last: Vec<Last>,
    /// Holds that others deleted.
    deleted: Vec<(Lock, Server, i64)>,
    /// Every hold: its lock, the server as above, its token, and its owner.
    holds: Vec<(Lock, Option<Server>, i64, Owner)>,
    in_order: InOrder,
}

impl Tokens {
    pub fn new(across_servers: bool) -> Tokens {
        Tokens {
            across_servers,
            last: Vec::new(),
            deleted: Vec::new(),
            holds: Vec::with_capacity(16),
            in_order: InOrder::default(),
        }
    }

    fn granted(&mut self, at: Us, call: &Sent, token: i64, found: &mut Vec<Violation>) {
        let Sent { owner, lock, .. } = *call;
        if self.deleted.contains(&(lock, call.server, token)) {
            found.push(Violation {
                at,
                kind: Kind::Revived,
                text: format!(
                    "owner {owner} is granted lock {lock} with token {token}, which was deleted"
                ),
            });
        }
        let server = (!self.across_servers).then_some(call.server);
        let hold = self
            .holds
            .iter()
            .find(|hold| (hold.0, hold.1, hold.2) == (lock, server, token));
        match hold {
            Some((_, _, _, other)) if *other != owner => {
                let text = format!(
                    "owner {owner} is granted lock {lock} with token {token}, as owner {other} was"
                );
                let kind = Kind::TokenReused;
                return found.push(Violation { at, kind, text });
            }
            // The same hold.
            Some(_) => return,
            None => self.holds.push((lock, server, token, owner)),
        }
        let last = self
            .last
            .iter_mut()
            .find(|last| (last.lock, last.server) == (lock, server));
        match last {
            Some(last) if token < last.token => found.push(Violation {
                at,
                kind: Kind::TokenOrder,
                text: format!(
                    "owner {owner} is granted lock {lock} with token {token}, after {}",
                    last.token
                ),
            }),
            Some(last) => last.token = token,
            None => self.last.push(Last {
                lock,
                server,
                token,
            }),
        }
    }
}

impl Check for Tokens {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        match entry.what {
            What::Sent { call, .. } => {
                if let Some(call) = call_of(sent, call) {
                    self.in_order.sent(&call);
                }
            }
            What::Heard { call, ref reply } => {
                if let Some(call) = call_of(sent, call) {
                    let server = (!self.across_servers).then_some(call.server);
                    self.in_order.heard(entry.at, &call, server, reply, found);
                }
            }
            What::Answered {
                call,
                reply: Reply::Grant { holds, token, .. },
            } if holds > 0 && token > 0 => {
                if let Some(call) = call_of(sent, call) {
                    self.granted(entry.at, &call, token, found);
                }
            }
            What::Deleted {
                server,
                lock,
                token,
            } => self.deleted.push((lock, server, token)),
            What::Started { server } | What::Role { server, .. } => {
                self.in_order.changed(entry.at, server);
                self.last.retain(|last| last.server != Some(server));
                self.deleted.retain(|deleted| deleted.1 != server);
                self.holds.retain(|hold| hold.1 != Some(server));
            }
            _ => (),
        }
    }
}
