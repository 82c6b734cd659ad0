//! The engine over hashes in memory and a clock that the test holds.

use super::reference::{lock_name, owner_name, Numbers, Outcome, Reference, Step};
use crate::hashes::{Value, World};
use proptest_state_machine::StateMachineTest;
use redis_reentrant_lock::command::{run_by_name, Reply};
use redis_reentrant_lock::engine::{Effects, Engine, LockInfo, Settings};
use redis_reentrant_lock::lock::{self, Millis, Now, Tick, MODE_FIELD};
use std::collections::BTreeMap;

/// What is tested.
#[derive(Debug)]
pub struct Memory {
    engine: Engine,
    data: World,
    numbers: Numbers,
}

/// When the walk begins. Not 0, so that no token is the one that [`Numbers`] keeps for none.
const START: Now = Now(1_000_000_000);

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// The server drops keys whose leases are over, sooner or later.
fn drop_lapsed(world: &mut World) {
    let now = world.now.millis();
    if now % 2 == 0 {
        let lasts = |value: &Value| value.deadline.is_none_or(|end| now <= end.0);
        world.keys.retain(|_, value| lasts(value));
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
        let value = Value {
            fields: Some(fields),
            deadline: Some(START.plus(Millis(1))),
        };
        self.data.keys.insert(b"seen".to_vec(), value);
        let args: [&[u8]; 2] = [b"LOCK.INFO", b"seen"];
        let Memory { engine, data, .. } = self;
        let seen = run_by_name(&args, engine, data, &mut Effects::new());
        assert!(matches!(seen, Some(Ok(Reply::Info(_)))));
        data.keys.clear();
    }

    fn redisson(&mut self, lock: u8, owner: u8, ttl: i64) {
        let World { keys, now, .. } = &mut self.data;
        let owner = owner_name(owner).into_bytes();
        let deadline = Some(now.plus(Millis(ttl)));
        // The server drops a lapsed key before a script sees it.
        let is_over = |value: &Value| value.deadline.is_some_and(|end| end.has_passed(*now));
        keys.retain(|_, value| !is_over(value));
        let value = keys.entry(lock_name(lock).into_bytes()).or_insert(Value {
            fields: Some(BTreeMap::new()),
            deadline,
        });
        let fields = value.fields.as_mut().unwrap();
        if fields.is_empty() || fields.contains_key(&owner) {
            let count = fields.entry(owner).or_insert(b"0".to_vec());
            *count = (number(count) + 1).to_string().into_bytes();
            value.deadline = deadline;
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
            data: World {
                blocks: false,
                waits: false,
                ..World::new(START)
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
                memory.data.tick = Tick(memory.data.now.millis());
                drop_lapsed(&mut memory.data);
                Outcome::Nothing
            }
        };
        assert_eq!(Some(&outcome), reference.last.as_ref(), "{step:?}");
        memory
    }
}
