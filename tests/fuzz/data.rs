//! What a server's keys hold, and the engine's port to them.

use redis_reentrant_lock::engine::{ClientId, Server, UserName, Write, WriteCheck};
use redis_reentrant_lock::lock::{
    Deadline, Error, Fields, Holder, KeyRef, Now, Stored, Tick, MODE_FIELD,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The fields of a hash; none: it is something else.
    pub fields: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// When it expires.
    pub deadline: Option<Deadline>,
}

impl Value {
    /// Whether it is laid out as a lock.
    pub fn is_lock(&self) -> bool {
        let fields = self.fields.clone().unwrap_or_default();
        Holder::parse(fields.into_iter().collect(), self.deadline).is_ok()
    }
}

/// A server, as far as the engine asks it.
#[derive(Debug)]
pub struct World {
    pub keys: BTreeMap<Vec<u8>, Value>,
    pub now: Now,
    pub tick: Tick,
    pub caller: ClientId,
    pub writes: bool,
    pub refused: Option<&'static [u8]>,
    pub blocks: bool,
    /// How many writes there were.
    pub written: usize,
}

impl World {
    fn value(&self, key: KeyRef) -> Result<Option<&Value>, Error> {
        match self.keys.get(key.name) {
            Some(Value { fields: None, .. }) => Err(Error::WrongType),
            value => Ok(value),
        }
    }
}

impl Server for World {
    fn now(&mut self) -> Now {
        self.now
    }

    fn tick(&mut self) -> Tick {
        self.tick
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let fields = value.fields.as_ref().unwrap();
        let parsed = Fields {
            count: fields.len(),
            owner: fields.get(owner).map(Vec::as_slice),
            mode: fields.get(MODE_FIELD).map(Vec::as_slice),
            deadline: value.deadline,
        };
        parsed.parse().map(Some)
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let fields = value.fields.clone().unwrap().into_iter().collect();
        Holder::parse(fields, value.deadline).map(Some)
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.keys.get(key.name)?.deadline
    }

    fn write(&mut self, key: KeyRef, write: &Write) {
        assert!(self.writes, "a server that takes no writes was written to");
        self.written += 1;
        match *write {
            Write::Delete | Write::Expire => {
                self.keys
                    .remove(key.name)
                    .expect("an absent key is deleted");
            }
            Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => {
                let value = self.keys.entry(key.name.to_vec()).or_insert(Value {
                    fields: Some(BTreeMap::new()),
                    deadline: None,
                });
                let fields = value.fields.as_mut().expect("a hash");
                if let Some(ends) = ends.filter(|ends| *ends != owner) {
                    fields.remove(ends);
                }
                if let Some(holds) = holds {
                    fields.insert(owner.to_vec(), holds.to_string().into_bytes());
                }
                if let Some(fence) = fence {
                    let text = fence.text();
                    fields.insert(MODE_FIELD.to_vec(), text.as_bytes().to_vec());
                }
                value.deadline = deadline.or(value.deadline);
                let fields = value.fields.clone().unwrap().into_iter().collect();
                let held = Holder::parse(fields, value.deadline);
                let held = held.expect("what is written is a lock");
                assert_eq!(held.owner, owner);
            }
        }
    }

    fn accepts_writes(&mut self) -> bool {
        self.writes
    }

    fn check_write(&mut self, key: KeyRef) -> WriteCheck {
        match self.refused {
            Some(refused) if refused == key.name => WriteCheck::NotNow,
            _ if self.writes => WriteCheck::Accepted,
            _ => WriteCheck::NotNow,
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
        self.blocks
    }

    fn has_connection(&mut self) -> bool {
        self.blocks
    }

    fn readable(&mut self, names: Vec<Arc<[u8]>>, most: usize) -> Vec<Arc<[u8]>> {
        names.into_iter().take(most).collect()
    }

    fn selected_db(&mut self) -> i32 {
        0
    }
}
