//! Queues are served first come, first served, as far as clients can tell, where it is not known when a server began to
//! let a call wait.
//!
//! A call that certainly waited before another one was sent is granted the lock first, so its token is the smaller one.

use super::{
    call_of, Call, Check, Entry, Kind, Op, Owner, Reply, Sent, Server, Us, Violation, What,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Order {
    /// Since when a call is certain to wait.
    certain: BTreeMap<Call, Us>,
    /// The answers, and when each was heard: the token of a grant, else 0.
    heard: Vec<(Call, i64, Us)>,
}

/// A new hold.
struct Granted {
    server: Server,
    token: i64,
    call: Call,
    owner: Owner,
    sent: Us,
    heard: Us,
}

impl Order {
    fn quiet(&self, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        // Of the holds with smaller tokens: when the calls that got them were sent, the latest of two owners first.
        let mut latest: Vec<(Us, Owner)> = Vec::new();
        let mut server = None;
        for granted in self.granted(sent) {
            if server.replace(granted.server) != Some(granted.server) {
                latest.clear();
            }
            let Granted { owner, call, .. } = granted;
            let other = latest.iter().find(|(_, other)| *other != owner);
            let since = self.certain.get(&call);
            if let (Some((other_sent, other)), Some(since)) = (other, since) {
                if other_sent > since {
                    found.push(Violation {
                        at: granted.heard,
                        kind: Kind::Overtaken,
                        text: format!(
                            "owner {other} asked at {:.6} s and is granted the lock before owner {owner}, who waits since {:.6} s",
                            *other_sent as f64 / 1e6,
                            *since as f64 / 1e6
                        ),
                    });
                }
            }
            match latest.iter_mut().find(|(_, other)| *other == owner) {
                Some((sent, _)) => *sent = granted.sent.max(*sent),
                None => latest.push((granted.sent, owner)),
            }
            latest.sort_unstable_by_key(|(sent, _)| Reverse(*sent));
            latest.truncate(2);
        }
    }

    /// The new holds, by server and token. An owner that does not know what became of a call may be told of an older hold
    /// by the next one, so its later calls are left out.
    fn granted(&self, sent: &[Option<Sent>]) -> Vec<Granted> {
        let heard: BTreeMap<Call, (i64, Us)> = self
            .heard
            .iter()
            .map(|(call, token, at)| (*call, (*token, *at)))
            .collect();
        let (mut seen, mut lost) = (BTreeSet::new(), BTreeSet::new());
        let mut granted = Vec::new();
        for call in 0..sent.len() as Call {
            let Some(it) = call_of(sent, call) else {
                continue;
            };
            let Some(&(token, at)) = heard.get(&call) else {
                lost.insert(it.owner);
                continue;
            };
            let is_new = matches!(it.op, Op::Acquire { token: None, .. }) && token > 0;
            if is_new && seen.insert(token) && !lost.contains(&it.owner) {
                granted.push(Granted {
                    server: it.server,
                    token,
                    call,
                    owner: it.owner,
                    sent: it.at,
                    heard: at,
                });
            }
        }
        granted.sort_unstable_by_key(|it| (it.server, it.token));
        granted
    }
}

impl Check for Order {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        match &entry.what {
            What::IsWaiting { call } => drop(self.certain.insert(*call, entry.at)),
            What::Heard { call, reply } => {
                let token = match reply {
                    Reply::Grant { token, .. } => *token,
                    _ => 0,
                };
                self.heard.push((*call, token, entry.at));
            }
            What::Quiet if !self.certain.is_empty() => self.quiet(sent, found),
            _ => (),
        }
    }
}
