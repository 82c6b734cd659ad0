//! The commands over a hash in memory and a clock that the test holds.

use super::reference::{lock_name, owner_name, Numbers, Outcome, Reference, Step};
use proptest_state_machine::StateMachineTest;
use redis_reentrant_lock::command::*;
use redis_reentrant_lock::lock::{self, Change, Deadline, Fields, Now, Tokens, Update, View};
use redis_reentrant_lock::settings::Settings;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
struct Hash {
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
    deadline: Deadline,
}

/// What is tested.
#[derive(Debug)]
pub struct Memory {
    keys: BTreeMap<String, Hash>,
    tokens: Tokens,
    now: Now,
    settings: Settings,
    numbers: Numbers,
}

/// When the walk begins. Not 0, so that no token is the one that [`Numbers`] keeps for none.
const START: Now = Now(1_000_000_000);

/// One key of it, as a command sees it.
struct Key<'a> {
    memory: &'a mut Memory,
    name: String,
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

impl Store for Key<'_> {
    fn now(&self) -> Now {
        self.memory.now
    }

    fn settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> R {
        read(&self.memory.settings)
    }

    fn view(&mut self, owner: &[u8]) -> Result<View, lock::Error> {
        let memory = &mut *self.memory;
        let Some(hash) = memory.keys.get(&self.name) else {
            return Ok(View::Free { lapsed: false });
        };
        let field = |name: &[u8]| hash.fields.get(name).map(Vec::as_slice);
        let fields = Fields {
            count: hash.fields.len(),
            owner: field(owner),
            mode: field(lock::MODE_FIELD),
            deadline: Some(hash.deadline),
        };
        fields.as_lock(memory.now, &mut memory.tokens)
    }

    fn holder(&mut self) -> Result<Option<Holder>, lock::Error> {
        let Some(hash) = self.memory.keys.get(&self.name) else {
            return Ok(None);
        };
        let owners: Vec<_> = hash
            .fields
            .keys()
            .filter(|name| *name != lock::MODE_FIELD)
            .collect();
        let [owner] = owners[..] else {
            return Err(lock::Error::WrongType);
        };
        let owner = owner.clone();
        Ok(match self.view(&owner)? {
            View::Mine(hold) => Some(Holder { owner, hold }),
            _ => None,
        })
    }

    fn holder_to_free(&mut self) -> Result<Option<Holder>, lock::Error> {
        self.holder()
    }

    fn tokens<R>(&mut self, work: impl FnOnce(&mut Tokens) -> R) -> R {
        work(&mut self.memory.tokens)
    }

    fn apply(&mut self, owner: &[u8], change: &Change) {
        let (keys, name) = (&mut self.memory.keys, self.name.clone());
        let count = |holds: u32| holds.to_string().into_bytes();
        match *change {
            Change::Free | Change::Force => {
                assert!(keys.remove(&name).is_some(), "freed what was free")
            }
            Change::Take {
                lapsed,
                holds,
                fence,
                deadline,
            } => {
                assert_eq!(
                    keys.remove(&name).is_some(),
                    lapsed,
                    "a lapsed lease is told of"
                );
                let mode = (lock::MODE_FIELD.to_vec(), fence.text().as_bytes().to_vec());
                let fields = BTreeMap::from([(owner.to_vec(), count(holds)), mode]);
                keys.insert(name, Hash { fields, deadline });
            }
            Change::Update(update) if update == Update::default() => (),
            Change::Update(Update {
                holds,
                fence,
                deadline,
                shortened,
            }) => {
                let hash = keys.get_mut(&name).expect("only what is there is updated");
                let mut set = |field: &[u8], value| hash.fields.insert(field.to_vec(), value);
                holds.map(|holds| set(owner, count(holds)));
                fence.map(|fence| set(lock::MODE_FIELD, fence.text().as_bytes().to_vec()));
                let deadline = deadline.unwrap_or(hash.deadline);
                assert_eq!(shortened, deadline < hash.deadline);
                hash.deadline = deadline;
            }
        }
    }

    fn answered(&mut self, _grant: &lock::Grant) {}

    fn may_wait(&self) -> bool {
        false
    }

    fn grace(&self) -> Option<redis_reentrant_lock::grace::Left> {
        None
    }

    fn check_connection(&self) -> Result<(), Error> {
        Err(Error::NoConnection)
    }

    fn bind(&mut self, _: &[u8], _: &lock::Grant, _: Binding) {}

    fn has_session(&mut self) -> bool {
        false
    }

    fn set_session_ttl(&mut self, _: lock::Millis) {}

    fn wait(
        &mut self,
        _: &[u8],
        _: lock::Acquire,
        _: Option<Binding>,
        _: lock::Millis,
    ) -> Result<(), Error> {
        Err(Error::NotNow)
    }

    fn line(&mut self) -> Line {
        Line {
            waiters: 0,
            queue: Vec::new(),
        }
    }

    fn lines(&mut self, _: usize) -> Vec<LineOf> {
        Vec::new()
    }

    fn count(&mut self, _counter: fn(&mut Counters) -> &mut u64) {}
}

impl Memory {
    fn run(&mut self, words: &[String]) -> Outcome {
        let args: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let mut key = Key {
            memory: self,
            name: words[1].clone(),
        };
        let result = match words[0].as_str() {
            "LOCK.ACQUIRE" => Acquire::run(&args, &mut key),
            "LOCK.RELEASE" => Release::run(&args, &mut key),
            "LOCK.RENEW" => Renew::run(&args, &mut key),
            "LOCK.ASSERT" => Assert::run(&args, &mut key),
            "LOCK.INFO" => Info::run(&args, &mut key),
            "LOCK.FORCERELEASE" => ForceRelease::run(&args, &mut key),
            other => panic!("no command {other}"),
        };
        let mut ordinal =
            |token: Option<lock::Token>| token.and_then(|token| self.numbers.ordinal(token.get()));
        match result {
            Ok(Reply::Grant(grant)) => Outcome::Grant {
                acquired: grant.holds > 0,
                holds: i64::from(grant.holds),
                token: ordinal(grant.token()),
                ttl: grant.ttl.0,
            },
            Ok(Reply::Later | Reply::Lines(_)) => panic!("nobody may wait here"),
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

    fn redisson(&mut self, lock: u8, owner: u8, ttl: i64) {
        let (now, owner) = (self.now, owner_name(owner).into_bytes());
        let deadline = now.plus(lock::Millis(ttl));
        // The server drops a lapsed key before a script sees it.
        self.keys.retain(|_, hash| !hash.deadline.has_passed(now));
        let hash = self.keys.entry(lock_name(lock)).or_insert(Hash {
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
        settings.max_hold = lock::Millis(reference.max_hold);
        let mut tokens = Tokens::new();
        if reference.max_hold > 0 {
            // So far ahead of the clock no token tells when its hold began.
            let hour = lock::Token::new(START.0 + 3_600_000_000).unwrap();
            tokens.learn(hour, START).unwrap();
        }
        Memory {
            keys: BTreeMap::new(),
            tokens,
            now: START,
            settings,
            numbers: Numbers::default(),
        }
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
                memory.now = Now(START.0 + reference.clock * 1000);
                Outcome::Nothing
            }
        };
        assert_eq!(Some(&outcome), reference.last.as_ref(), "{step:?}");
        memory
    }
}
