//! One input, played on one engine.

use super::hashes::{Value, World};
use super::input::{key, owner, Act, Call, Piece, Upset, Wild, Word};
use super::specs::specs;
use redis_reentrant_lock::command::{run_by_name, Error, Reply, Spec};
use redis_reentrant_lock::engine::{
    Answer, ClientId, Clock, Counters, Effect, Effects, Engine, Event, Settings, Step, WaiterId,
};
use redis_reentrant_lock::lock::{Deadline, LockKey, Millis, Now, Token};
use std::collections::BTreeSet;

/// No reply to a client is longer, whatever it sent.
const LONGEST_ERROR: usize = 512;

/// An engine and its world.
pub struct Play {
    engine: Engine,
    world: World,
    effects: Effects,
    waiting: BTreeSet<WaiterId>,
    delivers: bool,
    /// Those that were granted.
    tokens: Vec<Token>,
    /// How many calls were made: each got a reply, or had to wait for it.
    pub calls: usize,
    /// The codes of errors.
    pub codes: Vec<String>,
}

impl Play {
    /// A master that has just been started.
    pub fn new() -> Play {
        let mut engine = Engine::new();
        engine.restart(Settings::new(), false, true);
        Play {
            engine,
            world: World::new(Now(1_795_251_785_000_000)),
            effects: Effects::new(),
            waiting: BTreeSet::new(),
            delivers: true,
            tokens: Vec::new(),
            calls: 0,
            codes: Vec::new(),
        }
    }

    /// What the engine has counted.
    pub fn counters(&self) -> Counters {
        self.engine.counters
    }

    /// It happens.
    pub fn act(&mut self, act: &Act) {
        if act.is_mended() {
            self.mend();
        }
        for call in &act.calls {
            self.pass(i64::from(act.pause), 0);
            self.call(call);
            self.follow();
            self.wake();
        }
        if act.is_upset() {
            self.upset(&act.upset);
            self.follow();
            self.wake();
        }
    }

    fn mend(&mut self) {
        self.note(Event::SettingsChanged(Box::new(Settings::new())));
        (self.world.writes, self.world.refused) = (true, None);
        (self.world.blocks, self.delivers) = (true, true);
        if !self.engine.is_master() {
            self.note(Event::RoleChanged { master: true });
        }
        for name in [0, 1, 2].map(key) {
            if self
                .world
                .keys
                .get(name)
                .is_some_and(|it| it.holder().is_err())
            {
                self.world.keys.remove(name);
                self.changed(name, false);
            }
        }
    }

    fn upset(&mut self, upset: &Upset) {
        match upset {
            Upset::Plant {
                key: number,
                fields,
                expires,
            } => {
                let pair = |(field, value): &(Word, Word)| (field.bytes(), value.bytes());
                let end = self.world.now.0 / 1000 + i64::from(*expires) - 1000;
                let value = Value {
                    fields: fields
                        .as_ref()
                        .map(|fields| fields.iter().map(pair).collect()),
                    deadline: (*expires > 0).then(|| Deadline(end.max(1))),
                };
                self.world.keys.insert(key(*number).to_vec(), value);
                self.changed(key(*number), false);
            }
            Upset::Delete { key: number } => {
                if self.world.keys.remove(key(*number)).is_some() {
                    self.changed(key(*number), false);
                }
            }
            Upset::Pass { ms, set } => self.pass(i64::from(*ms), i64::from(*set)),
            Upset::Close { client } => self.note(Event::ClientClosed(id(*client))),
            Upset::Role { master } => self.note(Event::RoleChanged {
                master: *master > 63,
            }),
            Upset::Start => self.note(Event::Started),
            Upset::Allow {
                no_write,
                key: number,
                no_block,
                no_delivery,
            } => {
                self.world.writes = *no_write > 63;
                self.world.refused = (*number < 64).then(|| key(*number));
                self.world.blocks = *no_block > 63;
                self.delivers = *no_delivery > 63;
            }
            Upset::Set {
                max_ttl,
                grace,
                max_hold,
                max_waiters,
            } => {
                let mut settings = self.engine.settings().clone();
                settings.max_ttl = Millis(i64::from(*max_ttl));
                settings.grace_period = Millis(i64::from(*grace));
                settings.max_hold = Millis(i64::from(*max_hold));
                settings.max_waiters = i64::from(*max_waiters % 8);
                self.note(Event::SettingsChanged(Box::new(settings)));
            }
        }
    }

    fn pass(&mut self, ms: i64, set: i64) {
        self.world.tick.0 += ms;
        let now = Now((self.world.now.0 + (ms + set) * 1000).max(0));
        self.world.now = now;
        self.note(Event::LoopRan);
        // The server deletes what has expired at some time.
        if self.world.tick.0 % 2 == 0 {
            return;
        }
        let is_over = |value: &Value| value.deadline.is_some_and(|end| end.has_passed(now));
        let over = self.world.keys.iter().filter(|(_, value)| is_over(value));
        let over: Vec<Vec<u8>> = over.map(|(name, _)| name.clone()).collect();
        for name in over {
            self.world.keys.remove(&name);
            self.changed(&name, true);
        }
    }

