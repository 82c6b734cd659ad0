//! The order of tokens by what clients heard: a hold that was asked for after another had been heard of comes after it.

use super::{Kind, Lock, Op, Owner, Reply, Sent, Server, Us, Violation};
use rustc_hash::FxHashMap;

type Place = (Lock, Option<Server>);

/// An owner's calls for a free lock.
#[derive(Debug, Default, Clone, Copy)]
struct Tries {
    open: u32,
    /// One of them was given up: it may be granted at any time.
    is_loose: bool,
}

#[derive(Default)]
pub struct InOrder {
    /// The largest token that was heard of, and since when.
    largest: FxHashMap<Place, Vec<(Us, i64)>>,
    owners: FxHashMap<(Place, i64), Owner>,
    tries: FxHashMap<(Lock, Owner), Tries>,
    /// When each server lost its memory last.
    changed: Vec<(Server, Us)>,
}

impl InOrder {
    pub fn changed(&mut self, at: Us, server: Server) {
        self.largest.retain(|place, _| place.1 != Some(server));
        self.owners.retain(|(place, _), _| place.1 != Some(server));
        self.changed.push((server, at));
    }

    pub fn sent(&mut self, call: &Sent) {
        if is_for_free(&call.op) {
            let tries = self.tries.entry((call.lock, call.owner)).or_default();
            tries.is_loose |= tries.open > 0;
            tries.open += 1;
        }
    }

    pub fn heard(
        &mut self,
        at: Us,
        call: &Sent,
        server: Option<Server>,
        reply: &Reply,
        found: &mut Vec<Violation>,
    ) {
        let Sent { lock, owner, .. } = *call;
        let mut is_loose = true;
        if is_for_free(&call.op) {
            let tries = self.tries.entry((lock, owner)).or_default();
            tries.open = tries.open.saturating_sub(1);
            is_loose = tries.is_loose;
        }
        let Reply::Grant {
            holds: 1.., token, ..
        } = *reply
        else {
            return;
        };
        let place = (lock, server);
        let changed = self.changed.iter().rev();
        let mut of_server = changed.filter(|(of, _)| server == Some(*of));
        if of_server.next().is_some_and(|(_, since)| call.at <= *since) {
            return;
        }
        if let Some(other) = self.owners.insert((place, token), owner) {
            if other != owner {
                found.push(Violation {
                    at,
                    kind: Kind::TokenReused,
                    text: format!(
                        "owner {owner} is told of token {token} of lock {lock}, as owner {other} was"
                    ),
                });
            }
            return;
        }
        let largest = self.largest.entry(place).or_default();
        let before = largest.partition_point(|(since, _)| *since < call.at);
        let before = before.checked_sub(1).map(|last| largest[last].1);
        if let Some(before) = before.filter(|before| *before > token && !is_loose) {
            found.push(Violation {
                at,
                kind: Kind::TokenOrder,
                text: format!(
                    "owner {owner} is granted lock {lock} with token {token}, though it asked for it when {before} was known"
                ),
            });
        }
        if largest.last().is_none_or(|(_, last)| *last < token) {
            largest.push((at, token));
        }
    }
}

/// Whether a call takes a free lock.
fn is_for_free(op: &Op) -> bool {
    matches!(op, Op::Acquire { token: None, .. })
}
