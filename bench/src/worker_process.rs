//! A worker from the harness' side: a process, its job, its rounds.

use crate::protocol::{Answer, Go, Job, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long connecting all clients may take.
const READY: Duration = Duration::from_secs(120);

/// How much longer than it was to work a worker may take until all clients are done.
const DONE: Duration = Duration::from_secs(90);

/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(2);

/// Why a worker gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The system cannot do this.
    Unsupported(String),
    /// It failed.
    Failed(String),
}

/// A worker that runs.
pub struct WorkerProcess {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: PathBuf,
}

impl WorkerProcess {
    /// Starts it; what it says besides goes to this file.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(command: &mut Command, log: &Path) -> Result<WorkerProcess, Refusal> {
        let failed = |error: std::io::Error| Refusal::Failed(error.to_string());
        let stderr = File::create(log).map_err(failed)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(failed)?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut read = BufReader::new(output).lines().map_while(Result::ok);
                // Until it ends, or nobody listens any more.
                read.all(|line| sender.send(line).is_ok());
            });
        }
        Ok(WorkerProcess {
            input: child.stdin.take(),
            child,
            lines,
            log: log.to_owned(),
        })
    }

    /// Gives it its job; returns the client's name and version once all clients are ready.
    ///
    /// # Errors
    /// Why it does not do it.
    pub fn job(&mut self, job: &Job) -> Result<String, Refusal> {
        self.send(job)?;
        match self.answer(READY)? {
            Answer::Ready { version, .. } => Ok(version),
            Answer::Unsupported { unsupported } => Err(Refusal::Unsupported(unsupported)),
            Answer::Failed { error } => Err(Refusal::Failed(error)),
            Answer::Outcome(_) => Err(Refusal::Failed("a result without a go".to_owned())),
        }
    }

    /// Lets it work for so many seconds, and waits for the result.
    ///
    /// # Errors
    /// Why there is none.
    pub fn go(&mut self, seconds: f64) -> Result<Outcome, Refusal> {
        self.begin(seconds)?;
        self.finish(seconds)
    }

    /// Lets it work for so many seconds.
    ///
    /// # Errors
    /// It is gone.
    pub fn begin(&mut self, seconds: f64) -> Result<(), Refusal> {
        self.send(&Go { go: seconds })
    }

    /// Waits for the result of [`WorkerProcess::begin`].
    ///
    /// # Errors
    /// Why there is none.
    pub fn finish(&mut self, seconds: f64) -> Result<Outcome, Refusal> {
        match self.answer(DONE + Duration::from_secs_f64(seconds))? {
            Answer::Outcome(outcome) => Ok(outcome),
            Answer::Failed { error } => Err(Refusal::Failed(error)),
            other => Err(Refusal::Failed(format!("not a result: {other:?}"))),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it stand still (SIGSTOP), or go on (SIGCONT): those who wait are not to poll while others are measured.
    pub fn set_still(&self, still: bool) {
        let signal = match still {
            true => Signal::STOP,
            false => Signal::CONT,
        };
        let process = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        // It fails if the process is gone, which its next answer tells.
        let _ = process.map(|process| kill_process(process, signal));
    }

    /// Ends it at once, by SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn send(&mut self, message: &impl serde::Serialize) -> Result<(), Refusal> {
        let mut line =
            serde_json::to_string(message).map_err(|e| Refusal::Failed(e.to_string()))?;
        line.push('\n');
        let sent = self
            .input
            .as_mut()
            .map(|input| input.write_all(line.as_bytes()));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.gone()),
        }
    }

    fn answer(&mut self, patience: Duration) -> Result<Answer, Refusal> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|_| Refusal::Failed(format!("the worker answered {line:?}"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(Refusal::Failed(format!("no answer within {patience:?}")))
            }
        }
    }

    /// What is known of a worker that ended.
    fn gone(&mut self) -> Refusal {
        self.input = None;
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let last = self.last_words();
        let colon = if last.is_empty() { "" } else { ": " };
        Refusal::Failed(format!("the worker ended with {status}{colon}{last}"))
    }

    /// The last line that it has written besides.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or_default().trim().to_owned()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        self.set_still(false);
        let end = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Work;

    /// The folder holds what it says besides.
    fn worker(script: &str) -> (WorkerProcess, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let log = folder.path().join("log");
        let worker = WorkerProcess::start(command.args(["-c", script]), &log).unwrap();
        (worker, folder)
    }

    fn job() -> Job {
        Job {
            system: "lock".to_owned(),
            urls: vec![],
            work: Work::Pair,
            lock: "bench".to_owned(),
            clients: 1,
            hold_us: 0,
            lease_ms: 30_000,
            depth: 10,
            pipeline: 1,
            pace: 0,
        }
    }

    fn failure<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        match result.unwrap_err() {
            Refusal::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_worker_that_is_killed_has_failed_with_what_it_said_last() {
        let script = "read job; echo '{\"ready\":true,\"version\":\"x 1\"}'; read go; echo bad >&2; kill -9 $$";
        let (mut worker, _log) = worker(script);
        assert_eq!(worker.job(&job()), Ok("x 1".to_owned()));
        let text = failure(worker.go(0.1));
        assert!(
            text.contains("signal: 9") && text.ends_with(": bad"),
            "{text}"
        );
    }

    #[test]
    fn wrong_json_is_shown() {
        let (mut worker, _log) = worker("read job; echo '{\"redy\":1}'; read go");
        let text = failure(worker.job(&job()));
        assert_eq!(text, r#"the worker answered "{\"redy\":1}""#);
    }

    #[test]
    fn what_a_system_cannot_do_is_no_failure() {
        let (mut worker, _log) = worker("read job; echo '{\"unsupported\":\"it has no renewal\"}'");
        let expected = Refusal::Unsupported("it has no renewal".to_owned());
        assert_eq!(worker.job(&job()), Err(expected));
    }

    #[test]
    fn a_result_may_leave_out_what_its_work_does_not_have() {
        let script = "read job; echo '{\"ready\":true,\"version\":\"x\"}'; read go; \
            echo '{\"operations\":2,\"seconds\":0.5,\"latency\":[[3,2]]}'; read end";
        let (mut worker, _log) = worker(script);
        worker.job(&job()).unwrap();
        let outcome = worker.go(0.1).unwrap();
        assert_eq!((outcome.operations, outcome.latency), (2, vec![(3, 2)]));
    }

    #[test]
    fn a_worker_that_ends_before_its_job_has_failed() {
        let (mut worker, _log) = worker("echo 'no such module' >&2; exit 3");
        let text = failure(worker.job(&job()));
        assert!(text.contains("exit status: 3: no such module"), "{text}");
    }
}
