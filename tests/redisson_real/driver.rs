//! Real Redisson, called through the Java program in `tests/redisson`.
//!
//! Maven fetches Redisson and compiles the program once, below the target directory. Each version
//! runs in one JVM, which all tests share and which ends with them.

use crate::support::{self, Server, PATIENCE};
use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// The versions of Redisson that are tested.
const VERSIONS: [&str; 2] = ["3.27.2", "4.7.0"];

/// Redisson's own default: how long a lock lasts that was taken without a lease, in ms.
const WATCHDOG_TIMEOUT: u64 = 30_000;

/// Runs a test with each version of Redisson. Without Java or Maven it is skipped, or a failure
/// with `LOCK_TEST_EXAMPLES=require`.
pub fn with_each_version(test: impl Fn(&'static Jvm)) {
    static JVMS: OnceLock<Result<[Jvm; 2], String>> = OnceLock::new();
    match JVMS.get_or_init(start_all) {
        // An older Redisson is only worth its time on one server.
        Ok([_, newest]) if env::var_os("LOCK_TEST_SERVER").is_some() => test(newest),
        Ok(jvms) => jvms.iter().for_each(|jvm| {
            eprintln!("with Redisson {}", jvm.version);
            test(jvm);
        }),
        Err(missing) => {
            let required = env::var_os("LOCK_TEST_EXAMPLES").is_some_and(|v| v == "require");
            assert!(!required, "Redisson cannot be run: {missing}");
            support::skip(missing.trim().lines().last().unwrap_or(missing));
        }
    }
}

/// A Java virtual machine in which a version of Redisson runs.
pub struct Jvm {
    version: &'static str,
    stdin: Mutex<ChildStdin>,
    pending: Arc<Mutex<Option<HashMap<u64, mpsc::Sender<String>>>>>,
    errors: PathBuf,
    next: AtomicU64,
}

/// A client of Redisson's, with an id of its own, as each process of an application has one.
pub struct Redisson {
    jvm: &'static Jvm,
    name: String,
}

/// A thread of a client, to which locks belong in Redisson.
pub struct Thread<'a> {
    client: &'a Redisson,
    number: u64,
}

/// A call that was made and may last.
pub struct Call {
    line: String,
    outcome: mpsc::Receiver<String>,
    arrived: Option<String>,
    errors: PathBuf,
}

impl Jvm {
    /// Whether this is version 4, which has kinds of locks that 3.27 lacks.
    pub fn is_version_4(&self) -> bool {
        self.version.starts_with("4.")
    }

    /// Connects a client.
    pub fn connect(&'static self, server: &Server) -> Redisson {
        self.connect_with(&server.url(), WATCHDOG_TIMEOUT)
    }

    /// Connects a client to a cluster.
    pub fn connect_to_cluster(&'static self, node: &Server) -> Redisson {
        self.connect_with(&format!("cluster+{}", node.url()), WATCHDOG_TIMEOUT)
    }

    /// Connects a client whose watchdog renews every third of so many ms.
    pub fn connect_with(&'static self, url: &str, watchdog_timeout: u64) -> Redisson {
        let client = Redisson {
            jvm: self,
            name: self.next.fetch_add(1, Ordering::Relaxed).to_string(),
        };
        let url = url.trim_end_matches('/');
        let outcome = client.thread(0).call(&format!("connect {url} {watchdog_timeout}"));
        assert_eq!(outcome, "done");
        client
    }

    fn send(&self, client: &str, thread: &str, line: &str) -> Call {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, outcome) = mpsc::channel();
        if let Some(pending) = self.pending.lock().unwrap().as_mut() {
            pending.insert(number, sender);
        }
        let mut stdin = self.stdin.lock().unwrap();
        // Where the JVM has ended, the reader has dropped the sender: the caller learns of it.
        let _ = writeln!(stdin, "{number} {client} {thread} {line}");
        Call {
            line: line.to_owned(),
            outcome,
            arrived: None,
            errors: self.errors.clone(),
        }
    }
}

impl Redisson {
    /// One of its threads. There are as many as are asked for.
    pub fn thread(&self, number: u64) -> Thread<'_> {
        Thread {
            client: self,
            number,
        }
    }

    /// Calls a method on the client's first thread.
    pub fn call(&self, line: &str) -> String {
        self.thread(0).call(line)
    }

    /// Starts a call on the client's first thread.
    pub fn start(&self, line: &str) -> Call {
        self.thread(0).start(line)
    }
}

impl Drop for Redisson {
    fn drop(&mut self) {
        // On a thread of its own: the others may still wait for a lock.
        let call = self.jvm.send(&self.name, "closer", "close");
        let _ = call.outcome.recv_timeout(PATIENCE);
    }
}

