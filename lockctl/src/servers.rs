//! Where the locks are, and the connections for administrative commands.

use crate::status::Failure;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, TlsMode, Value,
};
use redis_reentrant_lock_client::LockClient;
use std::time::Duration;

/// How long a connection, and a reply, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a slot that moves meanwhile is looked for.
const REDIRECTIONS: u32 = 5;

/// What each server said, by its address.
pub type Each<T> = Vec<(String, Result<T, Failure>)>;

/// Where the locks are.
pub enum Target {
    One(Box<ConnectionInfo>),
    Sentinel(Box<Sentinel>),
    /// Some of the nodes.
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels, and the name of the master they watch.
pub struct Sentinel {
    nodes: Vec<ConnectionInfo>,
    name: String,
    /// How the master is logged in to.
    master: SentinelNodeConnectionInfo,
}

impl Sentinel {
    fn client(&self) -> Result<SentinelClient, RedisError> {
        let (nodes, master) = (self.nodes.clone(), Some(self.master.clone()));
        SentinelClient::build(nodes, self.name.clone(), master, SentinelServerType::Master)
    }
}

impl Target {
    /// A server.
    pub fn one(urls: &[String]) -> Result<Target, Failure> {
        match urls {
            [url] => Ok(Target::One(Box::new(parse(url)?))),
            _ => Err(Failure::new(
                "several --url need --cluster or --sentinel NAME: say which of them they are for",
            )),
        }
    }

    /// A cluster.
    pub fn cluster(urls: &[String]) -> Result<Target, Failure> {
        let nodes = urls.iter().map(|url| parse(url));
        Ok(Target::Cluster(nodes.collect::<Result<_, _>>()?))
    }

    /// The master that the sentinels name.
    pub fn sentinel(
        urls: &[String],
        name: &str,
        password: Option<&str>,
    ) -> Result<Target, Failure> {
        let nodes: Vec<ConnectionInfo> = urls
            .iter()
            .map(|url| parse(url))
            .collect::<Result<_, _>>()?;
        let first = &nodes[0];
        let master = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(first.redis_settings().clone());
        let master = match first.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => master.set_tls_mode(TlsMode::Insecure),
            ConnectionAddr::TcpTls { .. } => master.set_tls_mode(TlsMode::Secure),
            _ => master,
        };
        let mut login = RedisConnectionInfo::default();
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let nodes = nodes
            .into_iter()
            .map(|node| node.set_redis_settings(login.clone()));
        Ok(Target::Sentinel(Box::new(Sentinel {
            nodes: nodes.collect(),
            name: name.to_owned(),
            master,
        })))
    }

    /// The client that takes locks there.
    pub fn locks(&self) -> Result<LockClient, Failure> {
        Ok(match self {
            Target::One(info) => LockClient::open((**info).clone())?,
            Target::Sentinel(sentinel) => LockClient::with_sentinel(sentinel.client()?),
            Target::Cluster(nodes) => LockClient::with_cluster(nodes.clone())?,
        })
    }

