//! MariaDB, for the locks that a table or `GET_LOCK` gives.

use super::process::{Home, Process, find_program, on_free_ports};
use super::{Missing, Service};
use crate::core::Core;
use mysql::prelude::Queryable;
use mysql::{Conn, Error, Opts};
use rustix::process::Signal;

/// What the systems use: a row for each lock that is held, and a row for each lock that can be.
const SCHEMA: [&str; 3] = [
    "CREATE DATABASE bench",
    "CREATE TABLE bench.held (
        name VARBINARY(255) PRIMARY KEY, owner VARBINARY(64) NOT NULL, until DATETIME(6) NOT NULL) ENGINE = InnoDB",
    "CREATE TABLE bench.lockable (name VARBINARY(255) PRIMARY KEY) ENGINE = InnoDB",
];

struct MariaDb {
    process: Process,
    port: u16,
    version: String,
}

/// Starts it.
///
/// # Errors
/// Why it cannot be had.
pub fn start(core: &Core) -> Result<Box<dyn Service>, Missing> {
    let installer = find_program(&["/usr/bin/mariadb-install-db"], "mariadb-server")?;
    let server = find_program(&["/usr/sbin/mariadbd"], "mariadb-server")?;
    on_free_ports(|[port]| start_on(core, &installer, &server, port))
}

fn start_on(
    core: &Core,
    installer: &str,
    server: &str,
    port: u16,
) -> Result<Box<dyn Service>, Missing> {
    let home = Home::new("MariaDB", Some("mysql"))?;
    let data = format!("--datadir={}", home.join("data"));
    let mut install = home.command(installer);
    // The machine's own settings are somebody else's.
    install.args(["--no-defaults", "--skip-test-db", &data]);
    // A root without a password, instead of one that only the machine's root can be.
    install.arg("--auth-root-authentication-method=normal");
    home.run(install)?;

    let mut command = home.command(server);
    command.args(["--no-defaults", &data]);
    // By default 151.
    command.arg("--max-connections=1100");
    command.arg(format!("--port={port}"));
    command.arg(format!("--socket={}", home.join("socket")));
    // As Debian sets it up.
    command.args([
        "--bind-address=127.0.0.1",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
    ]);
    // All else is by default. Above all every commit is synced (innodb_flush_log_at_trx_commit = 1), there is no binary
    // log, the buffer pool has 128 MB, and each connection has a thread.
    let url = format!("mysql://root@127.0.0.1:{port}");
    // There is no state to end well with.
    let (process, version) = home.start(core, command, Signal::KILL, || version(&url))?;
    prepare(&url).map_err(|error| Missing(format!("MariaDB cannot be set up: {error}")))?;
    Ok(Box::new(MariaDb {
        process,
        port,
        version,
    }))
}

fn version(url: &str) -> Result<String, String> {
    let version: Result<Option<String>, Error> =
        connect(url).and_then(|mut admin| admin.query_first("SELECT VERSION()"));
    // 10.11.6-MariaDB-0+deb12u1
    match version {
        Ok(Some(text)) => Ok(text.split('-').next().unwrap_or_default().to_owned()),
        Ok(None) => Err("it has no version".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn prepare(url: &str) -> Result<(), Error> {
    let mut admin = connect(url)?;
    SCHEMA.iter().try_for_each(|line| admin.query_drop(line))
}

fn connect(url: &str) -> Result<Conn, Error> {
    Conn::new(Opts::from_url(url)?)
}

impl Service for MariaDb {
    fn urls(&self) -> Vec<String> {
        vec![format!("mysql://root@127.0.0.1:{}/bench", self.port)]
    }

    fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    fn version(&self) -> String {
        format!("MariaDB {}", self.version)
    }
}
