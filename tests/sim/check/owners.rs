//! One owner at a time, by what clients believe.
//!
//! An owner believes that it holds a lock from when it heard the grant, for the ttl that it heard, counted from when
//! it had sent the call. It stops with the release of its last hold, when that is sent. A hold that is bound to a
//! connection goes on with the leases that the server writes for it, until the client knows that the connection is
//! closed.

mod grant;

use super::{
    call_of, Call, Check, Conn, Entry, Lock, Op, Owner, Promises, Reply, Sent, Server, Us,
};
use super::{Violation, What};

const MS: Us = 1000;

/// What an owner believes of one lock.
#[derive(Debug, Clone, Copy)]
struct Belief {
    lock: Lock,
    owner: Owner,
    token: i64,
    /// How many of its calls stand for the hold.
    holds: u32,
    until: Us,
    /// The connection that it is bound to, and the linger.
    session: Option<(Conn, i64)>,
    /// The server that it was last heard from.
    server: Server,
    /// It ends with its linger, as far as is known. Any later reply knows better.
    lingers: bool,
    /// The connection that it was bound to, and when its linger is over: it is kept until then if the server learns of the
    /// close before the lease is over.
    closed: Option<(Conn, Us)>,
}

pub struct Owners {
    promises: Promises,
    beliefs: Vec<Belief>,
    /// The last lease that was written of each lock and token.
    leases: Vec<(Lock, i64, Us)>,
    closed: Vec<Conn>,
    /// Which connection each hold was bound to last, with the linger. It stays so, even if its owner is told in between
    /// that it has lost the lock: the server writes the lease again as long as the connection is open.
    bound: Vec<(Lock, Owner, i64, Conn, i64)>,
    /// Holds that were bound to a connection that has closed, and until when they may be relied on. The server ends
    /// them when it learns of that, unless they are bound to another connection.
    ended: Vec<(Lock, Owner, i64, Us)>,
    /// When each server was promoted.
    promoted: Vec<(Server, Us)>,
    /// Calls with SESSION whose reply was not heard on a connection that has closed: the server may have bound the
    /// hold to that connection.
    unheard: Vec<(Lock, Owner)>,
    /// Such calls that may still be answered; releases and renewals too.
    open: Vec<Call>,
    /// Releases that were not heard of: they may yet end the hold with the token that they name, or any.
    loose: Vec<(Lock, Owner, Option<i64>)>,
    /// Renewals that were not heard of, the token that they name, and the end of the lease that they set at the least: they
    /// may shorten a lease late.
    renewals: Vec<(Lock, Owner, Option<i64>, Us)>,
    /// Since when locks are kept. What was asked for before is not believed; none: they may be lost just now.
    keeps: Option<Us>,
}

impl Owners {
    pub fn new(promises: Promises) -> Owners {
        Owners {
            promises,
            beliefs: Vec::with_capacity(8),
            leases: Vec::with_capacity(8),
            closed: Vec::new(),
            bound: Vec::new(),
            ended: Vec::new(),
            promoted: Vec::new(),
            unheard: Vec::new(),
            open: Vec::new(),
            loose: Vec::new(),
            renewals: Vec::new(),
            keeps: Some(Us::MIN),
        }
    }

    fn of(&mut self, lock: Lock, owner: Owner) -> Option<&mut Belief> {
        self.beliefs
            .iter_mut()
            .find(|belief| (belief.lock, belief.owner) == (lock, owner))
    }

    fn forget(&mut self, lock: Lock, owner: Owner) {
        self.beliefs
            .retain(|belief| (belief.lock, belief.owner) != (lock, owner));
    }

    fn sent(&mut self, at: Us, call: &Sent) {
        let Some(belief) = self.of(call.lock, call.owner) else {
            return;
        };
        match call.op {
            Op::Release { holds, token } if token.is_none_or(|token| token == belief.token) => {
                belief.holds = match holds {
                    Some(holds) => belief.holds.min(holds),
                    None => belief.holds.saturating_sub(1),
                };
                if belief.holds == 0 {
                    self.forget(call.lock, call.owner);
                }
            }
            Op::Renew { ttl, .. } => belief.until = belief.until.min(at + ttl * MS),
            _ => (),
        }
    }

    fn heard(&mut self, at: Us, call: &Sent, reply: &Reply, found: &mut Vec<Violation>) {
        let (lock, owner) = (call.lock, call.owner);
        match reply {
            Reply::Grant { holds: 0, .. } => (),
            Reply::Grant { holds, token, ttl } => {
                let until = call.at + ttl * MS;
                self.granted(at, call, (*holds, *token), until, found);
            }
            Reply::Left(left) => {
                if let Some(belief) = self.of(lock, owner) {
                    belief.holds = belief.holds.min((*left).max(0) as u32);
                    if belief.holds == 0 {
                        self.forget(lock, owner);
                    }
                }
            }
            // It learns that it has lost the lock, or that it holds something else.
            Reply::Error(code) if matches!(&**code, "NOTOWNER" | "HOLDCOUNT" | "WRONGTYPE") => {
                self.forget(lock, owner);
            }
            _ => (),
        }
    }

