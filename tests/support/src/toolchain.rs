//! Programs in other languages: their tools, which this machine may lack, and what they print.

use crate::skip;
use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a package manager, a compiler or a program may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What this machine lacks to run a program.
pub struct Missing(pub String);

impl Missing {
    /// Fails a test that needs the program, with `LOCK_TEST_EXAMPLES=require`.
    pub fn fail_if_required(&self, program: &str) {
        let Missing(what) = self;
        let required = env::var_os("LOCK_TEST_EXAMPLES").is_some_and(|v| v == "require");
        assert!(!required, "{program} cannot be tested: {what}");
    }

    /// Skips a test that needs the program, or fails it with `LOCK_TEST_EXAMPLES=require`.
    pub fn skip(&self, program: &str) {
        self.fail_if_required(program);
        let Missing(what) = self;
        skip(what.trim().lines().last().unwrap_or(what));
    }
}

/// A tool that must be there.
pub fn need(folder: &Path, line: &str) -> Result<(), Missing> {
    let tool = line.split_whitespace().next().unwrap();
    execute(&mut command(folder, line))
        .map(drop)
        .map_err(|log| Missing(format!("{tool} is missing: {log}")))
}

/// Brings libraries; where that fails, this machine lacks them.
pub fn fetch(folder: &Path, line: &str) -> Result<(), Missing> {
    execute(&mut command(folder, line))
        .map(drop)
        .map_err(|log| Missing(format!("{line}: {log}")))
}

/// Brings libraries unless they are those that this file lists already.
pub fn fetch_once(folder: &Path, list: &str, line: &str) -> Result<(), Missing> {
    let (wanted, fetched) = (folder.join(list), folder.join("fetched"));
    let wanted = fs::read(wanted).unwrap();
    if fs::read(&fetched).is_ok_and(|fetched| fetched == wanted) {
        return Ok(());
    }
    fetch(folder, line)?;
    fs::write(fetched, wanted).unwrap();
    Ok(())
}

/// Builds, which must succeed.
pub fn build(folder: &Path, line: &str) {
    execute(&mut command(folder, line)).unwrap_or_else(|log| panic!("{line}: {log}"));
}

/// A command in a folder, of words without spaces in them.
pub fn command(folder: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command
}

/// Ends a program with the test that starts it, should the test be killed.
pub fn end_with_test(program: &mut Command) {
    let end_with_test = || {
        // SAFETY: a system call that touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        Ok(())
    };
    // SAFETY: the closure only makes a system call, which may be made between fork and exec.
    unsafe { program.pre_exec(end_with_test) };
}

/// Runs a command to its end, and returns what it printed, or what it said of its failure.
pub fn execute(command: &mut Command) -> Result<String, String> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let printed = read(child.stdout.take().unwrap());
    let complained = read(child.stderr.take().unwrap());
    let (Ok(printed), Ok(complained)) = (
        printed.recv_timeout(PATIENCE),
        complained.recv_timeout(PATIENCE),
    ) else {
        child.kill().unwrap();
        child.wait().unwrap();
        return Err(format!("it took longer than {PATIENCE:?}"));
    };
    if child.wait().unwrap().success() {
        Ok(printed)
    } else {
        Err(format!("{printed}\n{complained}"))
    }
}

/// Reads a pipe to its end, on a thread of its own so that two can be read.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        // Debian's Maven resets the colours of a terminal that is none.
        let text = String::from_utf8_lossy(&bytes).replace("\x1b[0m", "");
        let _ = sender.send(text.trim().to_owned());
    });
    receiver
}

/// Copies a folder, but for what a reader's own runs have left in it. A file that has not changed
/// is not written again, so that nothing is built twice.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap();
    for from in entries.map(|entry| entry.unwrap().path()) {
        let name = from.file_name().unwrap();
        let to: PathBuf = to.join(name);
        if ["node_modules", "target", "__pycache__"].contains(&name.to_str().unwrap()) {
            continue;
        }
        if from.is_dir() {
            copy(&from, &to);
            continue;
        }
        let bytes = fs::read(from).unwrap();
        if !fs::read(&to).is_ok_and(|there| there == bytes) {
            fs::write(to, bytes).unwrap();
        }
    }
}
