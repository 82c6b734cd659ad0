//! Which server a lock is on, and the connections to it.

use crate::error::{Error, Verdict, timed_out};
use crate::idle::Idle;
use crate::link::Link;
use crc::{CRC_16_XMODEM, Crc};
use redis::sentinel::SentinelClient;
use redis::{Cmd, ConnectionAddr, ConnectionInfo, RedisResult, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So often a call is sent anew to another node of a cluster: when a slot has moved, and when it is being moved.
const REDIRECTIONS: u32 = 3;

/// Where the locks are.
pub(crate) enum Layout {
    /// On one server.
    One(Box<ConnectionInfo>),
    /// On the master that Sentinel names.
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
    /// In a cluster, of which these nodes are known.
    Cluster(Vec<ConnectionInfo>),
}

/// The servers, and the connections to them.
pub(crate) struct Servers {
    layout: Layout,
    nodes: Mutex<HashMap<String, Node>>,
    /// The address of each slot's node, as far as it is known. Without a cluster all are in slot 0.
    slots: Mutex<HashMap<u16, String>>,
    /// Which of the known nodes of a cluster is asked first.
    seed: AtomicUsize,
}

/// The connections to one server.
#[derive(Default)]
struct Node {
    /// For calls that are answered at once.
    shared: Option<Link>,
    /// Those that no lock needs now.
    idle: Idle<Link>,
}

impl Servers {
    /// No connection is opened yet.
    pub fn new(layout: Layout) -> Servers {
        Servers {
            layout,
            nodes: Mutex::default(),
            slots: Mutex::default(),
            seed: AtomicUsize::new(0),
        }
    }

    /// Sends a call on the connection that many share, and waits for its reply at most so long. Follows a slot that has
    /// moved.
    ///
    /// # Errors
    /// [`Verdict::Later`] without a code of the server if nothing was sent.
    pub async fn call(&self, name: &[u8], cmd: &Cmd, limit: Duration) -> Result<Value, Verdict> {
        for _ in 0..REDIRECTIONS {
            let link = self.shared(name, limit).await.map_err(Verdict::Later)?;
            let verdict = match link.call(cmd, Some(limit)).await {
                Ok(value) => return Ok(value),
                Err(error) => Verdict::of(error),
            };
            match verdict {
                Verdict::Moved(slot, address) => self.moved(slot, &address, &link),
                Verdict::Ask(address) => {
                    let at = self.at(&address, &link, limit).await;
                    let at = at.map_err(Verdict::Later)?;
                    let reply = at.call_asking(cmd, Some(limit)).await;
                    return reply.map_err(Verdict::of);
                }
                verdict => {
                    if matches!(verdict, Verdict::Later(_) | Verdict::Broken(_)) {
                        self.doubt(name);
                    }
                    return Err(verdict);
                }
            }
        }
        Err(Verdict::Later(redirected_again()))
    }

    /// A connection to this lock's server that many calls share. None of them may wait.
    pub async fn shared(&self, name: &[u8], patience: Duration) -> RedisResult<Link> {
        let shared = |node: &mut Node| node.shared.clone().filter(Link::is_fit);
        if let Some(link) = self.known(name).and_then(|at| self.with_node(at, shared)) {
            return Ok(link);
        }
        let link = self.open(name, patience).await?;
        Ok(self.with_node(link.address().to_owned(), |node| {
            // Somebody else may have been faster.
            let shared = shared(node).unwrap_or(link);
            node.shared.insert(shared).clone()
        }))
    }

    /// A connection to this lock's server for one lock alone.
    pub async fn own(&self, name: &[u8], patience: Duration) -> RedisResult<Link> {
        let idle = |node: &mut Node| {
            while let Some(link) = node.idle.take() {
                if link.is_fit() {
                    return Some(link);
                }
            }
            None
        };
        match self.known(name).and_then(|at| self.with_node(at, idle)) {
            Some(link) => Ok(link),
            None => self.open(name, patience).await,
        }
    }

    /// Takes back a connection that no lock is bound to, and that no call waits on.
    pub fn give_back(&self, link: Link) {
        if link.is_fit() {
            let (address, now) = (link.address().to_owned(), Instant::now());
            let mut nodes = lock(&self.nodes);
            nodes.entry(address).or_default().idle.put(link, now);
            nodes.values_mut().for_each(|node| node.idle.drop_old(now));
        }
    }

    fn with_node<T>(&self, address: String, work: impl FnOnce(&mut Node) -> T) -> T {
        work(lock(&self.nodes).entry(address).or_default())
    }

    /// A node of the cluster has said which one serves a slot.
    pub fn moved(&self, slot: u16, address: &str, by: &Link) {
        lock(&self.slots).insert(slot, full(address, by.address()));
    }

    /// A connection to the node that this call alone is to be sent to.
    pub async fn at(&self, address: &str, by: &Link, patience: Duration) -> RedisResult<Link> {
        let info = self.node(&full(address, by.address()))?;
        Link::open(&info, patience).await
    }

    /// A server could not be reached, or may not be the right one any more: it is looked for again, and the connections to
    /// it are not used for new calls.
    pub fn doubt(&self, name: &[u8]) {
        let address = lock(&self.slots).remove(&self.slot(name));
        match address {
            Some(address) => drop(lock(&self.nodes).remove(&address)),
            // It was one of those that are known from the start.
            None => drop(self.seed.fetch_add(1, Relaxed)),
        }
    }

    /// Opens a connection to the server that this lock is on now.
    async fn open(&self, name: &[u8], patience: Duration) -> RedisResult<Link> {
        let opened = async {
            let info = self.locate(name, patience).await?;
            Link::open(&info, patience).await
        };
        let opened = opened.await;
        match &opened {
            Err(_) => self.doubt(name),
            Ok(link) => {
                let address = link.address().to_owned();
                lock(&self.slots).entry(self.slot(name)).or_insert(address);
            }
        }
        opened
    }

    /// The address of this lock's server, as far as it is known.
    fn known(&self, name: &[u8]) -> Option<String> {
        lock(&self.slots).get(&self.slot(name)).cloned()
    }

    fn slot(&self, name: &[u8]) -> u16 {
        match self.layout {
            Layout::Cluster(_) => slot(name),
            Layout::One(_) | Layout::Sentinel(_) => 0,
        }
    }

    async fn locate(&self, name: &[u8], patience: Duration) -> RedisResult<ConnectionInfo> {
        match &self.layout {
            Layout::One(info) => Ok((**info).clone()),
            Layout::Sentinel(client) => {
                let mut client = client.lock().await;
                let found = tokio::time::timeout(patience, client.async_get_client());
                let found = found.await.map_err(|_| timed_out())??;
                let info = found.get_connection_info().clone();
                lock(&self.slots).insert(0, info.addr().to_string());
                Ok(info)
            }
            Layout::Cluster(seeds) => match self.known(name) {
                Some(address) => self.node(&address),
                None => Ok(seeds[self.seed.load(Relaxed) % seeds.len()].clone()),
            },
        }
    }

    /// The node of a cluster at this address, with the settings of the others.
    fn node(&self, address: &str) -> RedisResult<ConnectionInfo> {
        let Layout::Cluster(seeds) = &self.layout else {
            return Err(not_a_cluster());
        };
        let parts = address.rsplit_once(':');
        let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        let Some((host, port)) = parts else {
            return Err(not_a_cluster());
        };
        let addr = match seeds[0].addr().clone() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure,
                tls_params,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(seeds[0].clone().set_addr(addr))
    }
}

/// What is said of a cluster that sends a call from node to node.
pub(crate) fn redirected_again() -> redis::RedisError {
    let text = "the cluster redirects the call again and again";
    (redis::ErrorKind::Client, text).into()
}

fn not_a_cluster() -> redis::RedisError {
    let text =
        "the server redirects to another: it is part of a cluster; open the client with its nodes";
    (redis::ErrorKind::InvalidClientConfig, text).into()
}

/// The address that a node names. Without a host it means its own.
fn full(address: &str, by: &str) -> String {
    match address.strip_prefix(':') {
        Some(port) => {
            let host = by.rsplit_once(':').map_or(by, |(host, _)| host);
            format!("{host}:{port}")
        }
        None => address.to_owned(),
    }
}

/// The slot of a key: what its hash tag says, if it has one. See the cluster specification of Redis.
fn slot(name: &[u8]) -> u16 {
    static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    let tag = name.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &name[open + 1..];
        let len = rest.iter().position(|byte| *byte == b'}')?;
        (len > 0).then(|| &rest[..len])
    });
    CRC.checksum(tag.unwrap_or(name)) % 16384
}

/// A panic of somebody else leaves these tables whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks the nodes of a cluster.
pub(crate) fn cluster(nodes: Vec<ConnectionInfo>) -> Result<Layout, Error> {
    if nodes.is_empty() {
        return Err(Error::Invalid(
            "a cluster needs the address of at least one node".to_owned(),
        ));
    }
    Ok(Layout::Cluster(nodes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), CRC16.checksum(b"foo{}{bar}") % 16384);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

    #[test]
    fn a_node_that_names_no_host_means_its_own() {
        assert_eq!(full(":7001", "10.0.0.1:7000"), "10.0.0.1:7001");
        assert_eq!(full("b:7001", "a:7000"), "b:7001");
    }
}
