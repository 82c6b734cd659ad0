//! Which hold is bound to which connection, and when each is renewed.

use super::{SessionOptions, RENEWED_AFTER};
use crate::engine::port::{ClientId, UserName};
use crate::lock::{Fence, KeyRef, LockKey, Millis, Tick, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod canonical;

/// The connection that a session is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The connection. A younger one has a larger id.
    pub client: ClientId,
    /// The name of its user, whose rights are checked at each renewal.
    pub user: Option<UserName>,
    /// What the call asked for.
    pub options: SessionOptions,
}

/// A hold that is bound to a connection, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    /// Who holds the lock.
    pub owner: Arc<[u8]>,
    /// Its token, and when it began: tells it from another hold of the same owner.
    pub fence: Fence,
    /// The hold count as it was last seen.
    pub holds: u32,
    /// Whether others have changed the key since it was checked: if it is gone now, it was deleted.
    pub changed: bool,
    bound: Option<Connection>,
    /// Connections that were granted the lock after a wait, and whose reply was not delivered yet.
    reserved: Vec<Connection>,
    renew_at: Option<Tick>,
    /// When the lease ends.
    lease_end: Tick,
    /// Whether the connection has closed.
    closed: bool,
}

impl Session {
    /// The connection, once its client knows that it holds the lock.
    pub fn bound(&self) -> Option<&Connection> {
        self.bound.as_ref()
    }

    /// Whether there is an undelivered grant.
    pub fn is_reserved(&self) -> bool {
        !self.reserved.is_empty()
    }

    /// Whether the connection has closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Every client of this session.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> + '_ {
        let all = self.bound.iter().chain(&self.reserved);
        all.map(|connection| connection.client)
    }
}

/// A hold that was granted: whose, which, how often, and when its lease ends.
#[derive(Debug, Clone)]
pub struct NewHold<'a> {
    /// The owner.
    pub owner: &'a Arc<[u8]>,
    /// The fence.
    pub fence: Fence,
    /// The hold count.
    pub holds: u32,
    /// When its lease ends.
    pub lease_end: Tick,
}

/// Every session of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sessions {
    count: usize,
    /// By database, then by name, so that a lookup does not make a [`LockKey`].
    sessions: BTreeMap<i32, BTreeMap<Arc<[u8]>, Session>>,
    by_client: BTreeMap<ClientId, BTreeSet<LockKey>>,
    due: BTreeSet<(Tick, LockKey)>,
    closed: BTreeSet<LockKey>,
}

