//! What Redisson's `RLock` does, in its published semantics: a hash of owner and holds, a script to take it and one to give
//! it back, and a subscription for each client that waits. Redisson itself shares its subscriptions among the threads of
//! a process; here every client is a process of its own.

use super::{expect, load, owner, show};
use crate::protocol::Job;
use crate::wire::{Reply, Wire};
use crate::worker::Locker;
use std::time::Duration;

/// KEYS the lock, ARGV the lease and the owner. Nil: it is taken; else the time that its lease still lasts.
pub const TAKE: &str = "
    if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
        redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
        return nil
    end
    return redis.call('PTTL', KEYS[1])";

/// KEYS the lock, its channel and the request's latch, by which a repeat is known; ARGV the message, the lease, the owner
/// and how long the latch lasts.
pub const GIVE_BACK: &str = "
    local latch = redis.call('GET', KEYS[3])
    if latch ~= false then
        return tonumber(latch)
    end
    if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 then
        return nil
    end
    local holds = redis.call('HINCRBY', KEYS[1], ARGV[3], -1)
    if holds > 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        redis.call('SET', KEYS[3], 0, 'PX', ARGV[4])
        return 0
    end
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[2], ARGV[1])
    redis.call('SET', KEYS[3], 1, 'PX', ARGV[4])
    return 1";

/// KEYS the lock, ARGV the lease and the owner.
const RENEW: &str = "
    if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
        return 1
    end
    return 0";

/// How long a latch lasts: for as long as Redisson would repeat a request.
const LATCH_MS: &[u8] = b"20000";

struct Redisson {
    wire: Wire,
    /// Where messages come.
    subscriber: Wire,
    owner: String,
    lease: String,
    take: Vec<u8>,
    give_back: Vec<u8>,
    renew: Vec<u8>,
    /// Replies that nobody has waited for: of the latches that were deleted.
    unread: usize,
}

pub fn connect(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    let mut wire = Wire::connect(&job.urls[0])?;
    Ok(Box::new(Redisson {
        take: load(&mut wire, TAKE)?,
        give_back: load(&mut wire, GIVE_BACK)?,
        renew: load(&mut wire, RENEW)?,
        wire,
        subscriber: Wire::connect(&job.urls[0])?,
        owner: owner(number),
        lease: job.lease_ms.to_string(),
        unread: 0,
    }))
}

impl Redisson {
    fn push_take(&mut self, lock: &str) {
        let (lease, owner) = (self.lease.as_bytes(), self.owner.as_bytes());
        let words = [
            b"EVALSHA",
            &self.take[..],
            b"1",
            lock.as_bytes(),
            lease,
            owner,
        ];
        self.wire.push(&words);
    }

    /// Also what deletes the latch of the request before it: a client sends that without waiting for the reply.
    fn push_give_back(&mut self, lock: &str) -> String {
        // Random and as long as the id that Redisson gives to a request.
        let latch = format!(
            "redisson_unlock_latch:{{{lock}}}:{:032x}",
            fastrand::u128(..)
        );
        let channel = channel(lock);
        let words = [
            b"EVALSHA",
            &self.give_back[..],
            b"3",
            lock.as_bytes(),
            channel.as_bytes(),
            latch.as_bytes(),
            b"0",
            self.lease.as_bytes(),
            self.owner.as_bytes(),
            LATCH_MS,
        ];
        self.wire.push(&words);
        latch
    }

    fn reply(&mut self) -> Result<Reply, String> {
        while self.unread > 0 {
            self.unread -= 1;
            expect("DEL", &self.wire.reply()?, &Reply::Int(1))?;
        }
        self.wire.reply()
    }

    /// None: it is taken; else how long its lease still lasts.
    fn taken(&mut self) -> Result<Option<Duration>, String> {
        match self.reply()? {
            Reply::Nil => Ok(None),
            Reply::Int(ms) => Ok(Some(Duration::from_millis(ms.max(1) as u64))),
            other => Err(format!("lock script: the reply is {}", show(&other))),
        }
    }

    fn given_back(&mut self) -> Result<(), String> {
        match self.reply()? {
            Reply::Int(0 | 1) => Ok(()),
            other => Err(format!("unlock script: the reply is {}", show(&other))),
        }
    }

    fn take(&mut self, lock: &str) -> Result<Option<Duration>, String> {
        self.push_take(lock);
        self.wire.flush()?;
        self.taken()
    }

    fn delete(&mut self, latch: &str) -> Result<(), String> {
        self.wire.push(&[b"DEL", latch.as_bytes()]);
        self.unread += 1;
        self.wire.flush()
    }
}

fn channel(lock: &str) -> String {
    format!("redisson_lock__channel:{{{lock}}}")
}

impl Locker for Redisson {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        if self.take(lock)?.is_none() {
            return Ok(());
        }
        let channel = channel(lock);
        self.subscriber.ask(&[b"SUBSCRIBE", channel.as_bytes()])?;
        // A release may have come before the subscription.
        while let Some(left) = self.take(lock)? {
            self.subscriber.reply_within(left)?;
        }
        self.subscriber.push(&[b"UNSUBSCRIBE", channel.as_bytes()]);
        self.subscriber.flush()?;
        // Messages may come before the confirmation.
        loop {
            if let Reply::List(reply) = self.subscriber.reply()?
                && reply.first() == Some(&Reply::Text(b"unsubscribe".to_vec()))
            {
                return Ok(());
            }
        }
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        let latch = self.push_give_back(lock);
        self.wire.flush()?;
        self.given_back()?;
        self.delete(&latch)
    }

    fn renew(&mut self, lock: &str) -> Option<Result<(), String>> {
        let (lease, owner) = (self.lease.as_bytes(), self.owner.as_bytes());
        let words = [
            b"EVALSHA",
            &self.renew[..],
            b"1",
            lock.as_bytes(),
            lease,
            owner,
        ];
        self.wire.push(&words);
        let renewed = self.wire.flush().and_then(|()| self.reply());
        Some(renewed.and_then(|reply| expect("renewal", &reply, &Reply::Int(1))))
    }

    fn reentrant(&self) -> bool {
        true
    }

    fn batch(&mut self, locks: &[String]) -> Option<Result<(), String>> {
        for lock in locks {
            self.push_take(lock);
            let latch = self.push_give_back(lock);
            self.wire.push(&[b"DEL", latch.as_bytes()]);
        }
        Some(self.wire.flush().and_then(|()| {
            locks.iter().try_for_each(|_| {
                if self.taken()?.is_some() {
                    return Err("lock script: it is not free".to_owned());
                }
                self.given_back()?;
                self.unread = 1;
                Ok(())
            })
        }))
    }
}
