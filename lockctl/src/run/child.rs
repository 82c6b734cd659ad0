//! The command, and the processes that it starts.

use super::signals::{ENDING, Got};
use crate::args::{Group, Run};
use crate::status::{Failure, of_signal};
use redis_reentrant_lock_client::Guard;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// This program, also if its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// How often it is looked whether a process group has ended: the kernel tells of no such event.
const LOOK: Duration = Duration::from_millis(20);

/// A command that runs.
pub struct Child {
    process: tokio::process::Child,
    pid: Pid,
    is_shared: bool,
    /// It kills the group when its standard input closes without a word.
    guard: Option<std::process::Child>,
}

impl Child {
    /// Starts it. This must be done on the main thread: the kernel takes the end of the *thread* that started a process
    /// for the end of its parent.
    pub fn start(args: &Run, guard: &Guard) -> Result<Child, Failure> {
        let is_shared = match args.process_group {
            Group::Own => false,
            Group::Shared => true,
            Group::Auto => has_terminal(),
        };
        let mut command = Command::new(SELF);
        command.args(["internal-exec", "--parent", &std::process::id().to_string()]);
        if !is_shared {
            command.process_group(0);
        }
        command.arg("--").args(&args.command);
        command.env("LOCK_NAME", OsStr::from_bytes(guard.name()));
        command.env("LOCK_OWNER", guard.owner());
        command.env("LOCK_TOKEN", guard.token().to_string());
        let failed = |error| Failure(format!("cannot start a process: {error}"));
        let process = command.spawn().map_err(failed)?;
        let pid = process
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let mut child = Child {
            process,
            pid,
            is_shared,
            guard: None,
        };
        if !is_shared {
            child.guard = Some(child.watched().map_err(failed)?);
        }
        Ok(child)
    }

    /// Starts the guard of its process group.
    fn watched(&self) -> std::io::Result<std::process::Child> {
        let mut command = std::process::Command::new(SELF);
        command.args(["internal-guard", "--group", &self.pid.to_string()]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn()
    }

    /// Waits until it ends, and returns the exit status.
    pub async fn ended(&mut self) -> Result<u8, Failure> {
        let status = self.process.wait().await;
        let status =
            status.map_err(|error| Failure(format!("cannot wait for the command: {error}")))?;
        Ok(shell_status(status))
    }

    /// Passes a signal on: as a terminal does, to its group those that end a program.
    pub fn pass_on(&self, got: Got) {
        let signal = got.signal;
        // The terminal has sent it to the whole group.
        if self.is_shared && got.by_kernel {
            return;
        }
        let Some(named) = Signal::from_named_raw(signal) else {
            return;
        };
        // It may have ended just now.
        let _ = match ENDING.contains(&signal) && !self.is_shared {
            true => kill_process_group(self.pid, named),
            false => kill_process(self.pid, named),
        };
    }

    /// Ends it, and in a group of its own all of that. False if it had to be killed.
    pub async fn end(&mut self, kill_after: Duration) -> Result<bool, Failure> {
        let deadline = Instant::now() + kill_after;
        self.signal_all(Signal::TERM);
        // One that is stopped would not see it.
        self.signal_all(Signal::CONT);
        if tokio::time::timeout_at(deadline, self.all_ended())
            .await
            .is_ok()
        {
            return Ok(true);
        }
        self.signal_all(Signal::KILL);
        self.ended().await?;
        Ok(false)
    }

    fn signal_all(&self, signal: Signal) {
        // Whoever has ended needs none.
        let _ = match self.is_shared {
            true => kill_process(self.pid, signal),
            false => kill_process_group(self.pid, signal),
        };
    }

    async fn all_ended(&mut self) {
        let _ = self.process.wait().await;
        while !self.is_shared && test_kill_process_group(self.pid).is_ok() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells the guard that nothing is to be ended any more. It ends by itself.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.guard.take().and_then(|mut guard| guard.stdin.take()) {
            // The guard may have been killed.
            let _ = pipe.write_all(b"d");
        }
    }
}

/// Whether there is a controlling terminal, whose keys send signals to its foreground group.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// As shells have it.
fn shell_status(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => of_signal(signal),
        (None, None) => u8::MAX,
    }
}
