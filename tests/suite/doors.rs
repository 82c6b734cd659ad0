//! The doors of `deploy/tls`: who gets in, with which certificate, and what each user may do there.

mod certificates;
mod door;
mod guide;
mod script;
mod secrets;
mod users;

use crate::support::{skip, Server, Setup};
use door::{Door, Key};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Where `redis.conf` expects what `pki.sh` makes.
const INSTALLED: &str = "/etc/redis/tls/";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tls")
}

/// Runs the script in a directory, which stands after its command.
fn pki(command: &str, dir: &Path, args: &[&str]) -> Output {
    let mut script = Command::new(folder().join("pki.sh"));
    script.arg(command).arg(dir).args(args);
    script.output().unwrap()
}

/// The same, where it has to work.
fn make(command: &str, dir: &Path, args: &[&str]) {
    let output = pki(command, dir, args);
    assert!(output.status.success(), "{command}: {output:?}");
}

/// A server as `deploy/tls` describes it.
struct House {
    dir: TempDir,
    server: Server,
}

impl House {
    /// Builds one with the clients `worker-1`, `worker-2` and `admin-1`. None on a server without TLS.
    fn build() -> Option<House> {
        let plain = Setup::without_module().start();
        if plain.client().run("CONFIG GET tls-port") == "[]" {
            skip("the server is built without TLS");
            return None;
        }
        let dir = TempDir::new().unwrap();
        make("init", dir.path(), &[]);
        make("server", dir.path(), &["localhost", "127.0.0.1"]);
        for client in ["worker-1", "worker-2", "admin-1"] {
            make("client", dir.path(), &[client]);
        }
        make("users", dir.path(), &[]);
        match configured(dir.path()).try_start() {
            Ok(server) => Some(House { dir, server }),
            Err(log) if log.contains("Missing implement of connection type tls") => {
                skip("the server has TLS as a module of its own, which is not there");
                None
            }
            Err(log) => panic!("the server did not start:\n{log}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The key of a client that was given a certificate.
    fn key(&self, client: &str) -> Key {
        let file = |ending| self.path(&format!("clients/{client}.{ending}"));
        self.key_with(Some((file("crt"), file("key"))))
    }

    fn key_with(&self, shown: Option<(PathBuf, PathBuf)>) -> Key {
        Key {
            port: self.server.port(),
            trusted: self.path("server-ca.crt"),
            shown,
            resumed: None,
        }
    }

    /// A connection with a client's certificate that is logged in as a user.
    fn login(&self, client: &str, user: &str) -> Door {
        let mut door = self.key(client).connect();
        assert_eq!(door.run(&auth(self.dir.path(), user)).unwrap(), "OK");
        door
    }

    /// Lets the running server read again whose clients it trusts.
    fn reload(&self, admin: &mut Door) {
        let trusted = self.path("trusted-clients.crt");
        let line = format!("CONFIG SET tls-ca-cert-file {}", trusted.display());
        assert_eq!(admin.run(&line).unwrap(), "OK");
    }
}

/// The line that logs a user in.
fn auth(dir: &Path, user: &str) -> String {
    let password = fs::read_to_string(dir.join("passwords").join(user)).unwrap();
    format!("AUTH {user} {password}")
}

/// The server of `redis.conf`, on a free port, with its files in this directory.
fn configured(dir: &Path) -> Setup {
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