    fn lease(&mut self, at: Us, (lock, token, until): (Lock, i64, Us), found: &mut Vec<Violation>) {
        self.leases
            .retain(|lease| (lease.0, lease.1) != (lock, token));
        self.leases.push((lock, token, until));
        for belief in &mut self.beliefs {
            match belief.closed {
                // The server has kept it for its linger.
                Some((_, end)) if (belief.lock, belief.token) == (lock, token) && until >= end => {
                    belief.until = end;
                }
                _ => (),
            }
        }
        let holder = self.beliefs.iter_mut().find(|belief| {
            (belief.lock, belief.token) == (lock, token) && belief.session.is_some()
        });
        if let Some(holder) = holder {
            holder.until = holder.until.max(until);
            let belief = *holder;
            self.check_others(at, &belief, found);
        }
    }

    fn closed(&mut self, at: Us, conn: Conn, by_client: bool, sent: &[Option<Sent>]) {
        self.closed.push(conn);
        let (unheard, beliefs) = (&mut self.unheard, &mut self.beliefs);
        let (loose, renewals) = (&mut self.loose, &mut self.renewals);
        self.open.retain(|call| match call_of(sent, *call) {
            Some(call) if call.conn == conn => {
                let (lock, owner) = (call.lock, call.owner);
                match call.op {
                    Op::Release { token, .. } => loose.push((lock, owner, token)),
                    Op::Renew { ttl, token } => {
                        renewals.push((lock, owner, token, call.at + ttl * MS));
                    }
                    _ => {
                        unheard.push((lock, owner));
                        // The hold that it may have bound ends with the connection.
                        beliefs.retain(|belief| (belief.lock, belief.owner) != (lock, owner));
                    }
                }
                false
            }
            _ => true,
        });
        let kept = self.promises.kept_linger;
        let ended = &mut self.ended;
        let of_conn = self.bound.iter().filter(|bound| bound.3 == conn);
        ended.extend(of_conn.map(|bound| (bound.0, bound.1, bound.2, at)));
        self.beliefs.retain_mut(|belief| match belief.session {
            Some((bound, linger)) if bound == conn => {
                belief.session = None;
                let lingers = by_client && linger > 0 && linger >= kept;
                belief.lingers = true;
                let end = if lingers { at + linger * MS } else { at };
                belief.closed = lingers.then_some((conn, end));
                belief.until = belief.until.min(end);
                ended.push((belief.lock, belief.owner, belief.token, end));
                lingers
            }
            _ => true,
        });
    }

    /// The server has learned that a connection is closed. A lease that was over by then, since it stood still, is not begun
    /// again. A server that may have been replaced has to write what it keeps: once it has noticed, it writes nothing.
    fn gone(&mut self, at: Us, conn: Conn) {
        if self.promises.kept_linger > 1 {
            return;
        }
        for belief in &mut self.beliefs {
            match belief.closed {
                Some((closed, end)) if closed == conn && belief.until > at => belief.until = end,
                _ => (),
            }
        }
    }
}

/// Whether a call whose reply was not heard may end a hold late: the hold is bound to a connection that has closed,
/// released, or its lease is shortened.
fn is_dangerous(op: &Op) -> bool {
    matches!(
        op,
        Op::Acquire {
            session: Some(_),
            ..
        } | Op::Release { .. }
            | Op::Renew { .. }
    )
}

impl Check for Owners {
    fn see(&mut self, entry: &Entry, sent: &[Option<Sent>], found: &mut Vec<Violation>) {
        let at = entry.at;
        match &entry.what {
            What::Sent { call, .. } => {
                if let Some(sent) = call_of(sent, *call) {
                    if is_dangerous(&sent.op) {
                        self.open.push(*call);
                    }
                    self.sent(at, &sent);
                }
            }
            What::Heard { call, reply } => {
                self.open.retain(|open| open != call);
                if let Some(call) = call_of(sent, *call) {
                    self.heard(at, &call, reply, found);
                }
            }
            What::Role {
                server,
                master: true,
            } => self.promoted.push((*server, at)),
            What::MayLose => {
                self.keeps = None;
                self.beliefs.clear();
            }
            What::Keeps => self.keeps = Some(at),
            What::Dropped { conn } => self.closed(at, *conn, false, sent),
            What::Closed { conn, by_client } => self.closed(at, *conn, *by_client, sent),
            What::Gone { conn } => self.gone(at, *conn),
            What::Died { owner } => {
                let ended = &mut self.ended;
                self.beliefs.retain(|belief| {
                    if belief.owner == *owner && belief.session.is_some() {
                        ended.push((belief.lock, belief.owner, belief.token, at));
                    }
                    belief.owner != *owner
                });
            }
            What::Lease { lock, token, until } => {
                self.lease(at, (*lock, *token, *until), found);
            }
            _ => (),
        }
    }
}
