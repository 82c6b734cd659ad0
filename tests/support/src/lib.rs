//! Real servers for tests: each on a free port, in a folder of its own, ended with the test.
//!
//! `LOCK_TEST_SERVER` names the binary; without it the `redis-server` on the PATH is used.
#![allow(clippy::missing_panics_doc)]

mod client;
mod cluster;
mod fake_clock;
mod journal;
mod latency;
mod listener;
mod network;
mod port;
mod proxy;
mod sentinel;
mod setup;
mod stored;
pub mod tls;
pub mod toolchain;
mod waiter;
mod walk;
mod worker;

pub use client::{show, Client};
pub use cluster::{
    cluster, cluster_replica, has_slot, owner_of_slot, shard_replica, three_masters,
};
pub use fake_clock::FakeClock;
pub use journal::Journal;
pub use latency::{mostly_within, Clocks};
pub use listener::Listener;
pub use network::{Cut, Network};
pub use port::free_port;
pub use proxy::{HeldBack, Proxy};
pub use sentinel::Sentinels;
pub use setup::Setup;
pub use stored::Stored;
pub use waiter::{allow_many_files, Waiter};
pub use walk::{lasting, Walk};
pub use worker::{nothing_sold, until_all_have_worked, Worker};

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Sends a signal to a process that this test started.
pub fn send_signal(pid: u32, signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

/// How long anything may take before a test fails, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    process: Child,
    port: u16,
    dir: Arc<TempDir>,
    setup: Setup,
}

impl Server {
    /// A server with the module and nothing special.
    pub fn start() -> Server {
        Setup::new().start()
    }

    /// A connection that speaks RESP2.
    pub fn client(&self) -> Client {
        let gone = std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err();
        assert!(!gone, "the server is gone:\n{}", self.log());
        Client::new(&self.url())
    }

    /// A connection that speaks RESP3.
    pub fn client3(&self) -> Client {
        Client::new(&format!("{}?protocol=resp3", self.url()))
    }

    /// The address, as client libraries take it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        send_signal(self.pid(), signal);
    }

    /// The time of the processor that it has taken.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|f| f.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        text(&self.dir().join("log"))
    }

    /// What it has written to its standard error: the reports of AddressSanitizer and valgrind.
    pub fn stderr(&self) -> String {
        text(&self.dir().join("stderr"))
    }

    /// Fails where the server has ended, or has told of something bad.
    pub fn assert_sound(&self) {
        let gone = std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err();
        assert!(!gone, "the server is gone, {}", self.last_words());
        if let Some(complaint) = self.complaint() {
            panic!("{complaint}");
        }
    }

    /// What its log or a memory checker tells of a crash, of a failed assertion, or of a mistake in
    /// the module.
    fn complaint(&self) -> Option<String> {
        complaint(self.dir())
    }

    /// The end of its log, with what a report of a crash has but INFO, and its standard error.
    pub fn last_words(&self) -> String {
        self.complaint()
            .unwrap_or_else(|| excerpt(&self.log(), &self.stderr(), "BUG REPORT"))
    }

    /// Ends it as an operator would, saving what it is configured to save.
    pub fn shut_down(&mut self) {
        self.client().forget("SHUTDOWN");
        self.process.wait().unwrap();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Starts it again on what it has stored.
    pub fn restart(&mut self) {
        let setup = self.setup.clone().data_of(self);
        self.shut_down();
        *self = setup.start();
    }

    /// Starts it again on what it has stored, on the same port, after it was killed.
    pub fn restart_in_place(&mut self) {
        *self = self.setup.clone().restart(self);
    }

    /// Starts a replica of it, with these changes to a setup, and waits until it has caught up.
    pub fn replica(&self, setup: Setup) -> Server {
        let replica = setup.replica_of(self).start();
        self.wait_for_replica(&replica);
        replica
    }

    /// Waits until the replica holds all that this server has written.
    pub fn wait_for_replica(&self, replica: &Server) {
        let (mut here, mut there) = (self.client(), replica.client());
        eventually("the replica is linked", || {
            there.info("replication", "master_link_status") == Some("up".to_owned())
        });
        eventually("the replica has caught up", || {
            here.info("replication", "master_repl_offset")
                == there.info("replication", "slave_repl_offset")
        });
    }
}

/// Whether the server was built with AddressSanitizer, whose variable is set then: it is slow, and keeps what is freed.
pub fn is_sanitized() -> bool {
    std::env::var_os("ASAN_OPTIONS").is_some()
}

