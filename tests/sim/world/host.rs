//! What a simulated server is to its engine: the port.

use super::data::{
    lock_db, lock_name, lock_number, owner_number, Change, Data, Write, LOCKS, OWNERS,
};
use crate::check::Us;
use redis_reentrant_lock::engine::{self, ClientId, Clock, Server, UserName, Watch, WriteCheck};
use redis_reentrant_lock::lock::{Deadline, Error, Holder, KeyRef, Now, Stored, Tick};
use std::sync::Arc;

/// The wall clock at the begin of every history, in microseconds.
pub const EPOCH: Us = 1_800_000_000_000_000;

/// What all servers see alike.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The user of each connection; a client that is another user by now has none of its old rights.
    pub conn_user: Vec<u8>,
    /// Which users may acquire locks.
    pub allowed: [bool; OWNERS],
    pub moves_slots: bool,
    /// Whether the servers are nodes of a cluster.
    pub cluster: bool,
    /// Which server owns the slot of a lock, and where it is being moved to.
    pub slots: [(u8, Option<u8>); LOCKS],
    pub user_names: Vec<UserName>,
}

/// The data of a server, and what it knows of itself.
#[derive(Debug, Clone)]
pub struct Host {
    pub number: u8,
    pub data: Data,
    /// The data before the log.
    pub base: Data,
    /// What was written or applied since: the append-only file, and what replicas get.
    pub log: Vec<Write>,
    /// Steps that were written, all in all.
    pub step: u32,
    pub master: bool,
    pub enough_replicas: bool,
    /// In a cluster: whether it reaches the other masters, as far as it knows.
    pub in_cluster: bool,
    /// `CLIENT PAUSE … WRITE`, until then.
    pub writes_paused_until: Us,
    pub watch: Watch,
    /// Deletes a key when it is read, if its time is over.
    pub expires_on_read: bool,
    /// What key events have told since.
    pub inbox: Vec<(u8, bool)>,
    /// Leases that were written in this step: the lock, its token, and their end.
    pub leases: Vec<(u8, i64, Deadline)>,
}

impl Host {
    pub fn write(&mut self, lock: u8, change: Change) {
        let step = self.step;
        let write = Write { step, lock, change };
        self.data.apply(&write);
        self.log.push(write);
    }

    /// The server deletes a key whose time is over.
    pub fn expire(&mut self, lock: u8, now: Now) {
        let over = |end: Deadline| now.millis() > end.0;
        let value = self.data.get(lock);
        if self.master && value.is_some_and(|value| value.expiry.is_some_and(over)) {
            self.write(lock, Change::Delete);
            if self.watch >= Watch::Frees {
                self.inbox.push((lock, true));
            }
        }
    }

    /// Whether it knows of as many replicas and masters as it needs to write.
    pub fn is_connected(&self) -> bool {
        self.enough_replicas && self.in_cluster
    }

    /// Begins anew with what the file holds, without its last steps.
    pub fn reload(&mut self, lost_steps: u32) {
        let kept = self.step.saturating_sub(lost_steps);
        self.log.retain(|write| write.step < kept);
        self.data = self.replayed();
        self.base = self.data;
        self.log.clear();
        self.watch = Watch::Nothing;
        self.inbox.clear();
    }

    /// What a reader of the file gets.
    pub fn replayed(&self) -> Data {
        let mut data = self.base;
        self.log.iter().for_each(|write| data.apply(write));
        data
    }
}

/// The port of one step.
pub struct Port<'a> {
    pub host: &'a mut Host,
    pub shared: &'a Shared,
    pub clock: Clock,
    pub us: Us,
    /// The calling connection, and its lock.
    pub caller: Option<(u32, u8)>,
}

/// Connections are clients to the server; the younger has the larger number.
pub fn client_of(conn: u32) -> ClientId {
    ClientId(u64::from(conn) + 1)
}

pub fn conn_of(client: ClientId) -> u32 {
    (client.0 - 1) as u32
}

impl Server for Port<'_> {
    fn now(&mut self) -> Now {
        self.clock.now
    }

    fn tick(&mut self) -> Tick {
        self.clock.tick
    }

    fn own_name(&self) -> Option<&[u8]> {
        self.caller.map(|(_, own)| lock_name(own).as_slice())
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let lock = lock_number(key);
        if self.host.expires_on_read {
            self.host.expire(lock, self.clock.now);
        }
        let value = self.host.data.get(lock);
        value
            .map(|value| value.stored(owner_number(owner)))
            .transpose()
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        let own = self.own_name().filter(|_| self.shared.cluster);
        if own.is_some_and(|own| own != key.name) {
            return Ok(None); // it looks in the table of the command's slot
        }
        let value = self.host.data.get(lock_number(key));
        value.map(|value| value.holder()).transpose()
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.host.data.get(lock_number(key))?.expiry
    }

    fn write(&mut self, key: KeyRef, write: &engine::Write) {
        let lock = lock_number(key);
        let change = match *write {
            engine::Write::Delete | engine::Write::Expire => Change::Delete,
            engine::Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => Change::Hold {
                owner: owner_number(owner),
                ends: ends.map(owner_number),
                holds,
                fence,
                expiry: deadline,
            },
        };
        self.host.write(lock, change);
        let value = self.host.data.get(lock);
        if let (
            Change::Hold {
                expiry: Some(end), ..
            },
            Some(token),
        ) = (change, value.and_then(|value| value.token()))
        {
            self.host.leases.push((lock, token.get(), end));
        }
    }

    fn accepts_writes(&mut self) -> bool {
        self.host.master && self.us >= self.host.writes_paused_until
    }

    fn check_write(&mut self, key: KeyRef) -> WriteCheck {
        let lock = lock_number(key);
        let (owner, moving_to) = self.shared.slots[usize::from(lock)];
        let absent = self.host.data.get(lock).is_none();
        let elsewhere = match self.shared.moves_slots {
            true if owner != self.host.number => true,
            true => moving_to.is_some() && absent,
            false => false,
        };
        match elsewhere {
            true => WriteCheck::Elsewhere,
            false if self.host.is_connected() => WriteCheck::Accepted,
            false => WriteCheck::NotNow,
        }
    }

    fn is_user(&mut self, client: ClientId, user: &[u8]) -> bool {
        let conn = conn_of(client) as usize;
        *self.shared.user_names[usize::from(self.shared.conn_user[conn])] == *user
    }

    fn may_acquire(&mut self, user: &[u8], _: KeyRef, _: &[u8]) -> bool {
        self.shared.allowed[usize::from(user[1] - b'0')]
    }

    fn caller(&mut self) -> ClientId {
        client_of(self.caller.map_or(0, |(conn, _)| conn))
    }

    fn caller_user(&mut self) -> Option<UserName> {
        let (conn, _) = self.caller?;
        let user = self.shared.conn_user[conn as usize];
        Some(self.shared.user_names[usize::from(user)].clone())
    }

    fn may_block(&mut self) -> bool {
        true
    }

    fn has_connection(&mut self) -> bool {
        true
    }

    fn readable(&mut self, names: Vec<Arc<[u8]>>, most: usize) -> Vec<Arc<[u8]>> {
        names.into_iter().take(most).collect()
    }

    fn selected_db(&mut self) -> i32 {
        lock_db(self.caller.map_or(0, |(_, lock)| lock))
    }
}
