//! What an owner believes once it has heard of a grant.

use super::super::{Conn, Kind, Lock, Op, Owner, Sent, Us, Violation};
use super::{Belief, Owners};

impl Owners {
    pub(super) fn granted(
        &mut self,
        at: Us,
        call: &Sent,
        (holds, token): (u32, i64),
        until: Us,
        found: &mut Vec<Violation>,
    ) {
        let (lock, owner) = (call.lock, call.owner);
        let before = self.of(lock, owner).copied();
        if self.revives(call, token, before) {
            return;
        }
        let until = match before {
            Some(before) if self.has_unknown_clock(call, &before) => before.until.min(until),
            _ => until,
        };
        let session = match call.op {
            Op::Acquire { session, .. } => session.map(|linger| (call.conn, linger)),
            _ => None,
        };
        let session = session.filter(|(conn, _)| !self.closed.contains(conn));
        let session = session.or_else(|| self.bound_to(lock, owner, token));
        if let Some((conn, linger)) = session {
            self.bound
                .retain(|b| (b.0, b.1, b.2) != (lock, owner, token));
            self.bound.push((lock, owner, token, conn, linger));
        }
        let lease = self
            .leases
            .iter()
            .rev()
            .find(|l| (l.0, l.1) == (lock, token));
        let lease = lease.map(|(_, _, until)| *until);
        let mut belief = match before {
            Some(before) if before.token == token => Belief {
                holds: match call.op {
                    Op::Acquire { holds: Some(n), .. } => before.holds.max(n),
                    Op::Acquire { .. } => before.holds + 1,
                    _ => before.holds,
                }
                .min(holds),
                until: match call.op {
                    Op::Acquire { .. } if !before.lingers => before.until.max(until),
                    _ => until,
                },
                session: session.or(before.session),
                server: match self.has_unknown_clock(call, &before) {
                    true => before.server,
                    false => call.server,
                },
                lingers: false,
                closed: None,
                ..before
            },
            _ => {
                if let Some(before) = before.filter(|before| before.until > at) {
                    self.cut_short(at, &before, token, found);
                }
                // A renewal of a hold that it does not know to have does not make it its own.
                if !matches!(call.op, Op::Acquire { .. }) {
                    return;
                }
                Belief {
                    lock,
                    owner,
                    token,
                    holds: 1,
                    until,
                    session,
                    server: call.server,
                    lingers: false,
                    closed: None,
                }
            }
        };
        if belief.session.is_some() {
            belief.until = belief.until.max(lease.unwrap_or(0));
        }
        for (of, by, named, until) in &self.renewals {
            if (*of, *by) == (lock, owner) && named.is_none_or(|named| named == token) {
                belief.until = belief.until.min(*until);
            }
        }
        let is_loose = self.loose.iter().any(|(of, by, named)| {
            (*of, *by) == (lock, owner) && named.is_none_or(|named| named == token)
        });
        if is_loose {
            return self.forget(lock, owner);
        }
        match session {
            Some(_) => self.unheard.retain(|unheard| *unheard != (lock, owner)),
            None if self.unheard.contains(&(lock, owner)) => belief.until = belief.until.min(at),
            None => (),
        }
        let same =
            |ended: &&(Lock, Owner, i64, Us)| (ended.0, ended.1, ended.2) == (lock, owner, token);
        if let (None, Some(ended)) = (session, self.ended.iter().rev().find(same)) {
            belief.until = belief.until.min(ended.3);
        }
        self.forget(lock, owner);
        if self.keeps.is_none_or(|since| call.at <= since) {
            return;
        }
        self.beliefs.push(belief);
        self.check_others(at, &belief, found);
    }

    /// A hold whose lease was over by its owner's own count is lost, even if another server still confirms it: the
    /// server that granted it may have granted the lock anew.
    pub(super) fn revives(&self, call: &Sent, token: i64, before: Option<Belief>) -> bool {
        let by_token = match call.op {
            Op::Acquire { token, .. } | Op::Renew { token, .. } => token.is_some(),
            _ => false,
        };
        let is_known = before.is_some_and(|b| b.token == token && b.until > call.at);
        by_token
            && !is_known
            && self
                .promoted
                .iter()
                .any(|(server, _)| *server == call.server)
    }

    /// Whether the server that answers was promoted of late, does not know the clock of the one before, and tells of a
    /// hold that it has not granted.
    pub(super) fn has_unknown_clock(&self, call: &Sent, before: &Belief) -> bool {
        let of_late = self.promoted.iter().any(|(server, at)| {
            *server == call.server && call.at < at + self.promises.unknown_clock
        });
        of_late && before.server != call.server
    }

    /// The connection that a hold is bound to, if it is open.
    pub(super) fn bound_to(&self, lock: Lock, owner: Owner, token: i64) -> Option<(Conn, i64)> {
        let same = |b: &&(Lock, Owner, i64, Conn, i64)| (b.0, b.1, b.2) == (lock, owner, token);
        let bound = self.bound.iter().find(same)?;
        (!self.closed.contains(&bound.3)).then_some((bound.3, bound.4))
    }

    pub(super) fn cut_short(
        &self,
        at: Us,
        before: &Belief,
        token: i64,
        found: &mut Vec<Violation>,
    ) {
        if self.promises.one_owner {
            found.push(Violation {
                at,
                kind: Kind::LeaseCutShort,
                text: format!(
                    "owner {} holds lock {} with token {} until {:.6} s, but is granted it anew with {token}",
                    before.owner,
                    before.lock,
                    before.token,
                    before.until as f64 / 1e6
                ),
            });
        }
    }

    pub(super) fn check_others(&self, at: Us, belief: &Belief, found: &mut Vec<Violation>) {
        if !self.promises.one_owner || belief.until <= at {
            return;
        }
        let other = self.beliefs.iter().find(|other| {
            other.lock == belief.lock && other.owner != belief.owner && other.until > at
        });
        if let Some(other) = other {
            let of = |b: &Belief| {
                let until = b.until as f64 / 1e6;
                format!(
                    "owner {} with token {} until {until:.6} s",
                    b.owner, b.token
                )
            };
            found.push(Violation {
                at,
                kind: Kind::TwoOwners,
                text: format!(
                    "lock {} is held by {} and {}",
                    belief.lock,
                    of(other),
                    of(belief)
                ),
            });
        }
    }
}
