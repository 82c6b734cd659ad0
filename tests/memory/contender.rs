//! One of those who contend.

use super::{take, HELD};
use fastrand::Rng;
use lock_test_support::{Client, Server};
use redis::{ConnectionLike, Value};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The locks that all want.
const LOCKS: [&str; 3] = ["l0", "l1", "l2"];

/// A connection at a time.
pub struct Contender<'a> {
    server: &'a Server,
    client: Client,
    owner: String,
    number: usize,
    /// The connection of each, so that some can be closed by others.
    ids: &'a [AtomicI64],
    left: &'a AtomicU64,
    dice: Rng,
}

impl<'a> Contender<'a> {
    /// Connects.
    pub fn new(
        server: &'a Server,
        number: usize,
        seed: u64,
        ids: &'a [AtomicI64],
        left: &'a AtomicU64,
    ) -> Contender<'a> {
        let mut contender = Contender {
            server,
            client: server.client(),
            owner: format!("o{number}"),
            number,
            ids,
            left,
            dice: Rng::with_seed(seed),
        };
        contender.tell_id();
        contender
    }

    /// Goes on until no operation is left.
    pub fn run(&mut self) {
        while take(self.left, 4) {
            let (owner, lock) = (self.owner.clone(), LOCKS[self.dice.usize(..LOCKS.len())]);
            let wait = ["", " WAIT 0", " WAIT 1", " WAIT 5000"][self.dice.usize(..4)];
            let bound = ["", "", " SESSION", " SESSION LINGER 1"][self.dice.usize(..4)];
            let lines = match self.dice.usize(..100) {
                // Handed over, from one to the next.
                0..=69 => [
                    format!("LOCK.ACQUIRE {lock} {owner} 60000{wait}{bound}"),
                    format!("LOCK.RENEW {lock} {owner} 60000"),
                    format!("LOCK.RELEASE {lock} {owner}"),
                    format!("LOCK.ASSERT {lock} {owner}"),
                ],
                // Busy, and waits whose time is over.
                70..=79 => [
                    format!("LOCK.ACQUIRE {HELD} {owner} 60000"),
                    format!("LOCK.ACQUIRE {HELD} {owner} 60000 WAIT 1"),
                    format!("LOCK.INFO {HELD}"),
                    "LOCK.LINES".to_owned(),
                ],
                // Reentered, and taken away.
                80..=89 => [
                    format!("LOCK.ACQUIRE {owner} {owner} 60000{bound}"),
                    format!("LOCK.ACQUIRE {owner} {owner} 60000"),
                    format!("LOCK.RELEASE {owner} {owner} HOLDS 5"),
                    format!("LOCK.RELEASE {owner} {owner} HOLDS 0"),
                ],
                // A lease that ends while another owner waits.
                90..=95 => [
                    format!("LOCK.ACQUIRE {owner} late 1"),
                    format!("LOCK.ACQUIRE {owner} {owner} 60000 WAIT 0"),
                    format!("LOCK.RELEASE {owner} {owner}"),
                    format!("LOCK.ACQUIRE {owner} {owner} soon"),
                ],
                96 => {
                    self.leave(&format!("LOCK.ACQUIRE {HELD} {owner} 60000 WAIT 0"));
                    continue;
                }
                97 => {
                    let id = self.ids[self.dice.usize(..self.ids.len())].load(Relaxed);
                    // To kill the client 0 is to kill everyone.
                    if id > 0 {
                        self.say(&format!("CLIENT KILL ID {id}"));
                    }
                    continue;
                }
                _ => {
                    self.leave(&format!("LOCK.ACQUIRE {owner} {owner} 60000 SESSION"));
                    continue;
                }
            };
            lines.iter().for_each(|line| self.say(line));
        }
        // What it holds still is not to keep the others waiting.
        for lock in LOCKS {
            self.say(&format!("LOCK.RELEASE {lock} {} HOLDS 0", self.owner));
        }
    }

    /// Sends a line, and does not wait for what comes of it.
    fn leave(&mut self, line: &str) {
        self.client.forget(line);
        self.connect();
    }

    /// Sends a line, and reads its reply; or connects again, where the connection was closed.
    fn say(&mut self, line: &str) {
        let mut command = redis::Cmd::new();
        line.split(' ').for_each(|word| {
            command.arg(word);
        });
        if let Err(error) = self.client.raw.req_command(&command) {
            assert!(!error.is_timeout(), "{line} has no reply");
            if redis::ServerError::try_from(error).is_err() {
                self.connect();
                // It may hold one of the locks, and nobody else would release it.
                for lock in LOCKS {
                    self.say(&format!("LOCK.RELEASE {lock} {} HOLDS 0", self.owner));
                }
            }
        }
    }

    fn connect(&mut self) {
        self.client = self.server.client();
        self.tell_id();
    }

    fn tell_id(&mut self) {
        // It may be closed before it is known.
        let id = redis::cmd("CLIENT").arg("ID").clone();
        if let Ok(Value::Int(id)) = self.client.raw.req_command(&id) {
            self.ids[self.number].store(id, Relaxed);
        }
    }
}
