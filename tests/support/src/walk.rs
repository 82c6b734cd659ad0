//! Random commands on a few locks of a few databases, whose leases lapse meanwhile.

use crate::{show, Client, Stored};
use fastrand::Rng;
use redis::Value;
use std::collections::BTreeMap;

/// A source of random commands. The same seed gives the same commands.
pub struct Walk(Rng);

/// Databases, keys and owners: few, so that the commands meet.
const DATABASES: u64 = 3;
const KEYS: u64 = 5;
const OWNERS: u64 = 3;

impl Walk {
    /// Starts a walk.
    pub fn new(seed: u64) -> Walk {
        Walk(Rng::with_seed(seed))
    }

    /// Runs at least so many commands. An error reply is as good as any other, except one that
    /// tells of a mistake in here or in the server.
    pub fn run(&mut self, client: &mut Client, commands: u32) {
        let mut done = 0;
        while done < commands {
            let (lines, kind) = (1 + self.below(5), self.below(10));
            let lines = if kind < 7 { 1 } else { lines };
            let mut lines: Vec<String> = (0..lines).map(|_| self.command()).collect();
            done += lines.len() as u32;
            match kind {
                7 | 8 => {
                    lines.insert(0, "MULTI".to_owned());
                    lines.push("EXEC".to_owned());
                }
                9 => {
                    let script: String = lines.iter().map(|line| call(line)).collect();
                    check(&script, &client.send(&[b"EVAL", script.as_bytes(), b"0"]));
                    continue;
                }
                _ => (),
            }
            for line in lines {
                check(&line, &client.ask(&line));
            }
            if self.below(20) == 0 {
                client.run(&format!("SELECT {}", self.below(DATABASES)));
            }
        }
    }

    fn command(&mut self) -> String {
        let (key, other) = (self.below(KEYS), self.below(KEYS));
        let (owner, ttl, n) = (self.below(OWNERS), self.ttl(), self.below(4));
        let holds = match self.below(3) {
            0 => format!("HOLDS {n}"),
            _ => String::new(),
        };
        match self.below(26) {
            0..=8 => format!("LOCK.ACQUIRE k{key} o{owner} {ttl} {holds}"),
            9..=13 => format!("LOCK.RELEASE k{key} o{owner} {holds}"),
            14..=16 => format!("LOCK.RENEW k{key} o{owner} {ttl}"),
            17 => format!("LOCK.FORCERELEASE k{key}"),
            18 => format!("LOCK.ASSERT k{key} o{owner}"),
            19 => format!("LOCK.INFO k{key}"),
            20 | 21 => format!("DEL k{key}"),
            22 => format!("RENAME k{key} k{other}"),
            23 | 24 => format!("PEXPIRE k{key} {ttl}"),
            _ => format!("HINCRBY k{key} o{owner} 1"),
        }
    }

    /// Most leases are short, and some outlast the test.
    fn ttl(&mut self) -> u64 {
        match self.below(3) {
            0 => 3_600_000,
            _ => 1 + self.below(15),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }
}

/// A line as a call in a script that goes on after an error.
fn call(line: &str) -> String {
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| format!("'{word}'"))
        .collect();
    format!("redis.pcall({}) ", words.join(","))
}

fn check(line: &str, reply: &Value) {
    let replies = match reply {
        Value::Array(replies) => replies.as_slice(),
        _ => std::slice::from_ref(reply),
    };
    for reply in replies {
        if let Value::ServerError(error) = reply {
            let known = ["NOTOWNER", "HOLDCOUNT", "WRONGTYPE"].contains(&error.code())
                || show(reply).contains("no such key")
                || show(reply).contains("HOLDS must be");
            assert!(known, "{line} replied {}", show(reply));
        }
    }
}

/// All that a server stores and that lasts beyond the test, by database and key.
pub fn lasting(client: &mut Client) -> BTreeMap<String, Stored> {
    let mut found = BTreeMap::new();
    for database in 0..DATABASES {
        client.run(&format!("SELECT {database}"));
        let keys: Vec<String> = redis::from_redis_value(client.ask("KEYS *")).unwrap();
        for key in keys {
            let stored = client.stored(&key);
            let lasts = stored
                .deadline
                .is_none_or(|at| at > client.clock() + 600_000);
            if lasts && !stored.fields.is_empty() {
                found.insert(format!("{database}/{key}"), stored);
            }
        }
    }
    client.run("SELECT 0");
    found
}