    fn call(&mut self, call: &Call) {
        let spec = specs()[usize::from(call.command) % specs().len()];
        let args = self.words(spec, call);
        // The server itself refuses them.
        let refused = args.len() > 1 && self.world.refused == Some(args[1].as_slice());
        if spec.writes() && (refused || !self.world.writes) {
            return;
        }
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.world.caller = id(call.client);
        let (was_idle, before) = (self.engine.is_idle(), self.world.keys.clone());
        let reply = run_by_name(&args, &mut self.engine, &mut self.world, &mut self.effects);
        self.calls += 1;
        match reply.expect("a command of the module") {
            Ok(Reply::Waits(waiter, _)) => {
                self.waiting.insert(waiter);
            }
            Ok(Reply::Grant(grant)) => self.tokens.extend(grant.token()),
            Ok(_) => (),
            Err(error) => {
                self.codes.push(check_text(&error));
                // With waiters and sessions it may have ended a lease that was over first.
                assert!(
                    !was_idle || self.world.keys == before,
                    "{error} changed something"
                );
            }
        }
    }

    fn words(&self, spec: &Spec, call: &Call) -> Vec<Vec<u8>> {
        let has = |name| spec.arguments.iter().any(|it| it.name == name);
        let mut args = vec![spec.name.as_bytes().to_vec()];
        if spec.has_key() {
            args.push(key(call.key).to_vec());
        }
        if has("owner") {
            args.push(owner(call.owner).to_vec());
        }
        let (ttl, first, second) = &call.options;
        if let Some(ttl) = ttl.filter(|_| has("ttl")) {
            args.push((ttl % 4000).to_string().into_bytes());
        }
        for piece in [first, second].into_iter().flatten() {
            self.piece(piece, &mut args);
        }
        if let Wild::Words(less, words) = &call.wild {
            args.truncate((args.len() - usize::from(less % 4).min(args.len())).max(1));
            args.extend(words.iter().take(20).map(Word::bytes));
        }
        args
    }

    fn piece(&self, piece: &Piece, args: &mut Vec<Vec<u8>>) {
        let mut push = |word: &str, number: i64| {
            args.extend([word.as_bytes().to_vec(), number.to_string().into_bytes()]);
        };
        match piece {
            Piece::Holds(count) => push("HOLDS", i64::from(count % 4)),
            Piece::Token(back) => {
                let back = usize::from(*back) % self.tokens.len().max(1);
                let token = self.tokens.iter().rev().nth(back);
                push("TOKEN", token.map_or(1, |token| token.get()));
            }
            Piece::Wait(ms) => push("WAIT", i64::from(ms % 4000)),
            Piece::Session => args.push(b"SESSION".to_vec()),
            Piece::Linger(ms) => {
                args.push(b"SESSION".to_vec());
                let ms = ms.to_string().into_bytes();
                args.extend([b"LINGER".to_vec(), ms]);
            }
            Piece::Count(count) => push("COUNT", i64::from(*count)),
            Piece::Any(word) => args.push(word.bytes()),
        }
    }

    fn wake(&mut self) {
        let mut step = Step::begin(&mut self.engine, &mut self.world, &mut self.effects);
        step.wake_up();
    }

    /// Carries out what follows, and what follows from that.
    fn follow(&mut self) {
        while !self.effects.is_empty() {
            let effects: Vec<Effect> = self.effects.list().to_vec();
            self.effects.clear();
            for effect in effects {
                match effect {
                    Effect::Deliver(waiter, answer) => {
                        if let Answer::Grant(grant) = answer {
                            self.tokens.extend(grant.token());
                        }
                        assert!(
                            self.waiting.remove(&waiter),
                            "answered twice, or never asked"
                        );
                        self.note(match self.delivers {
                            true => Event::Delivered(waiter),
                            false => Event::NotDelivered(waiter),
                        });
                    }
                    Effect::Close(client) => self.note(Event::ClientClosed(client)),
                    Effect::Warn(text) => assert!(!text.contains(['\r', '\n', '\0'])),
                    Effect::Publish(_) | Effect::Watch(_) => (),
                }
            }
        }
    }

    fn changed(&mut self, name: &[u8], expired: bool) {
        self.note(Event::KeyChanged {
            key: LockKey {
                db: 0,
                name: name.into(),
            },
            expired,
        });
    }

    fn note(&mut self, event: Event) {
        let clock = Clock {
            now: self.world.now,
            tick: self.world.tick,
        };
        self.engine.note(event, clock, &mut self.effects);
    }
}

fn id(client: u8) -> ClientId {
    ClientId(u64::from(client % 4))
}

/// One line, that starts with a code and can be sent to any client. Returns the code.
fn check_text(error: &Error) -> String {
    let text = error.to_string();
    assert!(text.len() <= LONGEST_ERROR, "{} bytes: {text}", text.len());
    assert!(text.chars().all(|c| (' '..='~').contains(&c)), "{text:?}");
    let code = text.split(' ').next().unwrap_or_default();
    let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    assert!(is_code, "{text}");
    code.to_owned()
}
