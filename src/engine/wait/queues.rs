//! The wait queues: one for each lock that is waited for, first in, first out.

use crate::engine::port::{ClientId, UserName};
use crate::engine::session::SessionOptions;
use crate::engine::table::Table;
use crate::lock::{Acquire, Deadline, KeyRef, LockKey, Now, Tick};
use rustc_hash::FxBuildHasher;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;

mod canonical;

/// A waiter's number. A later waiter has a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiterId(pub u64);

/// One call that waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// The owner that wants the lock.
    pub owner: Arc<[u8]>,
    /// The lock.
    pub key: LockKey,
    /// The connection that is blocked.
    pub client: ClientId,
    /// Its user when it began to wait; none if it has none.
    pub user: Option<UserName>,
    /// What it asked for.
    pub request: Acquire,
    /// How to bind the hold to the connection, if it asked for that.
    pub session: Option<SessionOptions>,
    /// When it began to wait.
    pub since: Tick,
    /// When its timeout passes, if it has one.
    pub until: Option<Tick>,
}

/// The waiters of one lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Queue {
    waiters: BTreeSet<WaiterId>,
    /// When the lease that they wait for ends, as far as is known.
    lease: Option<Deadline>,
}

/// An owner and a lock. The locks that an owner waits for stand side by side. The hash comes first, so that a search
/// among many does not read the names of other owners, each of which is somewhere else in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Group {
    hash: u64,
    owner: Arc<[u8]>,
    key: LockKey,
}

impl Group {
    fn new(owner: &Arc<[u8]>, key: &LockKey) -> Group {
        Group {
            // Owners that a client has chosen to have the same hash are compared by name.
            hash: FxBuildHasher.hash_one(&**owner),
            owner: owner.clone(),
            key: key.clone(),
        }
    }
}

/// All queues of a server. No operation costs more than the logarithm of a queue's length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WaitQueues {
    last: u64,
    waiters: Table<WaiterId, Waiter>,
    /// By database, then by name, so that a lookup does not make a [`LockKey`].
    queues: BTreeMap<i32, BTreeMap<Arc<[u8]>, Queue>>,
    timeouts: BTreeSet<(Tick, WaiterId)>,
    leases: BTreeSet<(Deadline, LockKey)>,
    /// The waits of each owner for each lock.
    by_owner: BTreeMap<Group, BTreeSet<WaiterId>>,
    by_client: Table<ClientId, WaiterId>,
}

