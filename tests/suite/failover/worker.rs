//! A client that locks and unlocks through a failover, and takes note of what it may believe.

use super::beliefs::{Belief, Life};
use super::crowd::Task;
use super::line::{end, granted, is_elsewhere, Line};
use std::thread::sleep;
use std::time::{Duration, Instant};

struct Hold {
    belief: Belief,
    holds: usize,
    ttl: u64,
    session: bool,
    /// When it has no connection: how long it may ask for its hold.
    may_ask: Instant,
}

struct Worker {
    task: Task,
    side: usize,
    line: Option<Line>,
    hold: Option<Hold>,
    life: Life,
}

/// Goes on until the time is up.
pub fn run(task: Task) -> Life {
    sleep(task.begins.saturating_duration_since(Instant::now()));
    let ends = task.ends.clone();
    let mut worker = Worker {
        task,
        side: 0,
        line: None,
        hold: None,
        life: Life::default(),
    };
    while Instant::now() < *ends.lock().unwrap() {
        worker.step();
    }
    worker.leave();
    worker.forget();
    worker.life
}

fn ms(ms: usize) -> Duration {
    Duration::from_millis(ms as u64)
}

impl Worker {
    fn step(&mut self) {
        if self.side == 0 && self.task.moves <= Instant::now() {
            self.turn();
        }
        match (&self.line, &self.hold) {
            (None, _) => self.connect(),
            (Some(_), None) => self.take(),
            (Some(_), Some(_)) => self.go_on(),
        }
    }

    fn turn(&mut self) {
        self.leave();
        self.side = 1;
    }

    fn connect(&mut self) {
        self.line = Line::to(self.task.ports[self.side]);
        if self.line.is_none() {
            // It is dead.
            self.side = 1;
            return sleep(ms(20));
        }
        let Some(hold) = &self.hold else { return };
        if hold.may_ask <= Instant::now() {
            return self.forget();
        }
        let choice = if hold.session { 2 } else { self.roll(3) };
        match choice {
            0 => self.assert(),
            1 => self.renew(),
            _ => self.reenter(),
        }
    }

    fn take(&mut self) {
        let max = self.task.max_ttl as usize;
        let ttl = (max - self.roll(2) * self.roll(max - 1000)) as u64;
        let session = self.roll(3) == 0;
        let wait = match self.roll(2) {
            0 => String::new(),
            _ => format!(" WAIT {}", 1 + self.roll(3000)),
        };
        let (lock, owner) = (self.task.lock.clone(), self.task.owner.clone());
        let words = if session {
            self.session()
        } else {
            String::new()
        };
        let line = format!("LOCK.ACQUIRE {lock} {owner} {ttl}{wait}{words}");
        let (sent, side) = (Instant::now(), self.side);
        let Some(reply) = self.call(&line) else {
            return;
        };
        let Some((holds, token, left)) = granted(&reply) else {
            if is_elsewhere(&reply) {
                self.turn();
            }
            return sleep(ms(5 + self.roll(40)));
        };
        let until = end(sent, left);
        let from = Instant::now();
        self.hold = Some(Hold {
            belief: Belief {
                lock,
                owner,
                token,
                side,
                from,
                until,
            },
            holds,
            ttl,
            session,
            may_ask: until,
        });
        // After a wait it cannot know how much is left.
        if !wait.is_empty() {
            self.renew();
        }
    }

    fn session(&self) -> String {
        match self.task.linger {
            0 => " SESSION".to_owned(),
            linger => format!(" SESSION LINGER {linger}"),
        }
    }

    fn go_on(&mut self) {
        let pause = ms(1 + self.roll(60));
        sleep(pause);
        let over = |hold: &Hold| !hold.session && hold.belief.until <= Instant::now();
        if self.hold.as_ref().is_some_and(over) {
            return self.forget();
        }
        match self.roll(14) {
            0 | 1 => self.renew(),
            2..=4 => self.assert(),
            5 => self.reenter(),
            6 => self.release(),
            7 if self.roll(2) == 0 => self.leave(),
            8 => sleep(ms(self.roll(500))),
            // To the end of its lease, if it is none that is renewed.
            9 => {
                let left = |hold: &Hold| hold.belief.until - Instant::now();
                sleep(self.hold.as_ref().map_or(pause, left));
            }
            _ => (),
        }
    }

