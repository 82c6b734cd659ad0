//! The wait queues: one for each lock that is waited for, first in, first out.

use super::{by_number, take, ByNumber, Tick};
use crate::lock::{Acquire, Deadline};
use crate::session::Claim;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

/// A lock: the number of its database, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The database.
    pub db: i32,
    /// The key.
    pub name: Rc<[u8]>,
}

/// A waiter's number. A later waiter has a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiterId(pub u64);

/// One call that waits.
#[derive(Debug, Clone)]
pub struct Waiter {
    /// The owner that wants the lock.
    pub owner: Rc<[u8]>,
    /// The lock.
    pub place: Place,
    /// The connection that is blocked: the server's id of its client.
    pub client: u64,
    /// What it asked for.
    pub request: Acquire,
    /// The connection to bind the hold to.
    pub session: Option<Claim>,
    /// When it began to wait.
    pub since: Tick,
    /// When its timeout passes, if it has one.
    pub until: Option<Tick>,
}

/// The waiters of one lock.
#[derive(Debug, Default)]
struct Line {
    waiters: BTreeSet<WaiterId>,
    /// When the lease that they wait for ends, as far as is known.
    lease: Option<Deadline>,
}

/// All queues of a server. No operation costs more than the logarithm of a queue's length.
#[derive(Debug, Default)]
pub struct Lines {
    last: u64,
    waiters: ByNumber<WaiterId, Waiter>,
    /// By database, then by name, so that a lookup does not make a [`Place`].
    lines: BTreeMap<i32, BTreeMap<Rc<[u8]>, Line>>,
    timeouts: BTreeSet<(Tick, WaiterId)>,
    leases: BTreeSet<(Deadline, Place)>,
    /// By owner, then by lock: the locks that an owner waits for stand side by side.
    by_owner: BTreeMap<(Rc<[u8]>, Place), BTreeSet<WaiterId>>,
    by_client: ByNumber<u64, WaiterId>,
}

