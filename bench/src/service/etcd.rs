//! etcd: a cluster of one.

use super::process::{Home, Process, find_program, on_free_ports};
use super::{Missing, Service};
use crate::core::Core;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Etcd {
    process: Process,
    port: u16,
    version: String,
}

/// Starts it.
///
/// # Errors
/// Why it cannot be had.
pub fn start(core: &Core) -> Result<Box<dyn Service>, Missing> {
    let server = find_program(&["/usr/bin/etcd"], "etcd-server")?;
    on_free_ports(|[clients, peers]| start_on(core, &server, clients, peers))
}

fn start_on(
    core: &Core,
    server: &str,
    clients: u16,
    peers: u16,
) -> Result<Box<dyn Service>, Missing> {
    let home = Home::new("etcd", None)?;
    let [clients_url, peers_url] = [clients, peers].map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = home.command(server);
    // Where it is. All else is by default: every write is synced.
    command.args(["--name", "bench", "--data-dir", &home.join("data")]);
    command.args(["--listen-client-urls", &clients_url]);
    command.args(["--advertise-client-urls", &clients_url]);
    command.args(["--listen-peer-urls", &peers_url]);
    command.args(["--initial-advertise-peer-urls", &peers_url]);
    command.args(["--initial-cluster", &format!("bench={peers_url}")]);
    let (process, version) = home.start(core, command, Signal::KILL, || version(clients))?;
    Ok(Box::new(Etcd {
        process,
        port: clients,
        version,
    }))
}

/// Its version, once it can write: it is the leader of itself.
fn version(port: u16) -> Result<String, String> {
    let health = get(port, "/health")?;
    if health.get("health").and_then(|value| value.as_str()) != Some("true") {
        return Err(health.to_string());
    }
    let version = get(port, "/version")?;
    let server = version.get("etcdserver").and_then(|value| value.as_str());
    server.map(str::to_owned).ok_or(version.to_string())
}

fn get(port: u16, path: &str) -> Result<serde_json::Value, String> {
    let answer = request(port, path).map_err(|error| error.to_string())?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("it sent no body")?;
    serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))
}

fn request(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Service for Etcd {
    fn urls(&self) -> Vec<String> {
        vec![format!("http://127.0.0.1:{}", self.port)]
    }

    fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    fn version(&self) -> String {
        format!("etcd {}", self.version)
    }
}
