//! lockctl beside real servers.
//!
//! `LOCK_TEST_SERVER` names the server program, `LOCK_TEST_MODULE` the module.

#![allow(clippy::unwrap_used, clippy::panic)]

mod documentation;
mod listing;
mod losses;
mod metrics;
mod run;
mod signals;
mod terminal;
mod tls;
mod top;
mod topology;

use lock_test_support::{Client, PATIENCE, Server, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// The program.
const LOCKCTL: &str = env!("CARGO_BIN_EXE_lockctl");

/// lockctl with arguments that have no spaces in them.
fn lockctl(url: &str, line: &str) -> Command {
    let mut command = Command::new(LOCKCTL);
    command.args(line.split_whitespace());
    command
        .env("LOCKCTL_URL", url)
        .env_remove("REDIS_URL")
        .env_remove("COLUMNS");
    command.stdin(Stdio::null());
    command
}

/// `lockctl run`, with a command for the shell. There is no terminal for it, whatever the test has.
fn run(server: &Server, line: &str, script: &str) -> Command {
    let mut command = lockctl(&server.url(), &format!("run {line}"));
    if !line.contains("--process-group") {
        command.arg("--process-group=own");
    }
    command.args(["--", "sh", "-c", script]);
    command
}

/// What it printed, and its exit status.
fn outcome(command: &mut Command) -> (String, String, i32) {
    let output = command.output().unwrap();
    outcome_of(&output)
}

fn outcome_of(output: &Output) -> (String, String, i32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let status = output.status.code().unwrap();
    (text(&output.stdout), text(&output.stderr), status)
}

/// lockctl that runs until the test is over. It ends with the test's thread, whatever becomes of the test.
struct Running {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    /// Once it is read by lines.
    lines: Option<Receiver<String>>,
}

impl Deref for Running {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.child
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it, with pipes.
    fn start(command: &Command) -> Running {
        // What ends the command of `run` with lockctl ends lockctl with the test. The tests may be run by `nohup`.
        let mut ends_with_test = Command::new("env");
        ends_with_test.args([
            "--default-signal=HUP,INT,QUIT,TERM,USR1,USR2,ALRM",
            LOCKCTL,
            "internal-exec",
            "--parent",
            &std::process::id().to_string(),
            "--",
        ]);
        ends_with_test
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => ends_with_test.env(name, value),
                None => ends_with_test.env_remove(name),
            };
        }
        ends_with_test
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = ends_with_test.spawn().unwrap();
        let output = child.stdout.take().map(BufReader::new);
        Running {
            child,
            output,
            lines: None,
        }
    }

    /// The next line that it prints, or nothing if it has closed its output.
    fn line(&mut self) -> String {
        if let Some(output) = self.output.take() {
            let (sender, lines) = channel();
            std::thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
            self.lines = Some(lines);
        }
        match self.lines.as_ref().unwrap().recv_timeout(PATIENCE) {
            Ok(line) => line.trim_end().to_owned(),
            Err(RecvTimeoutError::Disconnected) => String::new(),
            Err(RecvTimeoutError::Timeout) => panic!("it prints nothing"),
        }
    }

    /// Writes a line to its standard input.
    fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// Sends it a signal.
    fn signal(&self, signal: i32) {
        lock_test_support::send_signal(self.child.id(), signal);
    }

    /// Waits for its end, and returns the exit status and what it said on stderr.
    fn end(&mut self) -> (i32, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it did not end");
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        // What it left running may hold the pipe open.
        let mut stderr = self.child.stderr.take().unwrap();
        let (sender, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let text = said.recv_timeout(PATIENCE).unwrap();
        (status.code().unwrap_or_default(), text)
    }
}

/// Waits until so many calls wait.
fn until_waiting(client: &mut Client, count: u64) {
    eventually("they wait", || client.counter("waiters") == count);
}

/// Whether a lock is held.
fn is_held(client: &mut Client, name: &str) -> bool {
    client.run(&format!("LOCK.INFO {name}")) != "nil"
}

/// Whether a process has ended. One whose parent does not ask for its status has ended, too.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap().trim_start();
    state.is_empty() || state.starts_with(['Z', 'X'])
}

/// Waits until a process has ended.
fn until_gone(pid: u32) {
    eventually("the process ends", || is_gone(pid));
}

/// One clear line.
fn assert_one_line(text: &str, part: &str) {
    assert!(text.starts_with("lockctl: "), "{text}");
    assert!(text.contains(part), "{text:?} does not say {part:?}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
