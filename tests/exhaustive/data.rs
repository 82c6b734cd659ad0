//! The locks that one server stores, and the engine's port to them.

use redis_reentrant_lock::engine::{ClientId, Server, UserName, Write, WriteCheck};
use redis_reentrant_lock::lock::{Deadline, Error, Fence, Hold, Holder, KeyRef, Now, Stored, Tick};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A lock, by its number.
pub type Lock = u8;

/// An owner, by its number.
pub type Owner = u8;

/// The name of a lock.
pub fn lock_name(lock: Lock) -> [u8; 1] {
    [b'a' + lock]
}

/// The name of an owner.
pub fn owner_name(owner: Owner) -> [u8; 1] {
    [b'A' + owner]
}

/// The lock with that name.
pub fn lock_of(key: KeyRef) -> Lock {
    key.name[0] - b'a'
}

/// A lock as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub owner: Owner,
    pub holds: u32,
    pub fence: Fence,
    pub deadline: Deadline,
}

/// All locks of a server.
pub type Data = BTreeMap<Lock, Entry>;

/// The data of one server during one step.
pub struct Port<'a> {
    pub data: &'a mut Data,
    pub now: Now,
    pub tick: Tick,
    pub caller: ClientId,
    /// Whether the server refuses writes: it is cut off, and has noticed.
    pub refuses: bool,
    /// What was wrong with a write.
    pub misuse: Option<&'static str>,
}

impl Port<'_> {
    fn write_hold(
        &mut self,
        key: KeyRef,
        (owner, ends): (&[u8], Option<&[u8]>),
        (holds, fence, deadline): (Option<u32>, Option<Fence>, Option<Deadline>),
    ) {
        let number = |name: &[u8]| name[0] - b'A';
        let (owner, ends) = (number(owner), ends.map(number));
        let before = self.data.get(&lock_of(key)).copied();
        let same = before.filter(|entry| entry.owner == owner);
        if before.is_some() && same.is_none() && ends != before.map(|entry| entry.owner) {
            self.misuse = Some("a hold is written beside another owner's");
        }
        let whole = (
            holds.or(same.map(|entry| entry.holds)),
            fence.or(same.map(|entry| entry.fence)),
            deadline.or(same.map(|entry| entry.deadline)),
        );
        let (Some(holds), Some(fence), Some(deadline)) = whole else {
            self.misuse = Some("a hold is written in part");
            return;
        };
        let entry = Entry {
            owner,
            holds,
            fence,
            deadline,
        };
        self.data.insert(lock_of(key), entry);
    }
}

impl Server for Port<'_> {
    fn now(&mut self) -> Now {
        self.now
    }

    fn tick(&mut self) -> Tick {
        self.tick
    }

    fn own_name(&self) -> Option<&[u8]> {
        None
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let entry = self.data.get(&lock_of(key));
        Ok(entry.map(|entry| Stored {
            holds: (owner == owner_name(entry.owner)).then_some(entry.holds),
            fence: Some(entry.fence),
            deadline: entry.deadline,
        }))
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        let entry = self.data.get(&lock_of(key));
        Ok(entry.map(|entry| Holder {
            owner: owner_name(entry.owner).to_vec(),
            hold: Hold {
                holds: entry.holds,
                fence: Some(entry.fence),
                deadline: entry.deadline,
            },
        }))
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.data.get(&lock_of(key)).map(|entry| entry.deadline)
    }

    fn write(&mut self, key: KeyRef, write: &Write) {
        if self.refuses {
            self.misuse = Some("a server writes that refuses writes");
        }
        match *write {
            Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => self.write_hold(key, (owner, ends), (holds, fence, deadline)),
            Write::Delete => {
                if self.data.remove(&lock_of(key)).is_none() {
                    self.misuse = Some("a free lock is deleted");
                }
            }
            Write::Expire => {
                let entry = self.data.remove(&lock_of(key));
                if !entry.is_some_and(|entry| entry.deadline.has_passed(self.now)) {
                    self.misuse = Some("a lease is ended that is not over");
                }
            }
        }
    }

    fn accepts_writes(&mut self) -> bool {
        true
    }

    fn check_write(&mut self, _: KeyRef) -> WriteCheck {
        match self.refuses {
            true => WriteCheck::NotNow,
            false => WriteCheck::Accepted,
        }
    }

    fn is_user(&mut self, _: ClientId, _: &[u8]) -> bool {
        true
    }

    fn may_acquire(&mut self, _: &[u8], _: KeyRef, _: &[u8]) -> bool {
        true
    }

    fn caller(&mut self) -> ClientId {
        self.caller
    }

    fn caller_user(&mut self) -> Option<UserName> {
        None
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
        0
    }
}
