//! Which hold is bound to which connection, and when each is renewed.

use super::RENEWED_AFTER;
use crate::lock::{Fence, Millis, Token};
use crate::queue::{Place, Tick};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a call with `SESSION` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The connection: the server's id of its client. A younger one has a larger id.
    pub client: u64,
    /// The name of its user, whose rights are checked at each renewal.
    pub user: Option<Rc<[u8]>>,
    /// The lease that every renewal sets.
    pub ttl: Millis,
    /// How long the owner keeps the lock after the connection has closed.
    pub linger: Millis,
}

/// A hold that is bound to a connection, or will be.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who holds the lock.
    pub owner: Rc<[u8]>,
    /// Its token, and when it began: tells it from another hold of the same owner.
    pub fence: Fence,
    /// The hold count as it was last seen.
    pub holds: u32,
    /// Whether others have changed the key since it was checked: if it is gone now, it was deleted.
    pub changed: bool,
    bound: Option<Claim>,
    /// Clients that were granted the lock after a wait, and whose reply was not delivered yet.
    asked: Vec<Claim>,
    renew_at: Option<Tick>,
    /// When the lease ends.
    lease_end: Tick,
}

impl Session {
    /// The connection, once its client knows that it holds the lock.
    pub fn bound(&self) -> Option<&Claim> {
        self.bound.as_ref()
    }

    /// Whether there is an undelivered grant.
    pub fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Every client of this session.
    pub fn clients(&self) -> impl Iterator<Item = u64> + '_ {
        self.bound
            .iter()
            .chain(&self.asked)
            .map(|claim| claim.client)
    }
}

/// Every session of a server.
#[derive(Debug, Default)]
pub struct Sessions {
    count: usize,
    /// By database, then by name, so that a lookup does not make a [`Place`].
    sessions: BTreeMap<i32, BTreeMap<Rc<[u8]>, Session>>,
    by_client: BTreeMap<u64, BTreeSet<Place>>,
    due: BTreeSet<(Tick, Place)>,
    ended: BTreeSet<Place>,
}

