//! A token in a list: whoever pops it has the lock, and pushes it back. No owner, no lease, no reentry: it is the limit of a
//! hand-off, not a lock to use.

use super::{crashes, expect, show};
use crate::protocol::Job;
use crate::wire::{Reply, Wire};
use crate::worker::Locker;

struct Blpop(Wire);

/// The first client puts the token of the common lock there, each one those of its own.
pub fn connect(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    let mut wire = Wire::connect(&job.urls[0])?;
    let mut locks = vec![job.own(number), job.warm_up(number)];
    locks.extend(job.batch(number));
    if number == 0 {
        locks.push(job.lock.clone());
    }
    for lock in locks {
        wire.ask(&[b"DEL", lock.as_bytes()])?;
        push(&mut wire, &lock)?;
    }
    Ok(Box::new(Blpop(wire)))
}

pub fn lacks(job: &Job) -> Option<String> {
    crashes(job).then(|| "the token is lost with its owner".to_owned())
}

fn push(wire: &mut Wire, lock: &str) -> Result<(), String> {
    let reply = wire.ask(&[b"LPUSH", lock.as_bytes(), b"token"])?;
    pushed(&reply)
}

fn pushed(reply: &Reply) -> Result<(), String> {
    match reply {
        // Where another client waits, its length is told as if the list had grown.
        Reply::Int(1) => Ok(()),
        other => Err(format!("LPUSH: the reply is {}", show(other))),
    }
}

fn popped(reply: &Reply, lock: &str) -> Result<(), String> {
    let right = [lock.as_bytes(), b"token"].map(|text| Reply::Text(text.to_vec()));
    expect("BLPOP", reply, &Reply::List(right.into()))
}

impl Locker for Blpop {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        let reply = self.0.ask(&[b"BLPOP", lock.as_bytes(), b"0"])?;
        popped(&reply, lock)
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        push(&mut self.0, lock)
    }

    fn batch(&mut self, locks: &[String]) -> Option<Result<(), String>> {
        let Blpop(wire) = self;
        for lock in locks {
            wire.push(&[b"BLPOP", lock.as_bytes(), b"0"]);
            wire.push(&[b"LPUSH", lock.as_bytes(), b"token"]);
        }
        Some(wire.flush().and_then(|()| {
            locks.iter().try_for_each(|lock| {
                popped(&wire.reply()?, lock)?;
                pushed(&wire.reply()?)
            })
        }))
    }
}