impl Sessions {
    /// None.
    pub const fn new() -> Sessions {
        Sessions {
            count: 0,
            sessions: BTreeMap::new(),
            by_client: BTreeMap::new(),
            due: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The session of a lock.
    pub fn get(&self, key: KeyRef) -> Option<&Session> {
        self.sessions.get(&key.db)?.get(key.name)
    }

    fn get_mut(&mut self, key: KeyRef) -> Option<&mut Session> {
        self.sessions.get_mut(&key.db)?.get_mut(key.name)
    }

    /// Whether a hold is bound to this connection.
    pub fn is_bound_to(&self, client: ClientId) -> bool {
        self.by_client.contains_key(&client)
    }

    /// Records that a client is granted a hold that will be bound to its connection when the reply is
    /// delivered. Returns the session of another hold of this lock: its holder has lost the lock.
    pub fn reserve(
        &mut self,
        key: &LockKey,
        hold: &NewHold,
        connection: Connection,
    ) -> Option<Session> {
        let lost = self.replace(key.borrowed(), hold.fence.token);
        let sessions = self.sessions.entry(key.db).or_default();
        let session = sessions.entry(key.name.clone()).or_insert_with(|| {
            self.count += 1;
            Session {
                owner: hold.owner.clone(),
                fence: hold.fence,
                holds: hold.holds,
                changed: false,
                bound: None,
                reserved: Vec::new(),
                renew_at: None,
                lease_end: hold.lease_end,
                closed: false,
            }
        });
        session.holds = hold.holds;
        session.lease_end = hold.lease_end;
        session.reserved.push(connection);
        lost
    }

    /// Records that the grant was delivered: the hold is bound to the connection now, unless it is bound to a
    /// younger one. Of two connections of one owner the younger one counts.
    pub fn delivered(&mut self, key: &LockKey, token: Token, client: ClientId, now: Tick) {
        let Some(session) = self.get_mut(key.borrowed()) else {
            return;
        };
        if session.fence.token != token {
            return;
        }
        let Some(at) = session.reserved.iter().rposition(|c| c.client == client) else {
            return;
        };
        let connection = session.reserved.remove(at);
        let is_younger = |bound: &Connection| bound.client > connection.client;
        if !session.closed && session.bound.as_ref().is_some_and(is_younger) {
            return;
        }
        session.closed = false;
        if let Some(before) = session.bound.replace(connection) {
            self.unlink(before.client, key);
        }
        self.closed.remove(key);
        let keys = self.by_client.entry(client).or_default();
        keys.insert(key.clone());
        self.renewed(key, now);
    }

    /// Forgets a client that disconnected before the grant was delivered.
    pub fn not_delivered(&mut self, key: &LockKey, token: Token, client: ClientId) {
        let Some(session) = self.get_mut(key.borrowed()) else {
            return;
        };
        if session.fence.token != token {
            return;
        }
        session
            .reserved
            .retain(|reserved| reserved.client != client);
        if session.bound.is_none() && session.reserved.is_empty() {
            self.end(key.borrowed());
        }
    }

    /// Records that a call set the ttl of a lock. Its session renews with it from now on.
    pub fn set_ttl(&mut self, key: &LockKey, ttl: Millis, now: Tick) {
        let session = self.get_mut(key.borrowed());
        if let Some(bound) = session.and_then(|session| session.bound.as_mut()) {
            bound.options.ttl = ttl;
            self.renewed(key, now);
        }
    }

    /// Records that the hold goes on without the connection that has closed, since its owner calls on another
    /// one. A connection that was granted it after a wait gets the session when that is delivered.
    pub fn unbind(&mut self, key: KeyRef) {
        let Some(session) = self.get_mut(key) else {
            return;
        };
        if session.reserved.is_empty() {
            self.end(key);
            return;
        }
        session.bound = None;
        session.closed = false;
        self.closed.remove(&key.to_owned());
    }

    /// Records the new hold count of a lock.
    pub fn set_holds(&mut self, key: KeyRef, holds: u32) {
        if let Some(session) = self.get_mut(key) {
            session.holds = holds;
        }
    }

    /// Records the new end of a lock's lease.
    pub fn set_lease(&mut self, key: KeyRef, end: Tick) {
        if let Some(session) = self.get_mut(key) {
            session.lease_end = end;
        }
    }

    /// Records a renewal. The next one is due a third of the ttl later, or at the end of the lease if
    /// that comes first because the hold may not last any longer.
    pub fn renewed(&mut self, key: &LockKey, now: Tick) {
        let next = self.get(key.borrowed()).and_then(|session| {
            let third = Millis(session.bound.as_ref()?.options.ttl.0 / RENEWED_AFTER);
            Some(now.plus(third).min(session.lease_end))
        });
        self.renew_at(key, next);
    }

    /// Has a renewal that is not possible now tried at that time.
    pub fn put_off(&mut self, key: &LockKey, at: Tick) {
        self.renew_at(key, Some(at));
    }

    fn renew_at(&mut self, key: &LockKey, next: Option<Tick>) {
        let Some(session) = self.get_mut(key.borrowed()) else {
            return;
        };
        let before = std::mem::replace(&mut session.renew_at, next);
        if let Some(before) = before {
            self.due.remove(&(before, key.clone()));
        }
        self.due.extend(next.map(|at| (at, key.clone())));
    }

    /// When the next renewal is due.
    pub fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The locks whose renewals are due until then, at most so many.
    pub fn due(&self, until: Tick, most: usize) -> Vec<LockKey> {
        let due = self.due.iter().take_while(|(at, _)| *at <= until);
        due.take(most).map(|(_, key)| key.clone()).collect()
    }

    /// The locks whose leases have ended though their connections are open.
    pub fn overdue(&self, now: Tick) -> Vec<LockKey> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        let ended = |key: &LockKey| {
            let session = self.get(key.borrowed());
            session.is_some_and(|session| session.lease_end <= now)
        };
        due.filter(|(_, key)| ended(key))
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// Records that a connection has closed. Its holds are not renewed any more.
    pub fn client_closed(&mut self, client: ClientId) {
        for key in self.by_client.remove(&client).unwrap_or_default() {
            let Some(session) = self.get_mut(key.borrowed()) else {
                continue;
            };
            session.closed = true;
            if let Some(at) = session.renew_at.take() {
                self.due.remove(&(at, key.clone()));
            }
            self.closed.insert(key);
        }
    }

    /// The locks whose connections have closed.
    pub fn closed(&self) -> Vec<LockKey> {
        self.closed.iter().cloned().collect()
    }

    /// Whether a connection of some session has closed.
    pub fn any_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// Records that others have changed the key of a lock.
    pub fn note_change(&mut self, key: KeyRef) {
        if let Some(session) = self.get_mut(key) {
            session.changed = true;
        }
    }

    /// Records that the key of a lock was checked, and its hold count.
    pub fn checked(&mut self, key: KeyRef, holds: u32) {
        if let Some(session) = self.get_mut(key) {
            session.changed = false;
            session.holds = holds;
        }
    }

    /// Every lock that has a session, in one database or in all.
    pub fn keys(&self, db: Option<i32>) -> Vec<LockKey> {
        let chosen = self
            .sessions
            .iter()
            .filter(|(n, _)| db.is_none_or(|db| db == **n));
        chosen
            .flat_map(|(&db, sessions)| {
                let key = move |name: &Arc<[u8]>| LockKey {
                    db,
                    name: name.clone(),
                };
                sessions.keys().map(key)
            })
            .collect()
    }

    /// Records that a hold with this token is written. Returns the session of another hold, which is lost.
    pub fn replace(&mut self, key: KeyRef, token: Token) -> Option<Session> {
        let other = self.get(key).is_some_and(|s| s.fence.token != token);
        other.then(|| self.end(key)).flatten()
    }

    /// Ends the session of a lock.
    pub fn end(&mut self, key: KeyRef) -> Option<Session> {
        let sessions = self.sessions.get_mut(&key.db)?;
        let (name, session) = sessions.remove_entry(key.name)?;
        if sessions.is_empty() {
            self.sessions.remove(&key.db);
        }
        self.count -= 1;
        let key = LockKey { db: key.db, name };
        if let Some(bound) = &session.bound {
            self.unlink(bound.client, &key);
        }
        if let Some(at) = session.renew_at {
            self.due.remove(&(at, key.clone()));
        }
        if session.closed {
            self.closed.remove(&key);
        }
        Some(session)
    }

    fn unlink(&mut self, client: ClientId, key: &LockKey) {
        if let Some(keys) = self.by_client.get_mut(&client) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
