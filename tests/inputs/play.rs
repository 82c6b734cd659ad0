//! One random client's connections, what is sent on them, and what must come of it.

use super::calls::{any_key, line, pack, shown, Call, Holds, Source};
use super::check::{self, Outcome};
use super::client::Client;
use super::tried::Tried;
use super::words::one_of;
use fastrand::Rng;
use lock_test_support::{show, Server};
use redis::Value;
use std::collections::{BTreeMap, VecDeque};

/// How many connections there are.
pub const CLIENTS: usize = 6;

/// So much of what was sent last is told where a run fails.
const JOURNAL: usize = 40;

/// A run.
pub struct Play<'a> {
    /// The server, which nobody else uses.
    pub server: &'a Server,
    /// The choices.
    pub dice: Rng,
    /// A connection with every right, which is never blocked.
    pub admin: Client,
    /// The others.
    pub clients: Vec<Client>,
    /// Whether there may be fields that go away by themselves.
    pub fields_expire: bool,
    /// Whether someone waits for a lock while others call.
    pub someone_waits: bool,
    /// Commands that this server does not have.
    pub lacks: Vec<&'static str>,
    /// What was tried.
    pub tried: Tried,
    holds: Holds,
    journal: VecDeque<String>,
}

/// How calls are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One after the other, in one packet.
    Pipeline,
    /// In MULTI, to EXEC.
    Transaction,
    /// Each in a script that returns what it gets, in RESP3 if that is so.
    Script(bool),
    /// Each in a function.
    Function,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    held: Value,
    ends: i64,
}

impl<'a> Play<'a> {
    /// Connects.
    pub fn new(server: &'a Server, seed: u64) -> Play<'a> {
        let connect = |_| Client::connect(server.port());
        Play {
            server,
            dice: Rng::with_seed(seed),
            admin: connect(0),
            clients: (0..CLIENTS).map(connect).collect(),
            fields_expire: false,
            someone_waits: false,
            lacks: Vec::new(),
            tried: Tried::new(seed),
            holds: Holds::default(),
            journal: VecDeque::new(),
        }
    }

    /// Ends the run: that was wrong.
    pub fn fail(&self, wrong: &str) -> ! {
        let last: Vec<&str> = self.journal.iter().map(String::as_str).collect();
        panic!(
            "{wrong}\nseed {}, what was sent last:\n{}\n{}",
            self.tried.seed,
            last.join("\n"),
            self.server.last_words()
        );
    }

    /// How the lock is that a call names, in the first database, and who is connected: for a failure.
    pub fn state(&mut self, call: &str) -> String {
        self.admin.select(0);
        let key = call.split(' ').nth(1).unwrap_or_default();
        let asks = ["LOCK.INFO", "HGETALL", "PTTL"].map(|it| format!("{it} {key}"));
        let more = [
            "CONFIG GET lock.*",
            "INFO clients",
            "INFO lock",
            "CLIENT LIST",
        ];
        let more = more.map(str::to_owned);
        let mut state = String::new();
        for ask in asks.iter().chain(&more) {
            state += &format!("{ask}: {}\n", show(&self.admin.ask(ask)));
        }
        state
    }

    /// Ends the run unless that was right.
    pub fn expect<T>(&self, right: Result<T, String>) -> T {
        right.unwrap_or_else(|wrong| self.fail(&wrong))
    }

    /// Remembers what is sent.
    pub fn note(&mut self, who: &str, what: &[Vec<u8>]) {
        if self.journal.len() == JOURNAL {
            self.journal.pop_front();
        }
        self.journal.push_back(format!("{who}: {}", shown(what)));
    }

    /// A line of the one with every right.
    pub fn say(&mut self, words: &str) -> Value {
        self.say_words(&line(words))
    }

    /// Words of the one with every right.
    pub fn say_words(&mut self, words: &[Vec<u8>]) -> Value {
        self.note("admin", words);
        self.admin.ask_words(words)
    }

    /// Some calls, mostly for the same lock.
    pub fn some_calls(&mut self, most: usize) -> Vec<Call> {
        let (mut calls, mut key) = (Vec::new(), any_key(&mut self.dice));
        for _ in 0..self.dice.usize(1..=most) {
            if self.dice.usize(..4) == 0 {
                key = any_key(&mut self.dice);
            }
            calls.push(self.source().call(&key));
        }
        calls
    }

    /// Where calls come from.
    pub fn source(&mut self) -> Source<'_> {
        Source {
            dice: &mut self.dice,
            holds: &self.holds,
        }
    }