    /// The lock, the owner, the ttl and the token of the hold.
    fn words(&self) -> (String, u64, i64) {
        let hold = self.hold.as_ref().unwrap();
        let who = format!("{} {}", self.task.lock, self.task.owner);
        (who, hold.ttl, hold.belief.token)
    }

    fn assert(&mut self) {
        let (who, _, token) = self.words();
        self.ask(&format!("LOCK.ASSERT {who} TOKEN {token}"));
    }

    fn renew(&mut self) {
        let (who, ttl, token) = self.words();
        self.ask(&format!("LOCK.RENEW {who} {ttl} TOKEN {token}"));
    }

    fn reenter(&mut self) {
        let (who, ttl, token) = self.words();
        let session = self.hold.as_ref().unwrap().session;
        let words = if session {
            self.session()
        } else {
            String::new()
        };
        self.ask(&format!("LOCK.ACQUIRE {who} {ttl} TOKEN {token}{words}"));
    }

    /// Asks something that proves the hold, and perhaps extends it.
    fn ask(&mut self, line: &str) {
        let sent = Instant::now();
        let Some(reply) = self.call(line) else { return };
        let hold = self.hold.as_mut().unwrap();
        let until = match granted(&reply) {
            Some((holds, _, left)) => {
                hold.holds = holds;
                end(sent, left)
            }
            None if reply == "OK" => sent,
            None if reply.starts_with("NOTOWNER") => return self.forget(),
            None if is_elsewhere(&reply) => return self.turn(),
            None => return,
        };
        hold.belief.until = hold.belief.until.max(until);
    }

    fn release(&mut self) {
        let (who, _, token) = self.words();
        let sent = Instant::now();
        let (last, session) = self
            .hold
            .as_ref()
            .map_or((false, false), |hold| (hold.holds == 1, hold.session));
        if last {
            self.ends(sent);
        }
        let reply = self.call(&format!("LOCK.RELEASE {who} TOKEN {token}"));
        let left = reply.as_ref().map(|reply| reply.parse::<usize>());
        match (left, &mut self.hold) {
            (Some(Ok(left @ 1..)), Some(hold)) => hold.holds = left,
            (Some(Err(_)), _) => {
                // The server still holds the lock for it, by this connection if it is a session.
                self.ends(sent);
                self.line = None;
                if session {
                    self.task.owner.push('i');
                }
            }
            // The server may know of fewer holds.
            _ => self.ends(sent),
        }
    }

    /// Closes the connection.
    fn leave(&mut self) {
        let now = Instant::now();
        self.disconnected(now);
        self.line = None;
    }

    fn disconnected(&mut self, now: Instant) {
        let Some(hold) = &mut self.hold else { return };
        match (hold.session, self.task.linger) {
            (false, _) => hold.may_ask = hold.belief.until,
            (true, 0) => {
                // Who comes next is another one: the server may not have noticed yet.
                self.ends(now);
                self.task.owner.push('i');
            }
            (true, linger) => hold.may_ask = now + Duration::from_millis(linger),
        }
    }

    /// The hold is given up at that moment.
    fn ends(&mut self, at: Instant) {
        if let Some(hold) = &mut self.hold {
            hold.belief.until = hold.belief.until.min(at);
        }
        self.forget();
    }

    /// Does no more for the hold. What was told of it stays told.
    fn forget(&mut self) {
        self.life
            .beliefs
            .extend(self.hold.take().map(|hold| hold.belief));
    }

    /// Sends a line, and reads the reply; none where the connection ends instead.
    fn call(&mut self, line: &str) -> Option<String> {
        let sent = Instant::now();
        let reply = self.line.as_mut()?.call(line);
        let side = ["old", "new"][self.side];
        let told = reply.as_deref().unwrap_or("closed");
        let journal = &mut self.life.journal;
        journal.push((sent, format!("{side} < {line}")));
        journal.push((
            Instant::now(),
            format!("{side} > {} {told}", self.task.owner),
        ));
        if reply.is_none() {
            self.line = None;
            self.disconnected(Instant::now());
        }
        reply
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.task.dice.usize(..sides)
    }
}
