//! The engine over hashes in memory and a clock that the test holds.

use super::reference::{lock_name, owner_name, Numbers, Outcome, Reference, Step};
use proptest_state_machine::StateMachineTest;
use redis_reentrant_lock::command::{run_by_name, Reply};
use redis_reentrant_lock::engine::{
    ClientId, Effects, Engine, LockInfo, Server, Settings, UserName, Write, WriteCheck,
};
use redis_reentrant_lock::lock::{
    self, Deadline, Error, Fields, Holder, KeyRef, Millis, Now, Stored, Tick, MODE_FIELD,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone)]
struct Hash {
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
    deadline: Deadline,
}

/// The data, and the clock.
#[derive(Debug)]
struct Data {
    keys: BTreeMap<Vec<u8>, Hash>,
    now: Now,
}

/// What is tested.
#[derive(Debug)]
pub struct Memory {
    engine: Engine,
    data: Data,
    numbers: Numbers,
}

/// When the walk begins. Not 0, so that no token is the one that [`Numbers`] keeps for none.
const START: Now = Now(1_000_000_000);

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

impl Data {
    /// The server drops keys whose leases are over, sooner or later.
    fn drop_lapsed(&mut self) {
        let now = self.now;
        if now.millis() % 2 == 0 {
            self.keys.retain(|_, hash| now.millis() <= hash.deadline.0);
        }
    }
}

impl Server for Data {
    fn now(&mut self) -> Now {
        self.now
    }

    fn tick(&mut self) -> Tick {
        Tick(self.now.millis())
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let Some(hash) = self.keys.get(key.name) else {
            return Ok(None);
        };
        let field = |name: &[u8]| hash.fields.get(name).map(Vec::as_slice);
        let fields = Fields {
            count: hash.fields.len(),
            owner: field(owner),
            mode: field(MODE_FIELD),
            deadline: Some(hash.deadline),
        };
        fields.parse().map(Some)
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        let Some(hash) = self.keys.get(key.name) else {
            return Ok(None);
        };
        let fields = hash.fields.clone().into_iter().collect();
        Holder::parse(fields, Some(hash.deadline)).map(Some)
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.keys.get(key.name).map(|hash| hash.deadline)
    }

    fn write(&mut self, key: KeyRef, write: &Write) {
        match *write {
            Write::Delete => assert!(self.keys.remove(key.name).is_some(), "it was free"),
            Write::Expire => {
                let hash = self
                    .keys
                    .remove(key.name)
                    .expect("a lapsed lease is stored");
                assert!(hash.deadline.has_passed(self.now), "its lease is not over");
            }
            Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => {
                assert_eq!(ends, None, "nobody waits");
                let is_new = !self.keys.contains_key(key.name);
                let whole = holds.is_some() && fence.is_some() && deadline.is_some();
                assert!(!is_new || whole, "a new hold is written in part");
                let hash = self.keys.entry(key.name.to_vec()).or_insert(Hash {
                    fields: BTreeMap::new(),
                    deadline: Deadline(0),
                });
                let mut set = |field: &[u8], value| hash.fields.insert(field.to_vec(), value);
                holds.map(|holds| set(owner, holds.to_string().into_bytes()));
                fence.map(|fence| set(MODE_FIELD, fence.text().as_bytes().to_vec()));
                hash.deadline = deadline.unwrap_or(hash.deadline);
            }
        }
    }

    fn accepts_writes(&mut self) -> bool {
        true
    }

    fn check_write(&mut self, _: KeyRef) -> WriteCheck {
        WriteCheck::Accepted
    }

    fn is_user(&mut self, _: ClientId, _: &[u8]) -> bool {
        true
    }

    fn may_acquire(&mut self, _: &[u8], _: KeyRef, _: &[u8]) -> bool {
        true
    }

    fn caller(&mut self) -> ClientId {
        ClientId(1)
    }

    fn caller_user(&mut self) -> Option<UserName> {
        None
    }

    fn may_block(&mut self) -> bool {
        false
    }

    fn has_connection(&mut self) -> bool {
        false
    }

    fn readable(&mut self, names: Vec<Arc<[u8]>>, most: usize) -> Vec<Arc<[u8]>> {
        names.into_iter().take(most).collect()
    }

    fn selected_db(&mut self) -> i32 {
        0
    }
}

