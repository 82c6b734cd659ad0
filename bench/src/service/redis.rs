//! Redis or Valkey: the `redis-server` on the PATH, or what `LOCK_TEST_SERVER` names.

use super::{Missing, Service, bare};
use crate::core::Core;
use lock_test_support::{Client, Server, Setup, binary};
use std::process::Command;

/// Which module a server loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loads {
    /// None.
    Nothing,
    /// This project's.
    Locks,
    /// One that only blocks clients and unblocks them: what the module API takes by itself.
    Bare,
}

/// What the server does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Nothing.
    Alone,
    /// It feeds a replica.
    Replica,
    /// It writes an append-only file, synced every second.
    Aof,
}

/// One or more servers, and perhaps a replica, which is not part of what is measured.
pub struct Redis {
    version: String,
    _replica: Option<Server>,
    servers: Vec<Server>,
}

impl Redis {
    /// Starts one server.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn start(core: &Core, loads: Loads, setting: Setting) -> Result<Redis, Missing> {
        let mut setup = setup(loads)?;
        if setting == Setting::Aof {
            // A rewrite would fork the server in the middle of a round.
            setup = setup
                .config("appendonly yes")
                .config("appendfsync everysec")
                .config("auto-aof-rewrite-percentage 0");
        }
        let server = start(setup)?;
        let replica = (setting == Setting::Replica)
            .then(|| server.replica(Setup::without_module().config("maxclients 15000")));
        core.give(server.pid());
        Ok(Redis {
            version: server_name(&mut server.client()),
            _replica: replica,
            servers: vec![server],
        })
    }

    /// The first of its servers.
    pub fn server(&mut self) -> &mut Server {
        &mut self.servers[0]
    }
}

/// Starts five.
///
/// # Errors
/// Why they cannot be had.
pub fn start_five(core: &Core) -> Result<Redis, Missing> {
    let mut servers = Vec::new();
    for _ in 0..5 {
        let server = start(setup(Loads::Nothing)?)?;
        core.give(server.pid());
        servers.push(server);
    }
    Ok(Redis {
        version: format!("5 x {}", server_name(&mut servers[0].client())),
        _replica: None,
        servers,
    })
}

impl Service for Redis {
    fn urls(&self) -> Vec<String> {
        let url = |server: &Server| format!("redis://127.0.0.1:{}", server.port());
        self.servers.iter().map(url).collect()
    }

    fn pids(&self) -> Vec<u32> {
        self.servers.iter().map(Server::pid).collect()
    }

    fn version(&self) -> String {
        self.version.clone()
    }
}

/// How every server of a benchmark is set up.
pub fn setup(loads: Loads) -> Result<Setup, Missing> {
    let setup = match loads {
        Loads::Nothing => Setup::without_module(),
        Loads::Locks => Setup::new().module_args("max-waiters 100000"),
        Loads::Bare => {
            let module = bare::build().map_err(Missing)?;
            Setup::without_module().config(&format!("loadmodule {}", module.display()))
        }
    };
    let found = Command::new(binary()).arg("--version").output();
    found.map_err(|error| Missing(format!("{} cannot be run: {error}", binary().display())))?;
    Ok(setup.config("maxclients 15000"))
}

fn start(setup: Setup) -> Result<Server, Missing> {
    setup.try_start().map_err(|log| {
        let line = log.lines().rev().find(|line| !line.trim().is_empty());
        Missing(format!("it did not start: {}", line.unwrap_or("no log")))
    })
}

/// The server's name and version.
pub fn server_name(client: &mut Client) -> String {
    let valkey = client
        .info("server", "valkey_version")
        .map(|version| format!("Valkey {version}"));
    valkey.unwrap_or_else(|| {
        let version = client.info("server", "redis_version").unwrap_or_default();
        format!("Redis {version}")
    })
}