/// Whether a server that ends by itself looks for memory that it has lost, and tells of it.
fn looks_for_leaks() -> bool {
    let options = std::env::var("ASAN_OPTIONS").unwrap_or_default();
    options.split(':').any(|option| option == "detect_leaks=1")
}

impl Server {
    /// Lets it end by itself, for as long as that may take.
    fn end_by_itself(&mut self) {
        for signal in [libc::SIGCONT, libc::SIGTERM] {
            self.signal(signal);
        }
        let start = Instant::now();
        while self.is_running() && start.elapsed() < PATIENCE / 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = matches!(self.process.try_wait(), Ok(Some(_)));
        if !ended && looks_for_leaks() && !self.setup.may_crash && !std::thread::panicking() {
            self.end_by_itself();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            if ended {
                eprintln!("the server has ended, {}", self.last_words());
            }
        } else if !self.setup.may_crash {
            if let Some(complaint) = self.complaint() {
                panic!("{complaint}");
            }
        }
    }
}

/// What a server in this folder has told of a crash, of a failed assertion, or of a mistake in the
/// module.
fn complaint(dir: &Path) -> Option<String> {
    const BAD: [&str; 7] = [
        "BUG REPORT",
        "ASSERTION",
        "internal error",
        "crashed by signal",
        "panicked",
        // Its reports. That it could not look for leaks is none: its search may fail while threads of the server end.
        "Sanitizer:",
        "Invalid read",
    ];
    let (log, stderr) = (text(&dir.join("log")), text(&dir.join("stderr")));
    let tells = |bad: &&str| log.contains(bad) || stderr.contains(bad);
    let bad = BAD.into_iter().find(tells)?;
    let excerpt = excerpt(&log, &stderr, bad);
    Some(format!("the server told of: {bad}; {excerpt}"))
}

/// A log from some lines before a word on, or its end where it has no such word, and the standard
/// error.
fn excerpt(log: &str, stderr: &str, word: &str) -> String {
    let at = log.find(word).unwrap_or(log.len());
    let from = log[..at].rmatch_indices('\n').nth(30);
    let from = from.map_or(0, |(at, _)| at);
    let told = without_info(&log[from..]);
    format!("its log:{told}\nits standard error:\n{stderr}")
}

/// A report of a crash without the hundreds of lines of INFO, which would hide where it was.
fn without_info(log: &str) -> String {
    let parts = log.split("\n------ ");
    let kept: Vec<&str> = parts
        .filter(|part| !part.starts_with("INFO OUTPUT"))
        .collect();
    kept.join("\n------ ")
}

fn text(file: &Path) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// The server binary.
pub fn binary() -> PathBuf {
    std::env::var_os("LOCK_TEST_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// The version that the server says it has (Valkey's own for Valkey). For what a test may expect
/// of the server itself; the module never asks.
pub fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let output = Command::new(binary())
            .arg("--version")
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "{} cannot be run ({error}): `make test` installs it",
                    binary().display()
                )
            });
        let text = String::from_utf8(output.stdout).unwrap();
        let version = text.split("v=").nth(1).unwrap().split(' ').next().unwrap();
        let mut parts = version.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    })
}

/// The module. `LOCK_TEST_MODULE` names it; else it is what cargo built last for this profile.
pub fn module() -> PathBuf {
    if let Some(path) = std::env::var_os("LOCK_TEST_MODULE") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let name = "libredis_reentrant_lock.so";
    let deps = test.parent().unwrap();
    // Beside the test's own folder lies what `cargo build` left; cargo puts what it built for the
    // tests into that folder itself.
    let mut folders = vec![deps.to_owned(), deps.parent().unwrap().to_owned()];
    // A doc test runs elsewhere. Cargo lists both folders in this path for every test.
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    found.map(|(_, path)| path).unwrap_or_else(|| {
        panic!("{name} is not built: run `make test`, or `cargo build` with the test's profile")
    })
}

/// Whether tests can plant faults in the module. In a release none can be planted, nor in what a plain `cargo build`
/// leaves: then this says that the test does not apply.
pub fn has_planted_faults() -> bool {
    let module = std::fs::read(module()).unwrap();
    let variable = b"LOCK_PLANTED_FAULT";
    let has = module.windows(variable.len()).any(|it| it == variable);
    if !has {
        skip("no fault can be planted in this module: it was not built for tests");
    }
    has
}

/// Waits until something is so, and fails where it does not become so.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it did not happen: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Says that a test does not apply to this server, and why. `LOCK_TEST_SKIPS` names a file that
/// collects these lines.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: does not apply: {why}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("LOCK_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
