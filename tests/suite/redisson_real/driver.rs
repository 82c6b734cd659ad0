//! Real Redisson, called through the Java program in `tests/redisson`.
//!
//! Maven fetches Redisson and compiles the program once, below the target directory. Each version
//! runs in one JVM, which all tests share and which ends with them.

use crate::support::toolchain::{command, execute, need, Missing};
use crate::support::PATIENCE;
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

/// Runs a test with each version of Redisson. Without Java or Maven it is skipped, or a failure
/// with `LOCK_TEST_EXAMPLES=require`.
pub fn with_each_version(test: impl Fn(&'static Jvm)) {
    static JVMS: OnceLock<Result<Vec<Jvm>, Missing>> = OnceLock::new();
    // The older one is worth its time on one server only.
    let one_of_many_servers = env::var_os("LOCK_TEST_SERVER").is_some();
    let versions = &VERSIONS[usize::from(one_of_many_servers)..];
    match JVMS.get_or_init(|| versions.iter().map(|version| start(version)).collect()) {
        Ok(jvms) => jvms.iter().for_each(|jvm| {
            eprintln!("with Redisson {}", jvm.version);
            test(jvm);
        }),
        Err(missing) => missing.skip("Redisson"),
    }
}

/// Who waits for which call. None once the JVM has ended.
type Pending = Arc<Mutex<Option<HashMap<u64, mpsc::Sender<String>>>>>;

/// A Java virtual machine in which a version of Redisson runs.
pub struct Jvm {
    version: &'static str,
    stdin: Mutex<ChildStdin>,
    pending: Pending,
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

    /// Connects a client. Before a URL, `cluster+` says that it leads to a node of a cluster. A lock
    /// without a lease is taken for `watchdog_timeout` ms, and renewed every third of that.
    pub fn connect(&'static self, url: &str, watchdog_timeout: u64) -> Redisson {
        let client = Redisson {
            jvm: self,
            name: self.next.fetch_add(1, Ordering::Relaxed).to_string(),
        };
        let url = url.trim_end_matches('/');
        let outcome = client
            .thread(0)
            .call(&format!("connect {url} {watchdog_timeout}"));
        assert_eq!(outcome, "done", "{url}");
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

fn start(version: &'static str) -> Result<Jvm, Missing> {
    let folder = prepare(version)?;
    let errors = folder.join("errors");
    let classes = folder.join("target/classes");
    let libraries = fs::read_to_string(folder.join("classpath")).unwrap();
    let mut java = Command::new("java")
        // It starts faster, and takes less of a small machine.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"])
        .arg("-classpath")
        .arg(format!("{}:{libraries}", classes.display()))
        .arg("Driver")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).unwrap())
        .spawn()
        .map_err(|error| Missing(format!("java is missing: {error}")))?;
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

/// Delivers each outcome to who waits for it, until the JVM ends.
fn read(stdout: ChildStdout, pending: &Pending, mut java: Child) {
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
/// Returns the directory of both.
fn prepare(version: &str) -> Result<PathBuf, Missing> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redisson");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("redisson").join(version);
    let program = Path::new("src/main/java/Driver.java");
    let wanted = [Path::new("pom.xml"), program].map(|path| fs::read(sources.join(path)).unwrap());
    let built = folder.join("built");
    if fs::read(&built).is_ok_and(|built| built == wanted.concat()) {
        // Maven's own directory may have been emptied since.
        let classpath = fs::read_to_string(folder.join("classpath")).unwrap();
        if classpath.split(':').all(|path| Path::new(path).exists()) {
            return Ok(folder);
        }
    }

    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join(program).parent().unwrap()).unwrap();
    fs::write(folder.join("pom.xml"), &wanted[0]).unwrap();
    fs::write(folder.join(program), &wanted[1]).unwrap();
    let compiler = execute(&mut command(&folder, "javac -version"))
        .map_err(|log| Missing(format!("javac is missing: {log}")))?;
    let major = compiler.trim_start_matches("javac ").split('.').next();
    if !matches!(major.map(str::parse), Some(Ok(17..))) {
        return Err(Missing(format!("{compiler}: Java 17 or newer is needed")));
    }
    need(&folder, "mvn --version")?;
    let maven = format!(
        "mvn --quiet --batch-mode compile dependency:build-classpath \
         -Dmdep.outputFile=classpath -Dredisson.version={version}"
    );
    match execute(&mut command(&folder, &maven)) {
        // What Maven says of a failure tells the network from the compiler.
        Err(log) if log.contains("resolve") || log.contains("transfer") => {
            return Err(Missing(log));
        }
        outcome => outcome.unwrap_or_else(|log| panic!("{maven}: {log}")),
    };
    fs::write(built, wanted.concat()).unwrap();
    Ok(folder)
}
