//! Who takes a lock by `SET NX PX`, and deletes it by a script that compares: plain commands, redis-py's Lock and
//! redsync. All three store a plain string, so they exclude each other.

use crate::support::toolchain::{
    build, command, copy, end_with_test, fetch, fetch_once, need, Missing,
};
use crate::support::{Client, Server, PATIENCE};
use redis::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{mpsc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

const DELETE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const EXTEND: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                      return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";

/// A client that takes one lock.
pub enum Old {
    /// One that sends the commands itself.
    Plain {
        client: Client,
        name: String,
        lease: u64,
    },
    /// A program that calls a library.
    Library {
        child: Child,
        calls: ChildStdin,
        outcomes: mpsc::Receiver<String>,
    },
}

/// Clients of all three kinds that take the lock `name`, each for `lease` ms. Without Python or Go a test is
/// skipped, or a failure with `LOCK_TEST_EXAMPLES=require`.
pub fn old_clients(server: &Server, name: &str, lease: u64) -> Option<[(&'static str, Old); 3]> {
    static PYTHON: OnceLock<Result<PathBuf, Missing>> = OnceLock::new();
    static GO: OnceLock<Result<PathBuf, Missing>> = OnceLock::new();
    let library = |prepared: &Result<PathBuf, Missing>, program: &str, what| match prepared {
        Ok(folder) => {
            let line = program.replace("FOLDER", folder.to_str().unwrap());
            Some(Old::of_library(folder, &line, server, name, lease))
        }
        Err(missing) => {
            missing.skip(what);
            None
        }
    };
    let plain = Old::Plain {
        client: server.client(),
        name: name.to_owned(),
        lease,
    };
    let python = PYTHON.get_or_init(prepare_python);
    let go = GO.get_or_init(prepare_go);
    Some([
        ("SET NX PX", plain),
        (
            "redis-py",
            library(python, "python3 driver.py", "redis-py")?,
        ),
        ("redsync", library(go, "FOLDER/run", "redsync")?),
    ])
}

impl Old {
    fn of_library(folder: &Path, line: &str, server: &Server, name: &str, lease: u64) -> Old {
        let mut program = command(folder, line);
        end_with_test(&mut program);
        let mut child = program
            .env("PYTHONPATH", folder.join("libraries"))
            .args([server.url(), name.to_owned(), lease.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, outcomes) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Old::Library {
            calls: child.stdin.take().unwrap(),
            child,
            outcomes,
        }
    }

    /// Waits for the lock.
    pub fn acquire(&mut self) {
        let outcome = self.call("acquire 50000").to_lowercase();
        assert_eq!(outcome, "true");
    }

    /// Tries to take it.
    pub fn try_acquire(&mut self) -> bool {
        self.call("acquire 0").to_lowercase() == "true"
    }

    /// Gives it back, which has to succeed.
    pub fn release(&mut self) {
        let outcome = self.call("release");
        assert!(["true", "None"].contains(&outcome.as_str()), "{outcome}");
    }

    /// A call, `acquire ms`, `release` or `extend`, and what comes of it in the words of its library.
    pub fn call(&mut self, line: &str) -> String {
        match self {
            Old::Library {
                calls, outcomes, ..
            } => {
                writeln!(calls, "{line}").unwrap();
                let outcome = outcomes.recv_timeout(PATIENCE);
                outcome.unwrap_or_else(|_| panic!("`{line}` came to no end"))
            }
            Old::Plain {
                client,
                name,
                lease,
            } => {
                let lease = lease.to_string();
                // One value for all is enough: each test has one plain client.
                let words: Vec<&str> = match line {
                    "release" => vec!["EVAL", DELETE, "1", name, "plain"],
                    "extend" => vec!["EVAL", EXTEND, "1", name, "plain", &lease],
                    _ => vec!["SET", name, "plain", "NX", "PX", &lease],
                };
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                let wait = line.strip_prefix("acquire ").map(|ms| ms.parse().unwrap());
                let until = Instant::now() + Duration::from_millis(wait.unwrap_or(0));
                loop {
                    match client.send(&words) {
                        Value::Okay | Value::Int(1) => return "true".to_owned(),
                        Value::Nil if Instant::now() < until => {
                            // Such a lock has nothing that one could wait for.
                            thread::sleep(Duration::from_millis(10));
                        }
                        Value::Nil | Value::Int(0) => return "false".to_owned(),
                        other => return crate::support::show(&other),
                    }
                }
            }
        }
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        if let Old::Library { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn folder_of(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("from_set_nx").join(language);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/from_set_nx");
    copy(&sources.join(language), &folder);
    folder
}

fn prepare_python() -> Result<PathBuf, Missing> {
    let folder = folder_of("python");
    need(&folder, "python3 -m pip --version")?;
    let install = "python3 -m pip --disable-pip-version-check --timeout 15 --retries 1 install \
                   --quiet --upgrade --target libraries --requirement requirements.txt";
    fetch_once(&folder, "requirements.txt", install)?;
    Ok(folder)
}

fn prepare_go() -> Result<PathBuf, Missing> {
    let folder = folder_of("go");
    need(&folder, "go version")?;
    fetch(&folder, "go mod download")?;
    build(&folder, "go build -o run .");
    Ok(folder)
}
