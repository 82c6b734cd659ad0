//! `SET NX PX`, and the ways to give the lock back. Nobody is told of a release, so whoever waits asks again: every 10 ms,
//! which is short for a lock. (Libraries that poll sleep 100 ms by default: fewer commands, and later hand-overs.)

use super::{load, owner, show};
use crate::protocol::Job;
use crate::wire::{Reply, Wire};
use crate::worker::Locker;
use std::thread::sleep;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(10);

/// Deletes a lock if it is the owner's, as the documentation of `SET` proposes.
pub const COMPARE_AND_DELETE: &str = "
    if redis.call('GET', KEYS[1]) == ARGV[1] then
        return redis.call('DEL', KEYS[1])
    end
    return 0";

/// The same for the lease.
const COMPARE_AND_EXPIRE: &str = "
    if redis.call('GET', KEYS[1]) == ARGV[1] then
        return redis.call('PEXPIRE', KEYS[1], ARGV[2])
    end
    return 0";

/// How it is given back, and renewed.
enum Way {
    /// Whoever holds it.
    Del,
    /// By scripts, which the server knows by these digests.
    Compare { delete: Vec<u8>, expire: Vec<u8> },
    /// Valkey 9.
    DelIfEq,
    /// Redis 8.4.
    DelEx,
}

struct Set {
    wire: Wire,
    owner: String,
    lease: String,
    way: Way,
}

pub fn connect(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    let mut wire = Wire::connect(&job.urls[0])?;
    let way = match job.system.as_str() {
        "set-compare" => Way::Compare {
            delete: load(&mut wire, COMPARE_AND_DELETE)?,
            expire: load(&mut wire, COMPARE_AND_EXPIRE)?,
        },
        "set-delifeq" => Way::DelIfEq,
        "set-delex" => Way::DelEx,
        _ => Way::Del,
    };
    Ok(Box::new(Set {
        wire,
        owner: owner(number),
        lease: job.lease_ms.to_string(),
        way,
    }))
}

impl Set {
    fn push_set(&mut self, lock: &str) {
        let (lock, owner, lease) = (
            lock.as_bytes(),
            self.owner.as_bytes(),
            self.lease.as_bytes(),
        );
        self.wire.push(&[b"SET", lock, owner, b"NX", b"PX", lease]);
    }

    fn push_release(&mut self, lock: &str) {
        let (lock, owner) = (lock.as_bytes(), self.owner.as_bytes());
        match &self.way {
            Way::Del => self.wire.push(&[b"DEL", lock]),
            Way::Compare { delete, .. } => {
                self.wire.push(&[b"EVALSHA", delete, b"1", lock, owner]);
            }
            Way::DelIfEq => self.wire.push(&[b"DELIFEQ", lock, owner]),
            Way::DelEx => self.wire.push(&[b"DELEX", lock, b"IFEQ", owner]),
        }
    }

    /// Whether it was free.
    fn taken(&mut self) -> Result<bool, String> {
        match self.wire.reply()? {
            Reply::Text(ok) if ok == b"OK" => Ok(true),
            Reply::Nil => Ok(false),
            other => Err(format!("SET: the reply is {}", show(&other))),
        }
    }

    fn done(&mut self, what: &str) -> Result<(), String> {
        match self.wire.reply()? {
            Reply::Int(1) => Ok(()),
            Reply::Text(ok) if ok == b"OK" => Ok(()),
            other => Err(format!("{what}: the reply is {}", show(&other))),
        }
    }
}

impl Locker for Set {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        loop {
            self.push_set(lock);
            self.wire.flush()?;
            if self.taken()? {
                return Ok(());
            }
            sleep(POLL);
        }
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        self.push_release(lock);
        self.wire.flush()?;
        self.done("release")
    }

    fn renew(&mut self, lock: &str) -> Option<Result<(), String>> {
        let (lock, owner, lease) = (
            lock.as_bytes(),
            self.owner.as_bytes(),
            self.lease.as_bytes(),
        );
        match &self.way {
            Way::Del => self.wire.push(&[b"PEXPIRE", lock, lease]),
            Way::Compare { expire, .. } => {
                let words = [b"EVALSHA", expire.as_slice(), b"1", lock, owner, lease];
                self.wire.push(&words);
            }
            Way::DelIfEq | Way::DelEx => {
                self.wire
                    .push(&[b"SET", lock, owner, b"IFEQ", owner, b"PX", lease]);
            }
        }
        Some(self.wire.flush().and_then(|()| self.done("renewal")))
    }

    fn batch(&mut self, locks: &[String]) -> Option<Result<(), String>> {
        for lock in locks {
            self.push_set(lock);
            self.push_release(lock);
        }
        Some(self.wire.flush().and_then(|()| {
            locks.iter().try_for_each(|_| {
                if !self.taken()? {
                    return Err("SET: it is not free".to_owned());
                }
                self.done("release")
            })
        }))
    }
}
