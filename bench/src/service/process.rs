//! A server's process: started in a temporary folder, asked until it answers, ended with its handle or with this program.

use super::Missing;
use crate::core::Core;
use lock_test_support::{free_port, toolchain::end_with_test};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Error;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to end before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// A temporary folder for a server, and the account that it runs as.
pub struct Home {
    name: &'static str,
    folder: TempDir,
    /// User and group; none: those of this program.
    account: Option<(u32, u32)>,
}

impl Home {
    /// A folder in the system's own for temporary files (TMPDIR): where that is no disk, syncing costs nothing. A program
    /// that refuses to run as root gets the account of its package.
    pub fn new(name: &'static str, account: Option<&str>) -> Result<Home, Missing> {
        let failed = |error: Error| Missing(format!("{name} has no folder: {error}"));
        let folder = TempDir::with_prefix("lock-bench-").map_err(failed)?;
        let account = match account.filter(|_| rustix::process::geteuid().is_root()) {
            Some(account) => {
                let (user, group) = find_account(account)
                    .ok_or_else(|| Missing(format!("{name} has no account {account}")))?;
                chown(folder.path(), Some(user), Some(group)).map_err(failed)?;
                Some((user, group))
            }
            None => None,
        };
        Ok(Home {
            name,
            folder,
            account,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder in it, as text.
    pub fn join(&self, file: &str) -> String {
        self.path().join(file).display().to_string()
    }

    /// A program with this account and folder. What the user has set for such servers does not reach it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.path())
            .stdin(Stdio::null());
        if let Some((user, group)) = self.account {
            command.gid(group).uid(user);
        }
        command
    }

    /// Runs a program to its end, which must succeed.
    pub fn run(&self, mut command: Command) -> Result<(), Missing> {
        let outcome = self.logged(&mut command).and_then(|()| command.status());
        match outcome {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.complaint(&format!("{command:?} failed ({status})"))),
            Err(error) => Err(self.complaint(&format!("{command:?} cannot be run: {error}"))),
        }
    }

    /// Starts the server on its core, and returns it with what it first answers.
    pub fn start<T>(
        self,
        core: &Core,
        mut command: Command,
        end: Signal,
        ask: impl Fn() -> Result<T, String>,
    ) -> Result<(Process, T), Missing> {
        let started = self
            .logged(&mut command)
            .and_then(|()| spawn_for_good(command));
        let child = match started {
            Ok(child) => child,
            Err(error) => return Err(self.complaint(&format!("it cannot be run: {error}"))),
        };
        // Before it has any other thread: a JVM and a Go program look how many cores they have.
        core.give(child.id());
        let mut process = Process {
            child,
            end,
            home: self,
        };
        let begin = Instant::now();
        loop {
            let error = match ask() {
                Ok(answer) => {
                    process.pids().into_iter().for_each(|pid| core.give(pid));
                    return Ok((process, answer));
                }
                Err(error) => error,
            };
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(process.home.complaint(&format!("it ended ({status})")));
            }
            if begin.elapsed() > PATIENCE {
                let silent = format!("it did not answer for {PATIENCE:?} ({error})");
                return Err(process.home.complaint(&silent));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it write to the log, which this program opens: its account could not open it again.
    fn logged(&self, command: &mut Command) -> Result<(), Error> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path().join("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(())
    }

    /// What went wrong, with the tail of the log.
    fn complaint(&self, what: &str) -> Missing {
        let log = std::fs::read(self.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        Missing(format!("{} did not start: {what}\n{tail}", self.name))
    }
}

/// A server that runs.
pub struct Process {
    child: Child,
    /// What ends it soon, and all that it has started.
    end: Signal,
    home: Home,
}

impl Process {
    /// It and its children.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let mut pids = vec![own];
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return pids;
        };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.extend(numbers.filter(|&pid| parent(pid) == Some(own)));
        pids
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, self.end);
        }
        let begin = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if begin.elapsed() > FAREWELL {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The process that started this one: the fourth field, after a name that may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Starts a process that ends with this program, even where that is killed. The kernel ends it with the **thread** that
/// started it: so one thread starts all of them, and never ends.
fn spawn_for_good(mut command: Command) -> Result<Child, Error> {
    type Order = (Command, Sender<Result<Child, Error>>);
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    end_with_test(&mut command);
    let starter = STARTER.get_or_init(|| {
        let (orders, to_start) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, started) in to_start {
                let _ = started.send(command.spawn());
            }
        });
        orders
    });
    let (started, outcome) = channel();
    let gone = |_| Error::other("the thread that starts servers is gone");
    starter.send((command, started)).map_err(|_| gone(()))?;
    outcome.recv().map_err(|_| gone(()))?
}

/// User and group of an account. Packages make theirs in this file.
fn find_account(name: &str) -> Option<(u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.first() == Some(&name))
            .then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
    })
}

/// Starts a server on free ports. Someone else may take one before the server does: then on others.
pub fn on_free_ports<const N: usize, T>(
    start: impl Fn([u16; N]) -> Result<T, Missing>,
) -> Result<T, Missing> {
    for _ in 0..4 {
        match start(free_ports()) {
            Err(Missing(why)) if why.to_lowercase().contains("address already in use") => (),
            outcome => return outcome,
        }
    }
    start(free_ports())
}

fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| free_port())
}

/// The first of these programs that is there; Debian keeps some out of the PATH.
pub fn find_program(paths: &[&str], package: &str) -> Result<String, Missing> {
    let found = paths.iter().find(|path| Path::new(path).exists());
    found.map(|path| (*path).to_owned()).ok_or_else(|| {
        Missing(format!(
            "Debian's package {package} is not installed: apt-get install {package}"
        ))
    })
}