    /// Sends calls, reads a reply to each, and checks that those which may change nothing have changed nothing.
    pub fn exchange(&mut self, at: usize, calls: &[Call], form: Form) -> Vec<Outcome> {
        let db = self.clients[at].db;
        let mut before: BTreeMap<Vec<u8>, Shot> = BTreeMap::new();
        for key in calls.iter().filter_map(Call::key) {
            if !before.contains_key(key) {
                let shot = self.shot(db, key);
                before.insert(key.to_vec(), shot);
            }
        }
        let outcomes = self.send(at, calls, form);
        for (key, before) in before {
            let of_key = |(call, _): &(&Call, &Outcome)| call.key() == Some(&key);
            let mut of_key = calls.iter().zip(&outcomes).filter(of_key);
            if of_key.all(|(_, outcome)| outcome.changes_nothing()) {
                self.compare(db, &key, &before);
            }
        }
        outcomes
    }

    /// What a key holds now.
    pub fn shot(&mut self, db: usize, key: &[u8]) -> Shot {
        self.admin.select(db);
        // In this order: what lapses in between has an end that has passed.
        let asks = ["PEXPIRETIME", "HGETALL", "SMEMBERS", "DUMP"];
        let asks = asks.map(|it| pack(&[it.as_bytes().to_vec(), key.to_vec()]));
        self.admin.send(&asks.concat());
        let [ends, fields, members, dump] = [(); 4].map(|()| {
            let reply = self.admin.reply(&mut |_| ());
            self.expect(reply)
        });
        let Value::Int(ends) = ends else {
            self.fail(&format!("PEXPIRETIME replied {ends:?}"))
        };
        // A server dumps fields and members in any order: it may move them while it looks at them.
        let held = match (fields, members) {
            (Value::Array(fields), _) if !fields.is_empty() => sorted(fields.chunks(2)),
            (_, Value::Array(members)) if !members.is_empty() => sorted(members.chunks(1)),
            _ => dump,
        };
        Shot { held, ends }
    }

    /// Fails where a key has changed which nothing may have changed.
    pub fn compare(&mut self, db: usize, key: &[u8], before: &Shot) {
        self.tried.compared += 1;
        let after = self.shot(db, key);
        if after == *before || self.has_lapsed(before) || self.fields_expire {
            return;
        }
        // What had lapsed goes to who waits, or is written again where it is bound to a connection, which also renews it.
        let was_free = before.held == Value::Nil;
        let is_renewed = was_free || after.held == before.held;
        let is_excused = was_free && self.someone_waits || is_renewed && self.is_bound(key);
        if !is_excused {
            let key = key.escape_ascii();
            self.fail(&format!("{key} was changed from {before:?} to {after:?}"));
        }
    }

    /// Whether a lock is bound to a connection.
    fn is_bound(&mut self, key: &[u8]) -> bool {
        let info = [b"LOCK.INFO".to_vec(), key.to_vec()];
        match self.admin.ask_words(&info) {
            Value::Array(info) => info.get(9) == Some(&Value::Int(1)),
            _ => false,
        }
    }

    /// Whether what a key held has ended by itself.
    pub fn has_lapsed(&mut self, before: &Shot) -> bool {
        before.ends >= 0 && before.ends <= self.clock()
    }

    /// The server's clock, in Unix ms.
    pub fn clock(&mut self) -> i64 {
        let time: Result<(i64, i64), _> = redis::from_redis_value(self.admin.ask("TIME"));
        let (seconds, micros) = time.unwrap();
        seconds * 1000 + micros / 1000
    }