impl Sessions {
    /// None.
    pub const fn new() -> Sessions {
        Sessions {
            count: 0,
            sessions: BTreeMap::new(),
            by_client: BTreeMap::new(),
            due: BTreeSet::new(),
            ended: BTreeSet::new(),
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
    pub fn get(&self, db: i32, name: &[u8]) -> Option<&Session> {
        self.sessions.get(&db)?.get(name)
    }

    fn get_mut(&mut self, db: i32, name: &[u8]) -> Option<&mut Session> {
        self.sessions.get_mut(&db)?.get_mut(name)
    }

    /// Records that a client is granted a hold that will be bound to it when the reply is delivered. Its
    /// lease ends at `lease_end`. Returns the session of another hold of this lock: its holder has lost
    /// the lock.
    pub fn ask(
        &mut self,
        place: &Place,
        owner: &Rc<[u8]>,
        fence: Fence,
        holds: u32,
        claim: Claim,
        lease_end: Tick,
    ) -> Option<Session> {
        let lost = self.replace(place.db, &place.name, fence.token);
        let sessions = self.sessions.entry(place.db).or_default();
        let session = sessions.entry(place.name.clone()).or_insert_with(|| {
            self.count += 1;
            Session {
                owner: owner.clone(),
                fence,
                holds,
                changed: false,
                bound: None,
                asked: Vec::new(),
                renew_at: None,
                lease_end,
            }
        });
        session.holds = holds;
        session.lease_end = lease_end;
        session.asked.push(claim);
        lost
    }

    /// Records that the grant was delivered: the hold is bound to the client now, unless it is bound to a
    /// younger one. Of two connections of one owner the younger one counts.
    pub fn told(&mut self, place: &Place, token: Token, client: u64, now: Tick) {
        let ended = self.ended.contains(place);
        let Some(session) = self.get_mut(place.db, &place.name) else {
            return;
        };
        if session.fence.token != token {
            return;
        }
        let Some(at) = session.asked.iter().rposition(|c| c.client == client) else {
            return;
        };
        let claim = session.asked.remove(at);
        let is_younger = |bound: &Claim| bound.client > claim.client;
        if !ended && session.bound.as_ref().is_some_and(is_younger) {
            return;
        }
        if let Some(before) = session.bound.replace(claim) {
            self.unlink(before.client, place);
        }
        self.ended.remove(place);
        let places = self.by_client.entry(client).or_default();
        places.insert(place.clone());
        self.renewed(place, now);
    }

    /// Forgets a client that disconnected before the grant was delivered.
    pub fn untold(&mut self, place: &Place, token: Token, client: u64) {
        let Some(session) = self.get_mut(place.db, &place.name) else {
            return;
        };
        if session.fence.token != token {
            return;
        }
        session.asked.retain(|claim| claim.client != client);
        if session.bound.is_none() && session.asked.is_empty() {
            self.end(place.db, &place.name);
        }
    }

    /// Records that a call set the ttl of a lock. Its session renews with it from now on.
    pub fn set_ttl(&mut self, place: &Place, ttl: Millis, now: Tick) {
        let session = self.get_mut(place.db, &place.name);
        if let Some(bound) = session.and_then(|session| session.bound.as_mut()) {
            bound.ttl = ttl;
            self.renewed(place, now);
        }
    }

    /// Records the new hold count of a lock.
    pub fn set_holds(&mut self, db: i32, name: &[u8], holds: u32) {
        if let Some(session) = self.get_mut(db, name) {
            session.holds = holds;
        }
    }

    /// Records the new end of a lock's lease.
    pub fn set_lease(&mut self, db: i32, name: &[u8], end: Tick) {
        if let Some(session) = self.get_mut(db, name) {
            session.lease_end = end;
        }
    }

    /// Records a renewal. The next one is due a third of the ttl later, or at the end of the lease if
    /// that comes first because the hold may not last any longer.
    pub fn renewed(&mut self, place: &Place, now: Tick) {
        let Some(session) = self.get_mut(place.db, &place.name) else {
            return;
        };
        let next = session.bound.as_ref().map(|bound| {
            let third = now.0.saturating_add(bound.ttl.0 / RENEWED_AFTER);
            Tick(third).min(session.lease_end)
        });
        let before = std::mem::replace(&mut session.renew_at, next);
        if let Some(before) = before {
            self.due.remove(&(before, place.clone()));
        }
        self.due.extend(next.map(|at| (at, place.clone())));
    }

    /// When the next renewal is due.
    pub fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The locks whose renewals are due until then, at most so many.
    pub fn due(&self, until: Tick, most: usize) -> Vec<Place> {
        let due = self.due.iter().take_while(|(at, _)| *at <= until);
        due.take(most).map(|(_, place)| place.clone()).collect()
    }

    /// The locks whose leases have ended though their connections are open.
    pub fn overdue(&self, now: Tick) -> Vec<Place> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        let ended = |place: &Place| {
            let session = self.get(place.db, &place.name);
            session.is_some_and(|session| session.lease_end <= now)
        };
        due.filter(|(_, place)| ended(place))
            .map(|(_, place)| place.clone())
            .collect()
    }

    /// Records that a connection has closed. Its holds are not renewed any more.
    pub fn closed(&mut self, client: u64) -> bool {
        let places = self.by_client.remove(&client).unwrap_or_default();
        for place in &places {
            let Some(session) = self.get_mut(place.db, &place.name) else {
                continue;
            };
            if let Some(at) = session.renew_at.take() {
                self.due.remove(&(at, place.clone()));
            }
            self.ended.insert(place.clone());
        }
        !places.is_empty()
    }

    /// The locks whose connections have closed.
    pub fn ended(&self) -> Vec<Place> {
        self.ended.iter().cloned().collect()
    }

    /// Whether the connection of a session has closed.
    pub fn has_ended(&self, place: &Place) -> bool {
        self.ended.contains(place)
    }

    /// Whether a connection of some session has closed.
    pub fn any_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Records that others have changed the key of a lock. False if it has no session.
    pub fn note_change(&mut self, db: i32, name: &[u8]) -> bool {
        let session = self.get_mut(db, name);
        session.map(|session| session.changed = true).is_some()
    }

    /// Records that the key of a lock was checked, and its hold count.
    pub fn seen(&mut self, db: i32, name: &[u8], holds: u32) {
        if let Some(session) = self.get_mut(db, name) {
            session.changed = false;
            session.holds = holds;
        }
    }

    /// Every lock that has a session, in one database or in all.
    pub fn places(&self, db: Option<i32>) -> Vec<Place> {
        let chosen = self
            .sessions
            .iter()
            .filter(|(n, _)| db.is_none_or(|db| db == **n));
        chosen
            .flat_map(|(&db, sessions)| {
                let place = move |name: &Rc<[u8]>| Place {
                    db,
                    name: name.clone(),
                };
                sessions.keys().map(place)
            })
            .collect()
    }

    /// Records that a hold with this token is written. Returns the session of another hold, which is lost.
    pub fn replace(&mut self, db: i32, name: &[u8], token: Token) -> Option<Session> {
        let other = self.get(db, name).is_some_and(|s| s.fence.token != token);
        other.then(|| self.end(db, name)).flatten()
    }

    /// Ends the session of a lock.
    pub fn end(&mut self, db: i32, name: &[u8]) -> Option<Session> {
        let sessions = self.sessions.get_mut(&db)?;
        let (name, session) = sessions.remove_entry(name)?;
        if sessions.is_empty() {
            self.sessions.remove(&db);
        }
        self.count -= 1;
        let place = Place { db, name };
        if let Some(bound) = &session.bound {
            self.unlink(bound.client, &place);
        }
        if let Some(at) = session.renew_at {
            self.due.remove(&(at, place.clone()));
        }
        self.ended.remove(&place);
        Some(session)
    }

    fn unlink(&mut self, client: u64, place: &Place) {
        if let Some(places) = self.by_client.get_mut(&client) {
            places.remove(place);
            if places.is_empty() {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