    /// A connection to any of them, which shows that one can be reached.
    pub async fn reach(&self) -> Result<Server, Failure> {
        match self {
            Target::One(info) => Server::open(info).await,
            Target::Sentinel(sentinel) => {
                let failed = |error: &dyn std::fmt::Display| {
                    let name = &sentinel.name;
                    Failure(format!(
                        "the sentinels name no master {name:?}: {error}; check --url and --sentinel"
                    ))
                };
                let mut client = sentinel.client()?;
                let found = tokio::time::timeout(PATIENCE, client.async_get_client()).await;
                let found = found.map_err(|_| failed(&"none answered in time"))?;
                Server::open(found.map_err(|error| failed(&error))?.get_connection_info()).await
            }
            Target::Cluster(nodes) => {
                let mut failed = Failure::new("a cluster needs the --url of at least one node");
                for node in nodes {
                    match Server::open(node).await {
                        Ok(server) => return Ok(server),
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
        }
    }

    /// Every primary: those of a cluster that have slots. A primary that cannot be reached is a failure of its own.
    pub async fn primaries(&self) -> Result<Each<Server>, Failure> {
        let mut server = self.reach().await?;
        if !matches!(self, Target::Cluster(_)) {
            return Ok(vec![(server.address.clone(), Ok(server))]);
        }
        let mut infos: Vec<ConnectionInfo> = Vec::new();
        for range in server.slots().await? {
            let address = range.primary.addr().to_string();
            if infos.iter().all(|info| info.addr().to_string() != address) {
                infos.push(range.primary);
            }
        }
        // All at once: one that does not answer must not add its delay to that of another.
        let opens = infos.into_iter().map(|info| {
            let address = info.addr().to_string();
            (
                address,
                tokio::spawn(async move { Server::open(&info).await }),
            )
        });
        let opens: Vec<_> = opens.collect();
        let mut primaries = Vec::new();
        for (address, open) in opens {
            let failed = |error| Err(Failure(format!("cannot connect to {address}: {error}")));
            let server = open.await.unwrap_or_else(failed);
            primaries.push((address, server));
        }
        Ok(primaries)
    }

    /// Sends a command about a key to the server that has it.
    pub async fn ask(&self, key: &[u8], cmd: &Cmd) -> Result<(Value, String), Failure> {
        let mut server = self.reach().await?;
        if !matches!(self, Target::Cluster(_)) {
            return Ok((server.call(cmd).await?, server.address));
        }
        for attempt in 0..REDIRECTIONS {
            let mut find = redis::cmd("CLUSTER");
            let slot: u16 =
                redis::from_redis_value(server.call(find.arg("KEYSLOT").arg(key)).await?)
                    .map_err(RedisError::from)?;
            let ranges = server.slots().await?;
            let Some(range) = ranges.into_iter().find(|range| range.has(slot)) else {
                return Err(Failure(format!(
                    "no node of the cluster serves slot {slot}, which the lock is in"
                )));
            };
            let mut primary = Server::open(&range.primary).await?;
            match primary.call(cmd).await {
                Ok(value) => return Ok((value, primary.address)),
                // The node that was asked for the slots did not know it yet.
                Err(error) if error.redirect_node().is_some() => server = primary,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        Err(Failure::new(
            "the slot of the lock is being moved; try again later",
        ))
    }
}

/// Slots, and the node that serves them.
struct Range {
    first: u16,
    last: u16,
    primary: ConnectionInfo,
}

impl Range {
    fn has(&self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

/// A connection to one server.
pub struct Server {
    info: ConnectionInfo,
    /// host:port
    pub address: String,
    connection: MultiplexedConnection,
}

impl Server {
    /// Connects.
    async fn open(info: &ConnectionInfo) -> Result<Server, Failure> {
        let address = info.addr().to_string();
        let failed = |error: RedisError| Failure::connecting(&address, &error);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(info.clone()).map_err(failed)?;
        let opened = client.get_multiplexed_async_connection_with_config(&config);
        // The library's own limit does not cover the login.
        let connection = tokio::time::timeout(PATIENCE, opened)
            .await
            .map_err(|_| failed(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?
            .map_err(failed)?;
        Ok(Server {
            info: info.clone(),
            address,
            connection,
        })
    }

    /// Sends a command.
    pub async fn call(&mut self, cmd: &Cmd) -> Result<Value, RedisError> {
        self.connection
            .req_packed_command(cmd)
            .await?
            .extract_error()
    }

    /// Sends commands in one packet. An error of one of them is a value among the replies.
    pub async fn call_all(
        &mut self,
        cmds: impl IntoIterator<Item = Cmd>,
    ) -> Result<Vec<Value>, RedisError> {
        let mut pipe = Pipeline::new();
        for cmd in cmds {
            pipe.add_command(cmd);
        }
        let count = pipe.len();
        self.connection.req_packed_commands(&pipe, 0, count).await
    }

    async fn slots(&mut self) -> Result<Vec<Range>, Failure> {
        let mut cmd = redis::cmd("CLUSTER");
        let reply = self.call(cmd.arg("SLOTS")).await?;
        let Value::Array(ranges) = &reply else {
            return Err(unexpected("CLUSTER SLOTS"));
        };
        let ranges = ranges.iter().map(|range| self.range(range));
        ranges
            .collect::<Option<_>>()
            .ok_or_else(|| unexpected("CLUSTER SLOTS"))
    }

    /// `[first, last, [host, port, ...], ...]`: the primary comes first.
    fn range(&self, range: &Value) -> Option<Range> {
        let Value::Array(parts) = range else {
            return None;
        };
        let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = parts.as_slice() else {
            return None;
        };
        let [host, Value::Int(port), ..] = node.as_slice() else {
            return None;
        };
        let host: Option<String> = redis::from_redis_value(host.clone()).ok();
        Some(Range {
            first: u16::try_from(*first).ok()?,
            last: u16::try_from(*last).ok()?,
            primary: self.beside(host, u16::try_from(*port).ok()?),
        })
    }

    /// Another node of its cluster. A host that is not known is the one that was asked.
    fn beside(&self, host: Option<String>, port: u16) -> ConnectionInfo {
        let host = host.filter(|host| !host.is_empty() && host != "?");
        let addr = match self.info.addr().clone() {
            ConnectionAddr::TcpTls {
                host: own,
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: host.unwrap_or(own),
                port,
                insecure,
                tls_params,
            },
            ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(host.unwrap_or(own), port),
            _ => ConnectionAddr::Tcp(host.unwrap_or_else(|| "127.0.0.1".to_owned()), port),
        };
        self.info.clone().set_addr(addr)
    }
}

/// A reply that is none of the command's.
pub fn unexpected(command: &str) -> Failure {
    Failure(format!(
        "the server's reply to {command} is not one that lockctl knows"
    ))
}

/// The address, never with its password in an error.
fn parse(url: &str) -> Result<ConnectionInfo, Failure> {
    url.into_connection_info().map_err(|error| {
        Failure(format!(
            "--url is not valid ({error}); it may be redis://[user:password@]host[:port][/database]{} or unix:///path",
            if cfg!(feature = "tls") { ", rediss://…" } else { "" }
        ))
    })
}
