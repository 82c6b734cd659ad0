//! The process that ends what the command has started, should lockctl be killed.
//!
//! The kernel then kills the command, but not the processes that the command has started. They are in its process
//! group, which this process kills when its standard input closes without a word.

use crate::args::Guard;
use crate::status::Failure;
use rustix::process::{Pid, Signal, kill_process_group, setsid};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Waits until lockctl has ended, or says that it needs no guard any more.
pub fn watch(args: Guard) -> Result<u8, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure(format!("cannot guard the command: {error}"));
    // What ends the processes of a service, or a terminal, must leave it: lockctl may be killed afterwards.
    let _ = setsid();
    for signal in super::signals::ENDING {
        let seen = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, seen).map_err(|error| failed(&error))?;
    }
    let mut word = [0];
    // It is retried after a signal.
    if std::io::stdin().read_exact(&mut word).is_ok() {
        return Ok(0);
    }
    if let Some(group) = Pid::from_raw(args.group) {
        // It may have ended.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(0)
}
