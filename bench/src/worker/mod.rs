//! A worker: the clients of one system, which do what the harness says. `lock-bench worker` is the one for all systems that
//! have a client in Rust.

mod raw;
mod rust_client;
mod serve;
mod sql;
mod times;
mod works;

pub use raw::{COMPARE_AND_DELETE, GIVE_BACK, TAKE};
pub use serve::serve;

use crate::protocol::Job;

/// One client of a system, with its connection. Used by one thread.
pub trait Locker: Send {
    /// Waits as long as it takes.
    ///
    /// # Errors
    /// What went wrong.
    fn acquire(&mut self, lock: &str) -> Result<(), String>;

    /// Gives back one hold.
    ///
    /// # Errors
    /// What went wrong.
    fn release(&mut self, lock: &str) -> Result<(), String>;

    /// Extends the lease. None: the system has no renewal.
    fn renew(&mut self, _lock: &str) -> Option<Result<(), String>> {
        None
    }

    /// Whether the same owner may acquire again what it holds.
    fn reentrant(&self) -> bool {
        false
    }

    /// Acquires and releases each of these, sent in one go. None: the system cannot.
    fn batch(&mut self, _locks: &[String]) -> Option<Result<(), String>> {
        None
    }
}

/// A client of the system with this number.
type Connect = fn(&Job, usize) -> Result<Box<dyn Locker>, String>;

/// How the clients of a system connect, and what they are.
struct System {
    connect: Connect,
    /// The client library's name and version.
    version: fn() -> String,
    /// Why it cannot do this job.
    lacks: fn(&Job) -> Option<String>,
}

/// The system of this name. A module for more of them is one more line here.
fn system(name: &str) -> Option<System> {
    let modules = [raw::system, rust_client::system, sql::system];
    modules.iter().find_map(|module| module(name))
}

/// One client of the system that a job names.
///
/// # Errors
/// Why it cannot be had.
#[cfg(test)]
pub fn connect(job: &Job, number: usize) -> Result<Box<dyn Locker>, String> {
    let system = system(&job.system).ok_or("there is no such system")?;
    (system.connect)(job, number)
}