impl Thread<'_> {
    /// Calls a method, as in `tryLock fair orders`, and waits for what it returns or throws.
    pub fn call(&self, line: &str) -> String {
        self.start(line).outcome()
    }

    /// Starts a call.
    pub fn start(&self, line: &str) -> Call {
        let thread = self.number.to_string();
        self.client.jvm.send(&self.client.name, &thread, line)
    }

    /// The owner's id of its holds.
    pub fn owner(&self) -> String {
        self.call("owner")
    }
}

impl Call {
    /// Waits for what it returns or throws.
    pub fn outcome(mut self) -> String {
        if let Some(outcome) = self.arrived.take() {
            return outcome;
        }
        match self.outcome.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                panic!("Redisson's `{}` took longer than {PATIENCE:?}", self.line)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let errors = fs::read_to_string(&self.errors).unwrap_or_default();
                panic!("the JVM ended before `{}` did:\n{errors}", self.line)
            }
        }
    }

    /// Whether it has returned.
    pub fn has_returned(&mut self) -> bool {
        if self.arrived.is_none() {
            self.arrived = self.outcome.try_recv().ok();
        }
        self.arrived.is_some()
    }
}

fn start_all() -> Result<[Jvm; 2], String> {
    let [older, newer] = VERSIONS;
    Ok([start(older)?, start(newer)?])
}

fn start(version: &'static str) -> Result<Jvm, String> {
    let folder = prepare(version)?;
    let errors = folder.join("errors");
    let libraries = fs::read_to_string(folder.join("classpath")).unwrap();
    let mut java = Command::new("java")
        // It starts faster, and takes less of a small machine.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"])
        .arg("-classpath")
        .arg(format!("{}:{libraries}", folder.join("classes").display()))
        .arg("Driver")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).unwrap())
        .spawn()
        .map_err(|error| format!("java cannot be run: {error}"))?;
    let pending = Arc::new(Mutex::new(Some(HashMap::new())));
    let stdin = Mutex::new(java.stdin.take().unwrap());
    let stdout = java.stdout.take().unwrap();
    let outcomes = pending.clone();
    thread::spawn(move || read(stdout, &outcomes, java));
    Ok(Jvm {
        version,
        stdin,
        pending,
        errors,
        next: AtomicU64::new(0),
    })
}

/// Hands each outcome to who waits for it, until the JVM ends.
fn read(
    stdout: ChildStdout,
    pending: &Mutex<Option<HashMap<u64, mpsc::Sender<String>>>>,
    mut java: Child,
) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let call = line.split_once(' ').and_then(|(number, outcome)| {
            let number: u64 = number.parse().ok()?;
            Some((pending.lock().unwrap().as_mut()?.remove(&number)?, outcome))
        });
        if let Some((sender, outcome)) = call {
            // Nobody may wait for it any more.
            let _ = sender.send(outcome.to_owned());
        }
    }
    // Whoever still waits, or calls from now on, finds the other end gone.
    pending.lock().unwrap().take();
    let _ = java.wait();
}

/// Fetches a version of Redisson and compiles the program that calls it, unless that is done.
/// Returns the directory of both, or what this machine lacks.
fn prepare(version: &str) -> Result<PathBuf, String> {
    let compiler = execute(Command::new("javac").arg("-version"))?;
    let major = compiler.trim_start_matches("javac ").split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(17..) => (),
        _ => return Err(format!("Java 17 or newer is needed, not {compiler}")),
    }

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redisson");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("redisson").join(version);
    let program = Path::new("src/main/java/Driver.java");
    let wanted = [Path::new("pom.xml"), program].map(|path| fs::read(sources.join(path)).unwrap());
    let built = folder.join("built");
    if fs::read(&built).is_ok_and(|built| built == wanted.concat()) {
        return Ok(folder);
    }

    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join(program).parent().unwrap()).unwrap();
    fs::write(folder.join("pom.xml"), &wanted[0]).unwrap();
    fs::write(folder.join(program), &wanted[1]).unwrap();
    let mut maven = Command::new("mvn");
    maven
        .args(["--quiet", "--batch-mode", "compile"])
        .arg("dependency:build-classpath")
        .arg(format!("-Dredisson.version={version}"))
        .arg("-Dmdep.outputFile=classpath")
        .current_dir(&folder);
    if let Err(log) = execute(&mut maven) {
        // What Maven says of a failure tells the network from the compiler.
        let missing = ["cannot be run", "resolve", "transfer"];
        assert!(missing.iter().any(|word| log.contains(word)), "{log}");
        return Err(log);
    }
    fs::rename(folder.join("target/classes"), folder.join("classes")).unwrap();
    fs::write(built, wanted.concat()).unwrap();
    Ok(folder)
}

/// Runs a program to its end, and returns what it printed.
fn execute(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    let [printed, complained] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match output.status.success() {
        true => Ok(printed.trim().to_owned()),
        false => Err(format!("{program}: {printed}\n{complained}")),
    }
}
