//! The data of a server: locks as they are stored, and foreign values.

use redis_reentrant_lock::lock::{
    Deadline, Error, Fence, Hold, Holder, KeyRef, LockKey, Stored, Token,
};
use std::sync::Arc;

/// How many locks there are at most.
pub const LOCKS: usize = 4;
/// How many owners there are at most.
pub const OWNERS: usize = 8;

/// What a key holds: a hash with an owner's field or several, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Value {
    pub holds: [u32; OWNERS],
    pub fence: Option<Fence>,
    pub expiry: Option<Deadline>,
    pub foreign: bool,
}

/// One write, as it is propagated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Hold {
        owner: u8,
        ends: Option<u8>,
        holds: Option<u32>,
        fence: Option<Fence>,
        expiry: Option<Deadline>,
    },
    Delete,
    /// Others overwrite it.
    Set(Value),
}

/// A write to one lock; those of one step are one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    pub step: u32,
    pub lock: u8,
    pub change: Change,
}

/// All keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Data(pub [Option<Value>; LOCKS]);

impl Data {
    pub fn get(&self, lock: u8) -> Option<&Value> {
        self.0[usize::from(lock)].as_ref()
    }

    pub fn apply(&mut self, write: &Write) {
        let place = &mut self.0[usize::from(write.lock)];
        match write.change {
            Change::Delete => *place = None,
            Change::Set(value) => *place = Some(value),
            Change::Hold {
                owner,
                ends,
                holds,
                fence,
                expiry,
            } => {
                let value = place.get_or_insert_default();
                if let Some(ends) = ends.filter(|ends| *ends != owner) {
                    value.holds[usize::from(ends)] = 0;
                }
                if let Some(holds) = holds {
                    value.holds[usize::from(owner)] = holds;
                }
                value.fence = fence.or(value.fence);
                value.expiry = expiry.or(value.expiry);
            }
        }
    }
}

impl Value {
    fn check(&self) -> Result<(u8, Hold), Error> {
        let mut owners = (0..OWNERS).filter(|owner| self.holds[*owner] > 0);
        let (Some(owner), None, Some(deadline), false) =
            (owners.next(), owners.next(), self.expiry, self.foreign)
        else {
            return Err(Error::WrongType);
        };
        let hold = Hold {
            holds: self.holds[owner],
            fence: self.fence,
            deadline,
        };
        Ok((owner as u8, hold))
    }

    pub fn stored(&self, owner: u8) -> Result<Stored, Error> {
        let (holder, hold) = self.check()?;
        Ok(Stored {
            holds: (holder == owner).then_some(hold.holds),
            fence: hold.fence,
            deadline: hold.deadline,
        })
    }

    pub fn holder(&self) -> Result<Holder, Error> {
        let (owner, hold) = self.check()?;
        Ok(Holder {
            owner: owner_name(owner).to_vec(),
            hold,
        })
    }

    /// The token of a lock.
    pub fn token(&self) -> Option<Token> {
        self.fence.map(|fence| fence.token)
    }
}

pub fn owner_name(owner: u8) -> [u8; 2] {
    [b'o', b'0' + owner]
}

/// The number of an owner, from its name.
pub fn owner_number(name: &[u8]) -> u8 {
    name[1] - b'0'
}

/// In a cluster each is of another slot.
pub fn lock_name(lock: u8) -> &'static [u8; 2] {
    const NAMES: [[u8; 2]; LOCKS] = [*b"l0", *b"l1", *b"l2", *b"l3"];
    &NAMES[usize::from(lock)]
}

/// Locks are in two databases by turns.
pub fn lock_db(lock: u8) -> i32 {
    i32::from(lock % 2)
}

pub fn lock_number(key: KeyRef) -> u8 {
    key.name[1] - b'0'
}

pub fn lock_key(lock: u8) -> LockKey {
    LockKey {
        db: lock_db(lock),
        name: Arc::from(lock_name(lock).as_slice()),
    }
}
