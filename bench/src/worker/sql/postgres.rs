//! PostgreSQL's advisory locks. They belong to the connection, and end with it; there is no lease. Who waits, waits in the
//! server.

use crate::protocol::Job;
use crate::worker::Locker;
use postgres::{Client, Error, NoTls, Statement};
use std::error::Error as _;

/// `postgres-advisory`. The locks are numbers: of 64 bits, since of 32 (`hashtext`) some of a hundred thousand names share
/// one.
pub fn advisory(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    let connect = || -> Result<Advisory, Error> {
        let mut client = Client::connect(&job.urls[0], NoTls)?;
        Ok(Advisory {
            lock: client.prepare("SELECT pg_advisory_lock(hashtextextended($1, 0))")?,
            unlock: client.prepare("SELECT pg_advisory_unlock(hashtextextended($1, 0))")?,
            client,
        })
    };
    Ok(Box::new(connect().map_err(text)?))
}

struct Advisory {
    client: Client,
    lock: Statement,
    unlock: Statement,
}

impl Locker for Advisory {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        self.client.query_one(&self.lock, &[&lock]).map_err(text)?;
        Ok(())
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        let row = self.client.query_one(&self.unlock, &[&lock]);
        match row.map_err(text)?.get(0) {
            true => Ok(()),
            false => Err(format!("{lock} is not held")),
        }
    }

    fn reentrant(&self) -> bool {
        true
    }
}

/// With the server's message, which the error alone does not show.
fn text(error: Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
