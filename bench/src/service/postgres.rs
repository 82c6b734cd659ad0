//! PostgreSQL, for its advisory locks.

use super::process::{Home, Process, find_program, on_free_ports};
use super::{Missing, Service};
use crate::core::Core;
use postgres::{Client, NoTls};
use rustix::process::Signal;
use std::path::Path;

struct Postgres {
    process: Process,
    port: u16,
    version: String,
}

/// Starts it.
///
/// # Errors
/// Why it cannot be had.
pub fn start(core: &Core) -> Result<Box<dyn Service>, Missing> {
    let programs = find_programs()?;
    on_free_ports(|[port]| start_on(core, &programs, port))
}

fn start_on(core: &Core, programs: &str, port: u16) -> Result<Box<dyn Service>, Missing> {
    let home = Home::new("PostgreSQL", Some("postgres"))?;
    let data = home.join("data");
    let mut init = home.command(&format!("{programs}/initdb"));
    init.args(["--pgdata", &data, "--username=postgres", "--auth=trust"]);
    // Only what initdb itself has written. The server syncs.
    init.args(["--no-sync", "--encoding=UTF8"]);
    home.run(init)?;

    let mut command = home.command(&format!("{programs}/postgres"));
    command.args(["-D", &data]);
    command.args(["-c", "listen_addresses=127.0.0.1"]);
    command.arg("-c").arg(format!("port={port}"));
    command
        .arg("-c")
        .arg(format!("unix_socket_directories={}", home.path().display()));
    // By default 100.
    command.args(["-c", "max_connections=1100"]);
    // All else is by default: fsync, synchronous_commit, 128 MB of shared buffers, a process for each connection; whoever has
    // waited for a second looks for a deadlock (deadlock_timeout).
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    // It ends at once, but takes its children and its shared memory with it. (Where this program is killed, the children end
    // by themselves.)
    let (process, version) = home.start(core, command, Signal::QUIT, || version(&url))?;
    Client::connect(&url, NoTls)
        .and_then(|mut admin| admin.batch_execute("CREATE DATABASE bench"))
        .map_err(|error| Missing(format!("PostgreSQL cannot be set up: {error}")))?;
    Ok(Box::new(Postgres {
        process,
        port,
        version,
    }))
}

fn version(url: &str) -> Result<String, String> {
    let mut admin = Client::connect(url, NoTls).map_err(|error| error.to_string())?;
    let row = admin.query_one("SHOW server_version", &[]);
    let text: String = row.map_err(|error| error.to_string())?.get(0);
    // 15.7 (Debian 15.7-0+deb12u1)
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// The folder with initdb and postgres, of the newest version.
fn find_programs() -> Result<String, Missing> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<u32> = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let folders = versions
        .iter()
        .rev()
        .map(|version| format!("/usr/lib/postgresql/{version}/bin"));
    let found = folders.into_iter().find(|folder| {
        let has = |program: &str| Path::new(folder).join(program).exists();
        has("initdb") && has("postgres")
    });
    found.map_or_else(|| find_program(&[], "postgresql"), Ok)
}

impl Service for Postgres {
    fn urls(&self) -> Vec<String> {
        vec![format!("postgres://postgres@127.0.0.1:{}/bench", self.port)]
    }

    /// It and its children: one more for each connection.
    fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    fn version(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }
}
