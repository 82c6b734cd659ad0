//! A server's keys in memory, any hashes, and the engine's port to them. The fuzz and the walks beside the model use it.

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
    /// The holder, if it is laid out as a lock.
    pub fn holder(&self) -> Result<Holder, Error> {
        let fields = self.fields.clone().ok_or(Error::WrongType)?;
        Holder::parse(fields.into_iter().collect(), self.deadline)
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
    /// Whether anybody may wait.
    pub waits: bool,
}

impl World {
    /// A master without keys at that time.
    pub fn new(now: Now) -> World {
        World {
            keys: BTreeMap::new(),
            now,
            tick: Tick(now.millis()),
            caller: ClientId(1),
            writes: true,
            refused: None,
            blocks: true,
            waits: true,
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

    fn own_name(&self) -> Option<&[u8]> {
        None
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let Some(value) = self.keys.get(key.name) else {
            return Ok(None);
        };
        let fields = value.fields.as_ref().ok_or(Error::WrongType)?;
        let parsed = Fields {
            count: fields.len(),
            owner: fields.get(owner).map(Vec::as_slice),
            mode: fields.get(MODE_FIELD).map(Vec::as_slice),
            deadline: value.deadline,
        };
        parsed.parse().map(Some)
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        self.keys.get(key.name).map(Value::holder).transpose()
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.keys.get(key.name)?.deadline
    }

    fn write(&mut self, key: KeyRef, write: &Write) {
        assert!(self.writes, "a server that takes no writes was written to");
        match *write {
            Write::Delete => assert!(self.keys.remove(key.name).is_some(), "it was free"),
            Write::Expire => {
                let value = self.keys.remove(key.name);
                let end = value.expect("a lapsed lease is stored").deadline;
                let is_over = end.is_some_and(|end| end.has_passed(self.now));
                assert!(is_over, "its lease is not over");
            }
            Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => {
                assert!(self.waits || ends.is_none(), "nobody waits");
                let is_new = !self.keys.contains_key(key.name);
                let whole = holds.is_some() && fence.is_some() && deadline.is_some();
                assert!(!is_new || whole, "a new hold is written in part");
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
                let held = value.holder().expect("what is written is a lock");
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
