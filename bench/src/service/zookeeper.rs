//! ZooKeeper: one server.

use super::process::{Home, Process, find_program, on_free_ports};
use super::{Missing, Service};
use crate::core::Core;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const JAR: &str = "/usr/share/java/zookeeper.jar";

/// Its settings. The first is that of Debian's zoo.cfg; sessions may then last from 4 to 40 s. Syncing of every write is its
/// default (forceSync), and so is a JVM that takes up to a quarter of the memory.
const SETTINGS: &str = "tickTime=2000
clientPortAddress=127.0.0.1
# By default 60 from one address.
maxClientCnxns=0
# It would listen on port 8080.
admin.enableServer=false
";

struct ZooKeeper {
    process: Process,
    port: u16,
    version: String,
}

/// Starts it.
///
/// # Errors
/// Why it cannot be had.
pub fn start(core: &Core) -> Result<Box<dyn Service>, Missing> {
    find_program(&[JAR], "zookeeper")?;
    let java = find_program(&["/usr/bin/java"], "default-jre-headless")?;
    on_free_ports(|[port]| start_on(core, &java, port))
}

fn start_on(core: &Core, java: &str, port: u16) -> Result<Box<dyn Service>, Missing> {
    let home = Home::new("ZooKeeper", None)?;
    let settings = home.join("zoo.cfg");
    let text = format!(
        "{SETTINGS}clientPort={port}\ndataDir={}\n",
        home.join("data")
    );
    std::fs::write(&settings, text)
        .map_err(|error| Missing(format!("ZooKeeper cannot be set up: {error}")))?;

    // As zkServer.sh of the package runs it, without the log file of the machine's own server. Its configuration folder has the
    // settings of the log.
    let mut command = home.command(java);
    command.arg(format!("-Dzookeeper.log.dir={}", home.path().display()));
    command.arg("-Dzookeeper.root.logger=INFO,CONSOLE");
    command.args(["-cp", &format!("/etc/zookeeper/conf:{JAR}")]);
    command.args([
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        &settings,
    ]);
    let (process, version) = home.start(core, command, Signal::KILL, || version(port))?;
    Ok(Box::new(ZooKeeper {
        process,
        port,
        version,
    }))
}

/// What it answers to `srvr`, once it serves.
fn version(port: u16) -> Result<String, String> {
    let answer = ask(port).map_err(|error| error.to_string())?;
    // Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2022-08-21
    let version = answer.strip_prefix("Zookeeper version: ");
    let version = version.and_then(|rest| rest.split(['-', ',']).next());
    version.map(str::to_owned).ok_or(answer)
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"srvr")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Service for ZooKeeper {
    fn urls(&self) -> Vec<String> {
        vec![format!("127.0.0.1:{}", self.port)]
    }

    fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    fn version(&self) -> String {
        format!("ZooKeeper {}", self.version)
    }
}
