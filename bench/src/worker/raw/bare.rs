//! The token of a module that does nothing but pass it on: what blocking and unblocking clients costs by itself. There is one
//! token, whatever the lock's name. No owner, no lease, no reentry: the limit of what a module can do, not a lock to use.

use super::expect;
use crate::protocol::{Job, Work};
use crate::wire::{Reply, Wire};
use crate::worker::Locker;

struct Bare(Wire);

pub fn connect(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    Ok(Box::new(Bare(Wire::connect(&job.urls[0])?)))
}

pub fn lacks(job: &Job) -> Option<String> {
    // With many tokens it would be another program.
    let contends = matches!(job.work, Work::Contend | Work::Still);
    (!contends).then(|| "it has one token".to_owned())
}

impl Bare {
    fn ask(&mut self, command: &str, lock: &str) -> Result<(), String> {
        let reply = self.0.ask(&[command.as_bytes(), lock.as_bytes()])?;
        expect(command, &reply, &Reply::Int(1))
    }
}

impl Locker for Bare {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        self.ask("BARE.TAKE", lock)
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        self.ask("BARE.GIVE", lock)
    }
}