impl Lines {
    /// No queues.
    pub const fn new() -> Lines {
        Lines {
            last: 0,
            waiters: by_number(),
            lines: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            leases: BTreeSet::new(),
            by_owner: BTreeMap::new(),
            by_client: by_number(),
        }
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many calls wait, in all queues together.
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    /// How many queues there are.
    pub fn lines(&self) -> usize {
        self.lines.values().map(BTreeMap::len).sum()
    }

    /// Whether someone waits for this lock.
    pub fn is_waited_for(&self, db: i32, name: &[u8]) -> bool {
        self.line(db, name).is_some()
    }

    /// Puts a waiter at the end of its queue.
    pub fn join(&mut self, mut waiter: Waiter) -> WaiterId {
        self.last += 1;
        let id = WaiterId(self.last);
        // All waits of an owner share its name, and all for a lock share that.
        if let Some(((owner, _), _)) = self.groups_of(&waiter.owner, None).next() {
            waiter.owner = owner.clone();
        }
        let lines = self.lines.entry(waiter.place.db).or_default();
        if let Some((name, _)) = lines.get_key_value(&waiter.place.name) {
            waiter.place.name = name.clone();
        }
        let line = lines.entry(waiter.place.name.clone()).or_default();
        line.waiters.insert(id);
        let group = (waiter.owner.clone(), waiter.place.clone());
        self.by_owner.entry(group).or_default().insert(id);
        self.by_client.insert(waiter.client, id);
        self.timeouts.extend(waiter.until.map(|until| (until, id)));
        self.waiters.insert(id, waiter);
        id
    }

    /// Removes a waiter from its queue.
    pub fn leave(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.forget(id)?;
        let group = (waiter.owner.clone(), waiter.place.clone());
        if let Some(ids) = self.by_owner.get_mut(&group) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_owner.remove(&group);
            }
        }
        self.leave_queue(&waiter.place, [id]);
        Some(waiter)
    }

    /// Forgets a waiter, but not that it is in its queue and among the waits of its owner.
    fn forget(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = take(&mut self.waiters, &id)?;
        if let Some(until) = waiter.until {
            self.timeouts.remove(&(until, id));
        }
        if self.by_client.get(&waiter.client) == Some(&id) {
            take(&mut self.by_client, &waiter.client);
        }
        Some(waiter)
    }

    fn leave_queue(&mut self, place: &Place, ids: impl IntoIterator<Item = WaiterId>) {
        let Some(lines) = self.lines.get_mut(&place.db) else {
            return;
        };
        let Some(line) = lines.get_mut(&place.name) else {
            return;
        };
        for id in ids {
            line.waiters.remove(&id);
        }
        if line.waiters.is_empty() {
            if let Some(lease) = line.lease {
                self.leases.remove(&(lease, place.clone()));
            }
            lines.remove(&place.name);
        }
    }

    /// Removes the first waiter from the queue, with all other waits of the same owner in it, in the
    /// order in which they came.
    pub fn take_first(&mut self, db: i32, name: &[u8]) -> Vec<(WaiterId, Waiter)> {
        let first = self.in_line(db, name).next();
        let first = first.map(|(_, waiter)| (waiter.owner.clone(), waiter.place.clone()));
        first.map_or_else(Vec::new, |(owner, place)| self.take_of(&owner, &place))
    }

    /// Removes all waits of an owner from a queue, in the order in which they came.
    fn take_of(&mut self, owner: &Rc<[u8]>, place: &Place) -> Vec<(WaiterId, Waiter)> {
        let group = (owner.clone(), place.clone());
        let ids = self.by_owner.remove(&group).unwrap_or_default();
        let mut waits = Vec::with_capacity(ids.len());
        waits.extend(ids.iter().filter_map(|id| Some((*id, self.forget(*id)?))));
        self.leave_queue(place, ids);
        waits
    }

    /// Takes out of a line the youngest waits of an owner, so many at most.
    pub fn take_youngest_of(
        &mut self,
        owner: &Rc<[u8]>,
        place: &Place,
        most: usize,
    ) -> Vec<(WaiterId, Waiter)> {
        let group = self.by_owner.get(&(owner.clone(), place.clone()));
        let ids = group.into_iter().flat_map(|ids| ids.iter().rev());
        let ids: Vec<_> = ids.take(most).copied().collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.leave(id)?)))
            .collect()
    }

    /// Removes all waiters from the queue, in order.
    pub fn take_all(&mut self, db: i32, name: &[u8]) -> Vec<(WaiterId, Waiter)> {
        let ids = self
            .line(db, name)
            .map(|line| line.waiters.clone())
            .unwrap_or_default();
        ids.into_iter()
            .filter_map(|id| Some((id, self.leave(id)?)))
            .collect()
    }

    /// A waiter.
    pub fn get(&self, id: WaiterId) -> Option<&Waiter> {
        self.waiters.get(&id)
    }

    /// Removes one of those whose timeout has passed.
    pub fn take_late(&mut self, now: Tick) -> Option<(WaiterId, Waiter)> {
        let (until, id) = *self.timeouts.first()?;
        (until <= now).then_some(())?;
        Some((id, self.leave(id)?))
    }

    /// When the next timeout passes.
    pub fn next_timeout(&self) -> Option<Tick> {
        self.timeouts.first().map(|(until, _)| *until)
    }

    /// Records when the lease that a queue waits for ends.
    pub fn set_lease(&mut self, place: &Place, lease: Option<Deadline>) {
        let lines = self.lines.get_mut(&place.db);
        let Some(line) = lines.and_then(|lines| lines.get_mut(&place.name)) else {
            return;
        };
        if let Some(before) = line.lease {
            self.leases.remove(&(before, place.clone()));
        }
        line.lease = lease;
        self.leases
            .extend(lease.map(|lease| (lease, place.clone())));
    }

    /// Removes a lease from those that end next, since its lock is being checked. Its known end
    /// stays.
    pub fn forget_lease(&mut self, place: &Place) {
        if let Some(lease) = self.lease(place) {
            self.leases.remove(&(lease, place.clone()));
        }
    }

    /// When the lease that a queue waits for ends, as far as is known.
    pub fn lease(&self, place: &Place) -> Option<Deadline> {
        self.line(place.db, &place.name)?.lease
    }

    /// The lease that ends first of all that are waited for, and its lock.
    pub fn next_lease(&self) -> Option<&(Deadline, Place)> {
        self.leases.first()
    }

    /// Every lock that is waited for, in one database or in all.
    pub fn places(&self, db: Option<i32>) -> Vec<Place> {
        let of = |(&db, lines): (&i32, &BTreeMap<Rc<[u8]>, Line>)| -> Vec<Place> {
            lines
                .keys()
                .map(|name| Place {
                    db,
                    name: name.clone(),
                })
                .collect()
        };
        match db {
            Some(db) => self.lines.get_key_value(&db).map(of).unwrap_or_default(),
            None => self.lines.iter().flat_map(of).collect(),
        }
    }

    /// The locks of a database that are waited for: the longest queue first, and of two that are
    /// equally long the one in which a call has waited longer.
    pub fn longest(&self, db: i32) -> Vec<Place> {
        let mut longest: Vec<_> = self.lines.get(&db).into_iter().flatten().collect();
        longest.sort_by_cached_key(|(_, line)| (Reverse(line.waiters.len()), line.waiters.first()));
        let place = |(name, _): (&Rc<[u8]>, &Line)| Place {
            db,
            name: name.clone(),
        };
        longest.into_iter().map(place).collect()
    }

    /// How many wait for this lock.
    pub fn len_of(&self, db: i32, name: &[u8]) -> usize {
        self.line(db, name).map_or(0, |line| line.waiters.len())
    }

    /// The waiters of this lock, in order.
    pub fn in_line(&self, db: i32, name: &[u8]) -> impl Iterator<Item = (WaiterId, &Waiter)> {
        let ids = self
            .line(db, name)
            .into_iter()
            .flat_map(|line| &line.waiters);
        ids.filter_map(|id| Some((*id, self.waiters.get(id)?)))
    }

    /// The locks that an owner waits for, and the oldest of its waits for each. Those after a lock, where
    /// one is named, in an order that does not change.
    pub fn waits_of(
        &self,
        owner: &Rc<[u8]>,
        after: Option<&Place>,
    ) -> impl Iterator<Item = (&Place, WaiterId)> {
        let groups = self.groups_of(owner, after);
        groups.filter_map(|((_, place), ids)| Some((place, *ids.first()?)))
    }

    fn groups_of(
        &self,
        owner: &Rc<[u8]>,
        after: Option<&Place>,
    ) -> impl Iterator<Item = (&(Rc<[u8]>, Place), &BTreeSet<WaiterId>)> {
        let first = || Place {
            db: i32::MIN, // no database has this number
            name: owner.clone(),
        };
        let after = (owner.clone(), after.cloned().unwrap_or_else(first));
        let of = owner.clone();
        self.by_owner
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(move |((owner, _), _)| *owner == of)
    }

    /// How many waits an owner has for this lock.
    pub fn count_of(&self, owner: &Rc<[u8]>, place: &Place) -> usize {
        let group = self.by_owner.get(&(owner.clone(), place.clone()));
        group.map_or(0, BTreeSet::len)
    }

    /// The oldest wait of an owner for this lock.
    pub fn oldest_of(&self, owner: &Rc<[u8]>, place: &Place) -> Option<WaiterId> {
        let group = (owner.clone(), place.clone());
        self.by_owner.get(&group)?.first().copied()
    }

    /// The wait that blocks this connection.
    pub fn wait_on(&self, client: u64) -> Option<(WaiterId, &Waiter)> {
        let id = *self.by_client.get(&client)?;
        Some((id, self.waiters.get(&id)?))
    }

    /// Every waiter's number, the oldest first.
    pub fn everyone(&self) -> Vec<WaiterId> {
        let mut ids: Vec<_> = self.waiters.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn line(&self, db: i32, name: &[u8]) -> Option<&Line> {
        self.lines.get(&db)?.get(name)
    }
}

#[cfg(test)]
mod tests;
