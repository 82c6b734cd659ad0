//! A client that locks and unlocks, and checks what it is told.

use super::line::Line;
use super::registry::Registry;
use super::{CALM, LOCKS};
use crate::support::{show, Server, PATIENCE};
use fastrand::Rng;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

/// A lease that no soak outlasts, in ms.
const LONG: u64 = 36_000_000;

/// One owner, who has one connection at a time.
pub struct Worker<'a> {
    registry: &'a Registry,
    line: Line<'a>,
    owner: String,
    /// How many owners it was besides, who died.
    dead: u64,
    dice: Rng,
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
        mut dice: Rng,
    ) -> Worker<'a> {
        let owner = format!("o{number}");
        Worker {
            registry,
            line: Line::new(server, registry, id, &owner, dice.fork()),
            owner,
            dead: 0,
            dice,
        }
    }

    /// Goes on until the soak ends, and gives back whatever it holds then.
    pub fn run(&mut self) {
        while !self.registry.is_stopped() {
            match self.dice.usize(..25) {
                0 => self.die_holding(),
                1 => self.die_waiting(),
                2 | 3 => self.go_away_waiting(),
                _ => self.lock_once(None),
            }
        }
    }

    /// Takes a lock, with another one in hand or without.
    fn lock_once(&mut self, in_hand: Option<usize>) {
        // The smaller its number, the more want it.
        let bound = 1 + self.dice.usize(..LOCKS);
        let lock = self.dice.usize(..bound);
        if in_hand == Some(lock) {
            return;
        }
        let wait = match self.dice.usize(..8) {
            0 => String::new(),
            1..=3 => format!(" WAIT {}", 1 + self.dice.usize(..30)),
            4 => " WAIT 60000".to_owned(),
            _ => " WAIT 0".to_owned(),
        };
        let holds = ["", " HOLDS 1"][self.dice.usize(..2)];
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
        let reentries = self.dice.usize(..4).saturating_sub(1);
        // Where nobody takes locks away, a reentry can be no new hold.
        let same = match lock < CALM && self.dice.usize(..2) == 0 {
            true => String::new(),
            false => format!(" TOKEN {token}"),
        };
        for holds in 2..2 + reentries {
            let repeat = match self.dice.usize(..2) {
                0 => String::new(),
                _ => format!(" HOLDS {holds}"),
            };
            let line = format!("LOCK.ACQUIRE k{lock} {} {LONG}{repeat}{same}", self.owner);
            let right = format!("[1 {holds} {token} {LONG}]");
            if !self.expect(lock, token, &line, &right) {
                return;
            }
        }
        match self.dice.usize(..8) {
            0 if in_hand.is_none() => self.lock_once(Some(lock)),
            1..=3 => std::thread::sleep(Duration::from_micros(self.dice.usize(..2000) as u64)),
            _ => (),
        }
        let line = format!("LOCK.ASSERT k{lock} {} TOKEN {token}", self.owner);
        if self.dice.usize(..2) == 0 && !self.expect(lock, token, &line, "OK") {
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
        let Some(reply) = self.line.call(line) else {
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
            self.line.wrong(line, &reply);
        }
        self.registry.ends(lock, token);
        false
    }

    /// Takes a lock for a while and never gives it back: it lapses.
    fn die_holding(&mut self) {
        let lock = self.dice.usize(..LOCKS);
        let (ttl, wait) = (
            20 + self.dice.usize(..80) as u64,
            1 + self.dice.usize(..100),
        );
        let owner = self.one_more();
        let sent = Instant::now();
        let line = format!("LOCK.ACQUIRE k{lock} {owner} {ttl} WAIT {wait}");
        if let Outcome::Granted(token) = self.acquire(&line, false) {
            // The server counts whole milliseconds.
            let until = sent + Duration::from_millis(ttl - 2);
            self.registry.begins(lock, &owner, token, Some(until));
        }
    }

    /// Waits for a lock of this worker's own, on another connection, which is killed in the step in
    /// which it is granted the lock: nobody was told, so the lock is free then.
    fn die_waiting(&mut self) {
        let (lock, ghost) = (format!("own-{}", self.owner), self.one_more());
        let mut dying = self.line.server.client();
        let id = dying.int("CLIENT ID");
        let info = format!("LOCK.INFO {lock}");
        let mut say = |line: &str| self.line.ask(line).map(|reply| show(&reply));
        // Should its connection be killed meanwhile, it gives up; then it may hold it the next time.
        let mut steps = || {
            say(&format!("LOCK.FORCERELEASE {lock}"))?;
            say(&format!("LOCK.ACQUIRE {lock} {} {LONG}", self.owner))?;
            dying.forget(&format!("LOCK.ACQUIRE {lock} {ghost} {LONG} WAIT 0"));
            let start = Instant::now();
            while !say(&info)?.contains(&ghost) {
                if start.elapsed() > PATIENCE {
                    return Some(format!("{ghost} does not wait"));
                }
            }
            say("MULTI")?;
            say(&format!("LOCK.RELEASE {lock} {}", self.owner))?;
            say(&format!("CLIENT KILL ID {id}"))?;
            let freed = say("EXEC")?;
            let start = Instant::now();
            while say(&info)? != "nil" {
                if start.elapsed() > PATIENCE {
                    return Some(format!("{freed}, and {ghost}, who is dead, holds it"));
                }
            }
            None
        };
        if let Some(wrong) = steps() {
            self.line.wrong(&lock, &wrong);
        }
    }

    /// The name of another owner, who is used once.
    fn one_more(&mut self) -> String {
        self.dead += 1;
        format!("{}-{}", self.owner, self.dead)
    }

    /// Closes the connection while it waits, and then tries again or gives up.
    fn go_away_waiting(&mut self) {
        let lock = self.dice.usize(..LOCKS);
        let line = format!("LOCK.ACQUIRE k{lock} {} {LONG} HOLDS 1 WAIT 0", self.owner);
        self.line.forget(&line);
        std::thread::sleep(Duration::from_micros(self.dice.usize(..3000) as u64));
        self.line.come_back();
        self.registry.note(
            &self.owner,
            &format!("has gone away from k{lock} and come back"),
        );
        if self.dice.usize(..2) == 0 {
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
        let Some(value) = self.line.value(line) else {
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
            self.line.wrong(line, &reply);
        }
        Outcome::No
    }

    /// Releases a lock until it is not held any more.
    fn give_back(&mut self, lock: usize, token: &str) {
        let line = format!("LOCK.RELEASE k{lock} {}{token}", self.owner);
        loop {
            match self.line.call(&line) {
                Some(reply) if reply == "0" || reply.starts_with("NOTOWNER ") => return,
                Some(reply) if reply.parse::<u32>().is_err() => {
                    return self.line.wrong(&line, &reply)
                }
                _ => (),
            }
        }
    }
}
