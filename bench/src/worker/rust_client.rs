//! The project's Rust client, in its blocking form. One `LockClient` for all clients of the process, as a program has it;
//! it keeps the connections.

use super::{Locker, System};
use crate::protocol::Job;
use redis_reentrant_lock_client::blocking::{Guard, Lock, LockClient};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

/// `lock-rust`, whose locks have a lease, and `lock-rust-session`, whose locks are bound to a session: what it makes by
/// default.
pub fn system(name: &str) -> Option<System> {
    matches!(name, "lock-rust" | "lock-rust-session").then_some(System {
        connect,
        version: || format!("redis-reentrant-lock-client {}", env!("CARGO_PKG_VERSION")),
        lacks: |_| None,
    })
}

struct Client {
    locks: LockClient,
    session: bool,
    lease: Duration,
    held: HashMap<String, Vec<Guard>>,
}

fn connect(job: &Job, _number: usize) -> Result<Box<dyn Locker>, String> {
    static SHARED: OnceLock<Result<LockClient, String>> = OnceLock::new();
    let url = job.urls[0].clone();
    let open = || LockClient::open(url).map_err(|error| error.to_string());
    Ok(Box::new(Client {
        locks: SHARED.get_or_init(open).clone()?,
        session: job.system == "lock-rust-session",
        lease: Duration::from_millis(job.lease_ms),
        held: HashMap::new(),
    }))
}

impl Locker for Client {
    fn acquire(&mut self, lock: &str) -> Result<(), String> {
        let lease = |lock: Lock| match self.session {
            true => lock.session_lease(self.lease),
            false => lock.lease(self.lease),
        };
        // Only a name that is new costs an allocation.
        if !self.held.contains_key(lock) {
            self.held.insert(lock.to_owned(), Vec::new());
        }
        let guards = self.held.entry(lock.to_owned()).or_default();
        let guard = match guards.last() {
            Some(guard) => guard.reenter(),
            None => lease(self.locks.lock(lock)).acquire(),
        };
        guards.push(guard.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn release(&mut self, lock: &str) -> Result<(), String> {
        let guard = self.held.get_mut(lock).and_then(Vec::pop);
        let guard = guard.ok_or("it is not held")?;
        guard.release().map_err(|error| error.to_string())
    }

    fn renew(&mut self, lock: &str) -> Option<Result<(), String>> {
        let Some(guard) = self.held.get(lock).and_then(|guards| guards.last()) else {
            return Some(Err("it is not held".to_owned()));
        };
        Some(guard.renew().map_err(|error| error.to_string()))
    }

    fn reentrant(&self) -> bool {
        true
    }
}
