//! The process that becomes the command.
//!
//! Some things a process can only set up for itself, before it becomes the command. Rust has no safe way to run code
//! between fork and exec; so lockctl starts itself, does that here, and calls exec.

use crate::args::Exec;
use crate::status::{CANNOT_RUN, NOT_FOUND};
use crate::text::shown;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes the command. Returns only if that fails: with its exit status.
pub fn become_command(args: Exec) -> u8 {
    if let Err(error) = prepare(&args) {
        say!("cannot start the command: {error}");
        return CANNOT_RUN;
    }
    let Some((program, rest)) = args.command.split_first() else {
        return NOT_FOUND;
    };
    let error = Command::new(program).args(rest).exec();
    let status = match error.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    };
    say!("cannot run {}: {error}", shown(program.as_bytes()));
    status
}

fn prepare(args: &Exec) -> Result<(), Error> {
    // It stays over exec. The lock is gone with lockctl: there is no time to end in.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have been killed before that.
    if getppid() != Pid::from_raw(args.parent) {
        return Err(Error::other("lockctl is gone"));
    }
    Ok(())
}
