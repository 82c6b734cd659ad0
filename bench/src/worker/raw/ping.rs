//! The floor: two commands that do nothing.

use super::{expect, show};
use crate::protocol::{Job, Work};
use crate::wire::{Reply, Wire};
use crate::worker::Locker;

struct Ping(Wire);

pub fn connect(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    Ok(Box::new(Ping(Wire::connect(&job.urls[0])?)))
}

pub fn lacks(job: &Job) -> Option<String> {
    let excludes = !matches!(
        job.work,
        Work::Pair | Work::Reenter | Work::Renew | Work::Paced
    );
    excludes.then(|| "it is no lock".to_owned())
}

impl Ping {
    fn ping(&mut self) -> Result<(), String> {
        let reply = self.0.ask(&[b"PING"])?;
        expect("PING", &reply, &Reply::Text(b"PONG".to_vec()))
    }
}

impl Locker for Ping {
    fn acquire(&mut self, _lock: &str) -> Result<(), String> {
        self.ping()
    }

    fn release(&mut self, _lock: &str) -> Result<(), String> {
        self.ping()
    }

    fn renew(&mut self, _lock: &str) -> Option<Result<(), String>> {
        Some(self.ping())
    }

    fn reentrant(&self) -> bool {
        true
    }

    fn batch(&mut self, locks: &[String]) -> Option<Result<(), String>> {
        let Ping(wire) = self;
        (0..2 * locks.len()).for_each(|_| wire.push(&[b"PING"]));
        let pong = Reply::Text(b"PONG".to_vec());
        Some(wire.flush().and_then(|()| {
            (0..2 * locks.len()).try_for_each(|_| match wire.reply()? {
                reply if reply == pong => Ok(()),
                other => Err(format!("PING: the reply is {}", show(&other))),
            })
        }))
    }
}
