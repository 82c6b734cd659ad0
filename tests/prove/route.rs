//! Where the calls for a lock go: to one server, to the one that is master now, to the node of a slot.

use crate::record::LockId;
use std::path::PathBuf;

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A port of the loopback interface: the server's own, or a proxy's before it.
    Tcp(u16),
    Unix(PathBuf),
}

/// A way to a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The number of the node in the world.
    pub node: usize,
    pub address: Address,
    /// Nothing stands between: as long as the socket is open, so is the server's end of it. If not, only a reply shows
    /// that, and a call that is not answered for [`BROKEN_AFTER`](crate::line::BROKEN_AFTER) is given up.
    pub straight: bool,
}

/// What a client does about an error.
// Which of them there are depends on the servers.
#[allow(dead_code)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is the answer: the server is the right one.
    Stay,
    /// The server is the right one, but cannot serve the call now: ask it again later.
    Later,
    /// Ask for the target again, and connect there.
    Elsewhere,
    /// Send `ASKING` and the call to this node, once.
    Ask(Target),
}

/// What clients know of the servers.
pub trait Route: Send + Sync {
    /// Where a client asks for a lock now. None: nobody knows, ask again later.
    fn target(&self, client: usize, lock: LockId) -> Option<Target>;

    /// A server answered by an error that need not be about the lock.
    fn refused(&self, lock: LockId, from: &Target, error: &str) -> Next {
        let _ = (lock, from);
        match error.split(' ').next().unwrap_or_default() {
            "MOVED" | "READONLY" | "MASTERDOWN" => Next::Elsewhere,
            "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS" | "MISCONF" => Next::Later,
            _ => Next::Stay,
        }
    }

    /// A connection could not be opened, or has ended.
    fn lost(&self, to: &Target) {
        let _ = to;
    }
}

/// All clients at one server: by its Unix socket, which is fast, and every third by TCP.
pub struct OneServer {
    pub port: u16,
    pub socket: Option<PathBuf>,
}

impl Route for OneServer {
    fn target(&self, client: usize, _: LockId) -> Option<Target> {
        let address = match &self.socket {
            Some(path) if client % 3 != 2 => Address::Unix(path.clone()),
            _ => Address::Tcp(self.port),
        };
        Some(Target {
            node: 0,
            address,
            straight: true,
        })
    }
}

/// All clients at one server, through proxies.
pub struct Proxied {
    pub ports: Vec<u16>,
}

impl Route for Proxied {
    fn target(&self, client: usize, _: LockId) -> Option<Target> {
        Some(Target {
            node: 0,
            address: Address::Tcp(self.ports[client % self.ports.len()]),
            straight: false,
        })
    }
}