impl Memory {
    fn run(&mut self, words: &[String]) -> Outcome {
        let args: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let Memory { engine, data, .. } = self;
        let result = run_by_name(&args, engine, data, &mut Effects::new());
        assert!(engine.is_idle(), "something is due though nobody waits");
        let mut ordinal =
            |token: Option<lock::Token>| token.and_then(|token| self.numbers.ordinal(token.get()));
        match result.expect("there is such a command") {
            Ok(Reply::Grant(grant)) => Outcome::Grant {
                acquired: grant.holds > 0,
                holds: i64::from(grant.holds),
                token: ordinal(grant.token()),
                ttl: grant.ttl.0,
            },
            Ok(Reply::Waits(..) | Reply::Queues(_)) => panic!("nobody may wait here"),
            Ok(Reply::Info(LockInfo { owner, grant, .. })) => Outcome::Info {
                owner: String::from_utf8(owner.unwrap()).unwrap(),
                holds: i64::from(grant.holds),
                token: ordinal(grant.token()),
                ttl: grant.ttl.0,
            },
            Ok(Reply::Integer(number)) => Outcome::Integer(number),
            Ok(Reply::Ok) => Outcome::Ok,
            Ok(Reply::Null) => Outcome::Nil,
            Err(error) => match error.to_string() {
                text if text.starts_with("NOTOWNER ") => Outcome::Error("NOTOWNER"),
                text if text.starts_with("HOLDCOUNT ") => Outcome::Error("HOLDCOUNT"),
                text => panic!("{text}"),
            },
        }
    }

    /// Lets the engine read a lock with this token, which is gone again then.
    fn learn(&mut self, token: i64) {
        let mode = (MODE_FIELD.to_vec(), format!("fenced:{token}").into_bytes());
        let fields = BTreeMap::from([(b"someone".to_vec(), b"1".to_vec()), mode]);
        let deadline = START.plus(Millis(1));
        self.data
            .keys
            .insert(b"seen".to_vec(), Hash { fields, deadline });
        let args: [&[u8]; 2] = [b"LOCK.INFO", b"seen"];
        let Memory { engine, data, .. } = self;
        let seen = run_by_name(&args, engine, data, &mut Effects::new());
        assert!(matches!(seen, Some(Ok(Reply::Info(_)))));
        data.keys.clear();
    }

    fn redisson(&mut self, lock: u8, owner: u8, ttl: i64) {
        let Data { keys, now } = &mut self.data;
        let owner = owner_name(owner).into_bytes();
        let deadline = now.plus(Millis(ttl));
        // The server drops a lapsed key before a script sees it.
        keys.retain(|_, hash| !hash.deadline.has_passed(*now));
        let hash = keys.entry(lock_name(lock).into_bytes()).or_insert(Hash {
            fields: BTreeMap::new(),
            deadline,
        });
        if hash.fields.is_empty() || hash.fields.contains_key(&owner) {
            let count = hash.fields.entry(owner).or_insert(b"0".to_vec());
            *count = (number(count) + 1).to_string().into_bytes();
            hash.deadline = deadline;
        }
    }
}

impl StateMachineTest for Memory {
    type SystemUnderTest = Memory;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> Memory {
        let mut settings = Settings::new();
        settings.max_hold = Millis(reference.max_hold);
        let mut engine = Engine::new();
        engine.restart(settings, false, true);
        let mut memory = Memory {
            engine,
            data: Data {
                keys: BTreeMap::new(),
                now: START,
            },
            numbers: Numbers::default(),
        };
        if reference.max_hold > 0 {
            // So far ahead of the clock no token tells when its hold began.
            memory.learn(START.0 + 3_600_000_000);
        }
        memory
    }

    fn apply(mut memory: Memory, reference: &Reference, step: Step) -> Memory {
        let words = step.words(|token| memory.numbers.number(token));
        let outcome = match (words, &step) {
            (Some(words), _) => memory.run(&words),
            (None, Step::Redisson { lock, owner, ttl }) => {
                memory.redisson(*lock, *owner, *ttl);
                Outcome::Nothing
            }
            (None, _) => {
                memory.data.now = Now(START.0 + reference.clock * 1000);
                memory.data.drop_lapsed();
                Outcome::Nothing
            }
        };
        assert_eq!(Some(&outcome), reference.last.as_ref(), "{step:?}");
        memory
    }
}
