//! How servers are started.

use crate::{binary, free_port, module, Server, PATIENCE};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How a server is to be started.
#[derive(Clone, Default)]
pub struct Setup {
    module: bool,
    module_args: String,
    tls: bool,
    pub(crate) config: Vec<String>,
    env: Vec<(&'static str, String)>,
    pub(crate) may_crash: bool,
    dir: Option<Arc<TempDir>>,
}

impl Setup {
    /// A server with the module.
    pub fn new() -> Setup {
        Setup {
            module: true,
            ..Setup::default()
        }
    }

    /// A server without the module.
    pub fn without_module() -> Setup {
        Setup::default()
    }

    /// Adds arguments to the module's `loadmodule` line.
    pub fn module_args(mut self, args: &str) -> Setup {
        self.module_args = args.to_owned();
        self
    }

    /// Adds a line to the configuration file.
    pub fn config(mut self, line: &str) -> Setup {
        self.config.push(line.to_owned());
        self
    }

    /// Gives the server's port to TLS, and no port to plain text.
    pub fn tls_only(mut self) -> Setup {
        self.tls = true;
        self
    }

    /// Sets a variable of the server's environment.
    pub fn env(mut self, name: &'static str, value: &str) -> Setup {
        self.env.push((name, value.to_owned()));
        self
    }

    /// Has every kind of allocator overwrite the memory that it is given back, so that a server that
    /// reads freed memory most likely crashes.
    pub fn junk_freed_memory(self) -> Setup {
        self.env("MALLOC_CONF", "junk:true")
            .env("JE_MALLOC_CONF", "junk:true")
            .env("MALLOC_PERTURB_", "165")
    }

    /// Lets the server crash: else a crash, or a mistake that the module tells of in the log, fails
    /// the test when the server ends.
    pub fn may_crash(mut self) -> Setup {
        self.may_crash = true;
        self
    }

    /// Uses the folder of another server, which must have ended.
    pub fn data_of(mut self, server: &Server) -> Setup {
        self.dir = Some(server.dir.clone());
        self
    }

    /// Makes it a replica.
    pub fn replica_of(self, master: &Server) -> Setup {
        self.config(&format!("replicaof 127.0.0.1 {}", master.port))
    }

    /// Starts it.
    pub fn start(self) -> Server {
        self.try_start()
            .unwrap_or_else(|log| panic!("the server did not start:\n{log}"))
    }

    /// Starts it, or returns its log.
    pub fn try_start(self) -> Result<Server, String> {
        let dir = self
            .dir
            .clone()
            .unwrap_or_else(|| Arc::new(TempDir::new().unwrap()));
        for _ in 0..20 {
            // Someone else may take the port before the server does: then with another one.
            match self.start_on(free_port(), &dir) {
                Err(log) if log.contains("Address already in use") => continue,
                outcome => return outcome,
            }
        }
        panic!("no free port was found");
    }

    /// Starts a server again that has ended, on its port.
    pub(crate) fn restart(self, server: &Server) -> Server {
        self.start_on(server.port, &server.dir)
            .unwrap_or_else(|log| panic!("the server did not start again:\n{log}"))
    }

    fn start_on(&self, port: u16, dir: &Arc<TempDir>) -> Result<Server, String> {
        let path = dir.path();
        let mut file = std::fs::File::create(path.join("server.conf")).unwrap();
        let folder = path.display();
        let ports = if self.tls { "port 0\ntls-port" } else { "port" };
        writeln!(
            file,
            "{ports} {port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/log"
        )
        .unwrap();
        writeln!(file, "save \"\"\nrepl-diskless-sync-delay 0").unwrap();
        writeln!(file, "enable-debug-command yes").unwrap();
        if self.module {
            let module = module().display().to_string();
            writeln!(file, "loadmodule {module} {}", self.module_args).unwrap();
        }
        for line in &self.config {
            writeln!(file, "{line}").unwrap();
        }
        // Of a server whose data this one goes on with, or of an attempt on another port.
        if let Some(complaint) = crate::complaint(path).filter(|_| !self.may_crash) {
            panic!("{complaint}");
        }
        let _ = std::fs::remove_file(path.join("log"));
        let mut command = Command::new(binary());
        command
            .arg(path.join("server.conf"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path.join("stderr")).unwrap());
        let end_with_test = || {
            // SAFETY: a system call that touches no memory.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        };
        // SAFETY: the closure only makes a system call, which may be made between fork and exec.
        // It ends the server with the test, should the test be killed.
        unsafe { command.pre_exec(end_with_test) };
        let mut server = Server {
            process: command.spawn().unwrap(),
            port,
            dir: dir.clone(),
            setup: self.clone(),
        };
        let started = Instant::now();
        loop {
            if server.process.try_wait().unwrap().is_some() {
                return Err(server.log());
            }
            if server.log().contains("eady to accept connections") {
                return Ok(server);
            }
            assert!(started.elapsed() < PATIENCE, "{}", server.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