impl WaitQueues {
    /// No queues.
    pub const fn new() -> WaitQueues {
        WaitQueues {
            last: 0,
            waiters: Table::new(),
            queues: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            leases: BTreeSet::new(),
            by_owner: BTreeMap::new(),
            by_client: Table::new(),
        }
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many calls wait, in all queues together.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// How many queues there are.
    pub fn count(&self) -> usize {
        self.queues.values().map(BTreeMap::len).sum()
    }

    /// Whether someone waits for this lock.
    pub fn is_waited_for(&self, key: KeyRef) -> bool {
        self.queue(key).is_some()
    }

    /// Whether someone waits for another lock than this one.
    pub fn is_another_waited_for(&self, key: KeyRef) -> bool {
        let is_another = |db: i32, name: &[u8]| db != key.db || name != key.name;
        let mut queues = self.queues.iter();
        queues.any(|(db, queues)| queues.keys().any(|name| is_another(*db, name)))
    }

    /// Puts a waiter at the end of its queue.
    pub fn join(&mut self, mut waiter: Waiter) -> WaiterId {
        self.last += 1;
        let id = WaiterId(self.last);
        // All waits of an owner share its name, and all for a lock share that.
        if let Some((group, _)) = self.groups_of(&waiter.owner, None).next() {
            waiter.owner = group.owner.clone();
        }
        let queues = self.queues.entry(waiter.key.db).or_default();
        if let Some((name, _)) = queues.get_key_value(&waiter.key.name) {
            waiter.key.name = name.clone();
        }
        let queue = queues.entry(waiter.key.name.clone()).or_default();
        queue.waiters.insert(id);
        let group = Group::new(&waiter.owner, &waiter.key);
        self.by_owner.entry(group).or_default().insert(id);
        self.by_client.insert(waiter.client, id);
        self.timeouts.extend(waiter.until.map(|until| (until, id)));
        self.waiters.insert(id, waiter);
        id
    }

    /// Removes a waiter from its queue.
    pub fn remove(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.forget(id)?;
        let group = Group::new(&waiter.owner, &waiter.key);
        if let Some(ids) = self.by_owner.get_mut(&group) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_owner.remove(&group);
            }
        }
        self.remove_from_queue(&waiter.key, [id]);
        Some(waiter)
    }

    /// Forgets a waiter, but not that it is in its queue and among the waits of its owner.
    fn forget(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.waiters.take(&id)?;
        if let Some(until) = waiter.until {
            self.timeouts.remove(&(until, id));
        }
        if self.by_client.get(&waiter.client) == Some(&id) {
            self.by_client.take(&waiter.client);
        }
        Some(waiter)
    }

    fn remove_from_queue(&mut self, key: &LockKey, ids: impl IntoIterator<Item = WaiterId>) {
        let Some(queues) = self.queues.get_mut(&key.db) else {
            return;
        };
        let Some(queue) = queues.get_mut(&key.name) else {
            return;
        };
        for id in ids {
            queue.waiters.remove(&id);
        }
        if queue.waiters.is_empty() {
            if let Some(lease) = queue.lease {
                self.leases.remove(&(lease, key.clone()));
            }
            queues.remove(&key.name);
            if queues.is_empty() {
                self.queues.remove(&key.db);
            }
        }
    }

    /// Removes the first waiter from the queue, with all other waits of the same owner in it, in the
    /// order in which they came.
    pub fn take_first(&mut self, key: KeyRef) -> Vec<(WaiterId, Waiter)> {
        let first = self.waiters_of(key).next();
        let first = first.map(|(_, waiter)| (waiter.owner.clone(), waiter.key.clone()));
        first.map_or_else(Vec::new, |(owner, key)| self.take_of(&owner, &key))
    }

    /// Removes all waits of an owner from a queue, in the order in which they came.
    pub fn take_of(&mut self, owner: &Arc<[u8]>, key: &LockKey) -> Vec<(WaiterId, Waiter)> {
        let group = Group::new(owner, key);
        let ids = self.by_owner.remove(&group).unwrap_or_default();
        let mut waits = Vec::with_capacity(ids.len());
        waits.extend(ids.iter().filter_map(|id| Some((*id, self.forget(*id)?))));
        self.remove_from_queue(key, ids);
        waits
    }

    /// Takes out of a queue the youngest waits of an owner, so many at most.
    pub fn take_youngest_of(
        &mut self,
        owner: &Arc<[u8]>,
        key: &LockKey,
        most: usize,
    ) -> Vec<(WaiterId, Waiter)> {
        let group = self.by_owner.get(&Group::new(owner, key));
        let ids = group.into_iter().flat_map(|ids| ids.iter().rev());
        let ids: Vec<_> = ids.take(most).copied().collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.remove(id)?)))
            .collect()
    }

    /// Removes all waiters from the queue, in order.
    pub fn take_all(&mut self, key: KeyRef) -> Vec<(WaiterId, Waiter)> {
        let ids = self
            .queue(key)
            .map(|queue| queue.waiters.clone())
            .unwrap_or_default();
        ids.into_iter()
            .filter_map(|id| Some((id, self.remove(id)?)))
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
        Some((id, self.remove(id)?))
    }

    /// When the next timeout passes.
    pub fn next_timeout(&self) -> Option<Tick> {
        self.timeouts.first().map(|(until, _)| *until)
    }

    /// Records when the lease that a queue waits for ends.
    pub fn set_lease(&mut self, key: KeyRef, lease: Option<Deadline>) {
        let Some(queues) = self.queues.get_mut(&key.db) else {
            return;
        };
        let Some((name, _)) = queues.get_key_value(key.name) else {
            return;
        };
        let key = LockKey {
            db: key.db,
            name: name.clone(),
        };
        let Some(queue) = queues.get_mut(&key.name) else {
            return;
        };
        let before = std::mem::replace(&mut queue.lease, lease);
        if let Some(before) = before.filter(|_| before != lease) {
            self.leases.remove(&(before, key.clone()));
        }
        self.leases.extend(lease.map(|lease| (lease, key)));
    }

    /// Takes out one of the leases that have ended, since its lock is being checked. Its known end stays.
    pub fn take_ended(&mut self, now: Now) -> Option<LockKey> {
        let (end, _) = self.leases.first()?;
        end.has_passed(now).then_some(())?;
        self.leases.pop_first().map(|(_, key)| key)
    }

    /// When the lease that a queue waits for ends, as far as is known.
    pub fn lease(&self, key: KeyRef) -> Option<Deadline> {
        self.queue(key)?.lease
    }

    /// The lease that ends first of all that are waited for.
    pub fn next_lease(&self) -> Option<Deadline> {
        self.leases.first().map(|(end, _)| *end)
    }

    /// Every lock that is waited for, in one database or in all.
    pub fn keys(&self, db: Option<i32>) -> Vec<LockKey> {
        let of = |(&db, queues): (&i32, &BTreeMap<Arc<[u8]>, Queue>)| -> Vec<LockKey> {
            queues
                .keys()
                .map(|name| LockKey {
                    db,
                    name: name.clone(),
                })
                .collect()
        };
        match db {
            Some(db) => self.queues.get_key_value(&db).map(of).unwrap_or_default(),
            None => self.queues.iter().flat_map(of).collect(),
        }
    }

    /// The locks of a database that are waited for: the longest queue first, and of two that are
    /// equally long the one in which a call has waited longer.
    pub fn longest(&self, db: i32) -> Vec<LockKey> {
        let mut longest: Vec<_> = self.queues.get(&db).into_iter().flatten().collect();
        longest
            .sort_by_cached_key(|(_, queue)| (Reverse(queue.waiters.len()), queue.waiters.first()));
        let key = |(name, _): (&Arc<[u8]>, &Queue)| LockKey {
            db,
            name: name.clone(),
        };
        longest.into_iter().map(key).collect()
    }

    /// How many wait for this lock.
    pub fn len_of(&self, key: KeyRef) -> usize {
        self.queue(key).map_or(0, |queue| queue.waiters.len())
    }

    /// The waiters of this lock, in order.
    pub fn waiters_of(&self, key: KeyRef) -> impl Iterator<Item = (WaiterId, &Waiter)> {
        let ids = self.queue(key).into_iter().flat_map(|queue| &queue.waiters);
        ids.filter_map(|id| Some((*id, self.waiters.get(id)?)))
    }

    /// The locks that an owner waits for, and the oldest of its waits for each. Those after a lock, where
    /// one is named, in an order that does not change.
    pub fn waits_of(
        &self,
        owner: &Arc<[u8]>,
        after: Option<&LockKey>,
    ) -> impl Iterator<Item = (&LockKey, WaiterId)> {
        let groups = self.groups_of(owner, after);
        groups.filter_map(|(group, ids)| Some((&group.key, *ids.first()?)))
    }

    fn groups_of(
        &self,
        owner: &Arc<[u8]>,
        after: Option<&LockKey>,
    ) -> impl Iterator<Item = (&Group, &BTreeSet<WaiterId>)> {
        let first = || LockKey {
            db: i32::MIN, // no database has this number
            name: owner.clone(),
        };
        let after = Group::new(owner, &after.cloned().unwrap_or_else(first));
        let of = owner.clone();
        self.by_owner
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take_while(move |(group, _)| group.owner == of)
    }

    /// How many waits an owner has for this lock.
    pub fn count_of(&self, owner: &Arc<[u8]>, key: &LockKey) -> usize {
        let group = self.by_owner.get(&Group::new(owner, key));
        group.map_or(0, BTreeSet::len)
    }

    /// The oldest wait of an owner for this lock.
    pub fn oldest_of(&self, owner: &Arc<[u8]>, key: &LockKey) -> Option<WaiterId> {
        let group = Group::new(owner, key);
        self.by_owner.get(&group)?.first().copied()
    }

    /// The wait that blocks this connection.
    pub fn wait_on(&self, client: ClientId) -> Option<(WaiterId, &Waiter)> {
        let id = *self.by_client.get(&client)?;
        Some((id, self.waiters.get(&id)?))
    }

    /// Every waiter's number, the oldest first.
    pub fn everyone(&self) -> Vec<WaiterId> {
        let mut ids: Vec<_> = self.waiters.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn queue(&self, key: KeyRef) -> Option<&Queue> {
        self.queues.get(&key.db)?.get(key.name)
    }
}

#[cfg(test)]
mod tests;
