//! This module: plain, with `WAIT`, with `WAIT` and `SESSION`.

use super::{expect, owner, show};
use crate::protocol::{Job, Work};
use crate::wire::{Reply, Wire};
use crate::worker::Locker;

struct Lock {
    wire: Wire,
    owner: String,
    lease: String,
    options: &'static [&'static [u8]],
}

pub fn connect(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    // Plain, where nobody can be in the way.
    let own = matches!(
        job.work,
        Work::Pair | Work::Reenter | Work::Renew | Work::Paced
    );
    let options: &[&[u8]] = match job.system.as_str() {
        "lock-session" => &[b"WAIT", b"0", b"SESSION"],
        "lock" if own => &[],
        _ => &[b"WAIT", b"0"],
    };
    Ok(Box::new(Lock {
        wire: Wire::connect(&job.urls[0])?,
        owner: owner(number),
        lease: job.lease_ms.to_string(),
        options,
    }))
}

impl Lock {
    fn push_acquire(&mut self, lock: &str) {
        let mut words: [&[u8]; 7] = [b"LOCK.ACQUIRE"; 7];
        let fixed = [
            lock.as_bytes(),
            self.owner.as_bytes(),
            self.lease.as_bytes(),
        ];
        words[1..4].copy_from_slice(&fixed);
        let count = 4 + self.options.len();
        words[4..count].copy_from_slice(self.options);
        self.wire.push(&words[..count]);
    }

    fn push_release(&mut self, lock: &str) {
        let words = [b"LOCK.RELEASE", lock.as_bytes(), self.owner.as_bytes()];
        self.wire.push(&words);
    }

    fn granted(&mut self) -> Result<(), String> {
        match self.wire.reply()? {
            Reply::List(reply) if reply.first() == Some(&Reply::Int(1)) => Ok(()),
            other => Err(format!("LOCK.ACQUIRE: the reply is {}", show(&other))),
        }
    }

    /// How many holds are left is not looked at: reentry has some.
    fn released(&mut self) -> Result<(), String> {
        match self.wire.reply()? {
            Reply::Int(0..) => Ok(()),
            other => expect("LOCK.RELEASE", &other, &Reply::Int(0)),
        }
    }
}

impl Locker for Lock {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        self.push_acquire(lock);
        self.wire.flush()?;
        self.granted()
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        self.push_release(lock);
        self.wire.flush()?;
        self.released()
    }

    fn renew(&mut self, lock: &str) -> Option<Result<(), String>> {
        let words: [&[u8]; 4] = [
            b"LOCK.RENEW",
            lock.as_bytes(),
            self.owner.as_bytes(),
            self.lease.as_bytes(),
        ];
        Some(match self.wire.ask(&words) {
            Ok(Reply::List(reply)) if reply.first() == Some(&Reply::Int(1)) => Ok(()),
            Ok(other) => Err(format!("LOCK.RENEW: the reply is {}", show(&other))),
            Err(error) => Err(error),
        })
    }

    fn reentrant(&self) -> bool {
        true
    }

    fn batch(&mut self, locks: &[String]) -> Option<Result<(), String>> {
        for lock in locks {
            self.push_acquire(lock);
            self.push_release(lock);
        }
        Some(self.wire.flush().and_then(|()| {
            locks.iter().try_for_each(|_| {
                self.granted()?;
                self.released()
            })
        }))
    }
}