    /// Sends calls, and checks that each gets one reply that is right.
    fn send(&mut self, at: usize, calls: &[Call], form: Form) -> Vec<Outcome> {
        self.tried.calls += calls.len() as u64;
        let words: Vec<Vec<Vec<u8>>> = calls.iter().map(|it| wrap(it, form)).collect();
        for words in &words {
            self.note(&format!("client {at}, {form:?}"), words);
        }
        let mut packet: Vec<u8> = words.iter().flat_map(|it| pack(it)).collect();
        if form == Form::Transaction {
            packet = [pack(&line("MULTI")), packet, pack(&line("EXEC"))].concat();
        }
        if !self.clients[at].send(&packet) {
            self.fail("the server has closed the connection");
        }
        let replies = match form {
            Form::Transaction => self.transaction(at, calls.len()),
            _ => calls.iter().map(|_| self.reply(at)).collect(),
        };
        let resp3 = match form {
            Form::Script(resp3) => resp3 && self.clients[at].resp3,
            Form::Function => false,
            _ => self.clients[at].resp3,
        };
        let mut outcomes = Vec::new();
        for (call, reply) in calls.iter().zip(&replies) {
            // In a script, an array of what the call was replied; or an error of the script.
            let reply = match (form, reply) {
                (Form::Script(_) | Form::Function, Value::Array(values)) => {
                    values.first().unwrap_or(&Value::Nil)
                }
                _ => reply,
            };
            let outcome = self.expect(check::reply(call, reply, resp3));
            self.tried.note(call, &outcome);
            if let Outcome::Done(Some(token)) = outcome {
                self.holds.add(call, token);
            }
            outcomes.push(outcome);
        }
        self.is_in_step(at);
        outcomes
    }

    /// The replies to what stands in a transaction. If it was not run, each call counts as refused.
    fn transaction(&mut self, at: usize, count: usize) -> Vec<Value> {
        self.reply(at);
        (0..count).for_each(|_| drop(self.reply(at)));
        match self.reply(at) {
            Value::Array(replies) if replies.len() == count => replies,
            refusal @ Value::ServerError(_) => vec![refusal; count],
            other => self.fail(&format!("EXEC replied {other:?}")),
        }
    }

    /// The next reply on a connection. Whoever waits too long is unblocked.
    pub fn reply(&mut self, at: usize) -> Value {
        let (dice, admin) = (&mut self.dice, &mut self.admin);
        let reply = self.clients[at].reply(&mut |id| unblock(dice, admin, id));
        let reply = self.expect(reply);
        let codes = self.expect(check::any(&reply, self.clients[at].resp3));
        codes.iter().for_each(|code| self.tried.note_code(code));
        reply
    }

    /// Fails where there was a reply too many on a connection.
    pub fn is_in_step(&mut self, at: usize) {
        let (dice, admin) = (&mut self.dice, &mut self.admin);
        let is = self.clients[at].is_in_step(&mut |id| unblock(dice, admin, id));
        self.expect(is);
    }

    /// Returns when the server has run what was sent on other connections.
    pub fn settle(&mut self) {
        (0..3).for_each(|_| drop(self.admin.ask("PING")));
    }
}

/// Entries of a reply, in an order of their own.
fn sorted<'v>(entries: impl Iterator<Item = &'v [Value]>) -> Value {
    let mut entries: Vec<&[Value]> = entries.collect();
    entries.sort_by_cached_key(|entry| format!("{entry:?}"));
    Value::Array(entries.concat())
}

fn unblock(dice: &mut Rng, admin: &mut Client, id: i64) {
    let how = one_of(dice, &["TIMEOUT", "ERROR"]);
    admin.ask(&format!("CLIENT UNBLOCK {id} {how}"));
}

/// A call as it is sent in that form.
fn wrap(call: &Call, form: Form) -> Vec<Vec<u8>> {
    let wrapper = match form {
        Form::Pipeline | Form::Transaction => return call.words.clone(),
        Form::Script(false) => ["EVAL", "return {redis.pcall(unpack(ARGV))}", "0"],
        Form::Script(true) => [
            "EVAL",
            "redis.setresp(3); return {redis.pcall(unpack(ARGV))}",
            "0",
        ],
        Form::Function => ["FCALL", super::FUNCTION, "0"],
    };
    let mut words = wrapper.map(|word| word.as_bytes().to_vec()).to_vec();
    words.extend(call.words.iter().cloned());
    words
}
