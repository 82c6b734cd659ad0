//! Servers that take TLS only, as `deploy/tls` describes them.

use crate::{skip, Server, Setup};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Where `redis.conf` expects what `pki.sh` makes.
const INSTALLED: &str = "/etc/redis/tls/";

/// The folder that describes them.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/tls")
}

/// Runs the script in a directory, which stands after its command.
pub fn pki(command: &str, dir: &Path, args: &[&str]) -> Output {
    let mut script = Command::new(folder().join("pki.sh"));
    script.arg(command).arg(dir).args(args);
    script.output().unwrap()
}

/// The same, where it has to work.
pub fn make(command: &str, dir: &Path, args: &[&str]) {
    let output = pki(command, dir, args);
    assert!(output.status.success(), "{command}: {output:?}");
}

/// A server with its certificates, users and their passwords.
pub struct TlsServer {
    /// What the script has made.
    pub dir: TempDir,
    /// The server.
    pub server: Server,
}

impl TlsServer {
    /// Starts one that gives certificates to these clients, with more lines of configuration. None on a server without
    /// TLS.
    pub fn start(clients: &[&str], lines: &[&str]) -> Option<TlsServer> {
        let plain = Setup::without_module().start();
        if plain.client().run("CONFIG GET tls-port") == "[]" {
            skip("the server is built without TLS");
            return None;
        }
        let dir = TempDir::new().unwrap();
        make("init", dir.path(), &[]);
        make("server", dir.path(), &["localhost", "127.0.0.1"]);
        for client in clients {
            make("client", dir.path(), &[client]);
        }
        make("users", dir.path(), &[]);
        let setup = configured(dir.path());
        let setup = lines.iter().fold(setup, |setup, line| setup.config(line));
        match setup.try_start() {
            Ok(server) => Some(TlsServer { dir, server }),
            Err(log) if log.contains("Missing implement of connection type tls") => {
                skip("the server has TLS as a module of its own, which is not there");
                None
            }
            Err(log) => panic!("the server did not start:\n{log}"),
        }
    }

    /// A file that the script has made.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> String {
        password(self.dir.path(), user)
    }

    /// The address with a user's login, as client libraries take it.
    pub fn url(&self, user: &str) -> String {
        let (password, port) = (self.password(user), self.server.port());
        format!("rediss://{user}:{password}@127.0.0.1:{port}")
    }
}

/// The password of a user, as the script has put it into this directory.
pub fn password(dir: &Path, user: &str) -> String {
    fs::read_to_string(dir.join("passwords").join(user)).unwrap()
}

/// The server of `redis.conf`, on a free port, with its files in this directory.
pub fn configured(dir: &Path) -> Setup {
    let text = fs::read_to_string(folder().join("redis.conf")).unwrap();
    let mut setup = Setup::new();
    for line in text.lines() {
        setup = match line.split(' ').next().unwrap() {
            "tls-port" => setup.tls_only(),
            // The tests' own module instead.
            "loadmodule" | "#" | "" => setup,
            _ => setup.config(&line.replace(INSTALLED, &format!("{}/", dir.display()))),
        };
    }
    setup
}
