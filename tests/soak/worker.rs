//! A client that locks and unlocks, and checks what it is told.

use super::registry::Registry;
use super::support::{show, Client, Server};
use super::{Dice, CALM, LOCKS};
use redis::{ConnectionLike, Value};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A lease that no soak outlasts, in ms.
const LONG: u64 = 36_000_000;

/// One owner, who has one connection at a time.
pub struct Worker<'a> {
    server: &'a Server,
    registry: &'a Registry,
    /// Where the id of its connection is told.
    id: &'a AtomicI64,
    client: Client,
    owner: String,
    abandoned: u64,
    dice: Dice,
}

/// How a first call ended.
enum Outcome {
    Granted(i64),
    No,
    /// The connection ended before the reply.
    Gone,
}

impl<'a> Worker<'a> {
    /// Connects.
    pub fn new(
        server: &'a Server,
        registry: &'a Registry,
        number: usize,
        id: &'a AtomicI64,
        dice: Dice,
    ) -> Worker<'a> {
        let mut worker = Worker {
            server,
            registry,
            id,
            client: server.client(),
            owner: format!("o{number}"),
            abandoned: 0,
            dice,
        };
        worker.tell_id();
        worker
    }

    /// Goes on until the soak ends, and gives back whatever it holds then.
    pub fn run(&mut self) {
        while !self.registry.is_stopped() {
            match self.dice.below(25) {
                0 => self.die_holding(),
                1 | 2 => self.go_away_waiting(),
                _ => self.lock_once(None),
            }
        }
    }

    /// Takes a lock, with another one in hand or without.
    fn lock_once(&mut self, in_hand: Option<usize>) {
        // The smaller its number, the more want it.
        let bound = 1 + self.dice.below(LOCKS);
        let lock = self.dice.below(bound);
        if in_hand == Some(lock) {
            return;
        }
        let wait = match self.dice.below(8) {
            0 => String::new(),
            1..=3 => format!(" WAIT {}", 1 + self.dice.below(30)),
            4 => " WAIT 60000".to_owned(),
            _ => " WAIT 0".to_owned(),
        };
        let holds = ["", " HOLDS 1"][self.dice.below(2)];
        let line = format!("LOCK.ACQUIRE k{lock} {} {LONG}{wait}{holds}", self.owner);
        let mut outcome = self.acquire(&line, in_hand.is_some());
        while matches!(outcome, Outcome::Gone) && !holds.is_empty() {
            outcome = self.acquire(&line, in_hand.is_some());
        }
        match outcome {
            Outcome::Granted(token) => self.hold(lock, token, in_hand),
            Outcome::No => (),
            Outcome::Gone => self.give_back(lock, ""),
        }
    }

    /// Holds a lock: reenters it, checks that it is held, waits for another, and gives it back.
    fn hold(&mut self, lock: usize, token: i64, in_hand: Option<usize>) {
        self.registry.begins(lock, &self.owner, token, None);
        let reentries = self.dice.below(4).saturating_sub(1);
        // Where nobody takes locks away, a reentry can be no new hold.
        let same = match lock < CALM && self.dice.below(2) == 0 {
            true => String::new(),
            false => format!(" TOKEN {token}"),
        };
        for holds in 2..2 + reentries {
            let repeat = match self.dice.below(2) {
                0 => String::new(),
                _ => format!(" HOLDS {holds}"),
            };
            let line = format!("LOCK.ACQUIRE k{lock} {} {LONG}{repeat}{same}", self.owner);
            let right = format!("[1 {holds} {token} {LONG}]");
            if !self.expect(lock, token, &line, &right) {
                return;
            }
        }
        match self.dice.below(8) {
            0 if in_hand.is_none() => self.lock_once(Some(lock)),
            1..=3 => std::thread::sleep(Duration::from_micros(self.dice.below(2000) as u64)),
            _ => (),
        }
        let line = format!("LOCK.ASSERT k{lock} {} TOKEN {token}", self.owner);
        if self.dice.below(2) == 0 && !self.expect(lock, token, &line, "OK") {
            return;
        }
        for left in (0..=reentries).rev() {
            if left == 0 {
                self.registry.ends(lock, token);
            }
            let line = format!("LOCK.RELEASE k{lock} {} TOKEN {token}", self.owner);
            if !self.expect(lock, token, &line, &left.to_string()) {
                return;
            }
        }
    }

    /// Sends a line of one who holds a lock. False where it holds it no more, by now.
    fn expect(&mut self, lock: usize, token: i64, line: &str, right: &str) -> bool {
        let Some(reply) = self.call(line) else {
            // How many holds there are now is not known.
            self.registry.ends(lock, token);
            self.give_back(lock, &format!(" TOKEN {token}"));
            return false;
        };
        if reply == right {
            return true;
        }
        if reply.starts_with("NOTOWNER ") {
            self.registry.is_lost(lock, &self.owner, token, &reply);
        } else {
            self.wrong(line, &reply);
        }
        self.registry.ends(lock, token);
        false
    }

    /// Takes a lock for a while and never gives it back: it lapses.
    fn die_holding(&mut self) {
        let lock = self.dice.below(LOCKS);
        let (ttl, wait) = (20 + self.dice.below(80) as u64, 1 + self.dice.below(100));
        self.abandoned += 1;
        let owner = format!("{}-{}", self.owner, self.abandoned);
        let sent = Instant::now();
        let line = format!("LOCK.ACQUIRE k{lock} {owner} {ttl} WAIT {wait}");
        if let Outcome::Granted(token) = self.acquire(&line, false) {
            // The server counts whole milliseconds.
            let until = sent + Duration::from_millis(ttl - 2);
            self.registry.begins(lock, &owner, token, Some(until));
        }
    }

    /// Closes the connection while it waits, and then tries again or gives up.
    fn go_away_waiting(&mut self) {
        let lock = self.dice.below(LOCKS);
        let line = format!("LOCK.ACQUIRE k{lock} {} {LONG} HOLDS 1 WAIT 0", self.owner);
        self.client.forget(&line);
        self.registry
            .note(&self.owner, &format!("{line} <- and goes away"));
        std::thread::sleep(Duration::from_micros(self.dice.below(3000) as u64));
        self.connect();
        self.registry.note(
            &self.owner,
            &format!("has gone away from k{lock} and come back"),
        );
        if self.dice.below(2) == 0 {
            return self.give_back(lock, "");
        }
        loop {
            match self.acquire(&line, false) {
                Outcome::Granted(token) => return self.hold(lock, token, None),
                // The first call may have got it.
                Outcome::No => return self.give_back(lock, ""),
                Outcome::Gone => (),
            }
        }
    }

    /// Sends the first call for a lock.
    fn acquire(&mut self, line: &str, has_another: bool) -> Outcome {
        let Some(value) = self.value(line) else {
            return Outcome::Gone;
        };
        match redis::from_redis_value::<[i64; 4]>(value.clone()) {
            Ok([1, 1, token, _]) => return Outcome::Granted(token),
            Ok([0, 0, 0, _]) => return Outcome::No,
            _ => (),
        }
        let reply = show(&value);
        let in_circle = has_another && reply.starts_with("DEADLOCK ");
        if !in_circle && !reply.starts_with("UNBLOCKED ") {
            self.wrong(line, &reply);
        }
        Outcome::No
    }

    /// Releases a lock until it is not held any more.
    fn give_back(&mut self, lock: usize, token: &str) {
        let line = format!("LOCK.RELEASE k{lock} {}{token}", self.owner);
        loop {
            match self.call(&line) {
                Some(reply) if reply == "0" || reply.starts_with("NOTOWNER ") => return,
                Some(reply) if reply.parse::<u32>().is_err() => return self.wrong(&line, &reply),
                _ => (),
            }
        }
    }

    fn call(&mut self, line: &str) -> Option<String> {
        self.value(line).map(|value| show(&value))
    }

    /// Sends a line and returns its reply. None where the connection has ended: then there is a
    /// new one.
    fn value(&mut self, line: &str) -> Option<Value> {
        let value = self.ask(line)?;
        // Had there been a second reply, this would read it.
        if self.dice.below(8) == 0 {
            let number = self.dice.below(1_000_000).to_string();
            if let Some(echo) = self.ask(&format!("ECHO {number}")) {
                if show(&echo) != number {
                    self.wrong(line, &format!("{}, and {}", show(&value), show(&echo)));
                }
            }
        }
        Some(value)
    }

    fn ask(&mut self, line: &str) -> Option<Value> {
        let reply = self.ask_unnoted(line);
        let text = reply
            .as_ref()
            .map_or("nothing: the connection ended".to_owned(), show);
        self.registry
            .note(&self.owner, &format!("{line} -> {text}"));
        reply
    }

    fn ask_unnoted(&mut self, line: &str) -> Option<Value> {
        let mut cmd = redis::Cmd::new();
        line.split(' ').for_each(|word| {
            cmd.arg(word);
        });
        let number = self.id.load(SeqCst);
        self.registry
            .note(&self.owner, &format!("{line} <- {number}"));
        let error = match self.client.raw.req_command(&cmd) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if error.is_timeout() {
            self.wrong(line, "nothing");
        }
        match redis::ServerError::try_from(error) {
            Ok(error) => Some(Value::ServerError(error)),
            Err(_) => {
                self.connect();
                None
            }
        }
    }

    fn connect(&mut self) {
        self.client = self.server.client();
        self.tell_id();
    }

    fn tell_id(&mut self) {
        // It may be killed before it is known.
        let id = self
            .client
            .raw
            .req_command(&redis::cmd("CLIENT").arg("ID").clone());
        if let Ok(Value::Int(id)) = id {
            self.id.store(id, SeqCst);
        }
    }

    fn wrong(&self, line: &str, reply: &str) {
        self.registry
            .fail(None, format!("{line} was answered {reply}"));
    }
}
