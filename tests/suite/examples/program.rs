//! An example that runs: what it prints, line by line, and how it ends.

use crate::support::toolchain::end_with_test;
use crate::support::{send_signal, PATIENCE};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

/// A program that was started, and ends with the test.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    /// Starts a program with the server of this address. It waits for the lock for `wait` ms, and works for `work` ms.
    pub fn start(mut program: Command, url: &str, wait: &str, work: &str) -> Running {
        end_with_test(&mut program);
        program
            .env("REDIS_URL", url)
            .env("WAIT_MS", wait)
            .env("WORK_MS", work)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let printed = BufReader::new(child.stdout.take().unwrap());
        let complained = BufReader::new(child.stderr.take().unwrap());
        let errors = sender.clone();
        thread::spawn(move || {
            for line in printed.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        thread::spawn(move || {
            for line in complained.lines().map_while(Result::ok) {
                let _ = errors.send(format!("stderr: {line}"));
            }
        });
        Running { child, lines }
    }

    /// The next line that it prints.
    pub fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|_| panic!("the program printed nothing more"))
    }

    /// The token with which it says that it has the lock.
    pub fn token(&self) -> i64 {
        let line = self.line();
        let token = line.strip_prefix("acquired token=").map(str::parse);
        let Some(Ok(token)) = token else {
            panic!("instead of its token it printed: {line}");
        };
        token
    }

    /// Waits for its end, before which it prints nothing more.
    pub fn end(mut self) -> ExitStatus {
        if let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            panic!("instead of ending it printed: {line}");
        }
        self.child.wait().unwrap()
    }

    /// Kills it, so that it can do nothing more itself.
    pub fn kill(&self) {
        send_signal(self.child.id(), libc::SIGKILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
