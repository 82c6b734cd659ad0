//! The client: where the locks are.

use crate::error::Error;
use crate::servers::{Layout, Servers, cluster};
use redis::sentinel::SentinelClient;
use redis::{ConnectionInfo, IntoConnectionInfo};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for a connection, and for the reply to a call that does not wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the locks are: a server, a master that Sentinel names, or a cluster. Cheap to clone.
///
/// It opens connections when they are needed: one for all calls that are answered at once, and one for each call that
/// waits and each lock that is bound to its connection. Its methods need a Tokio runtime.
#[derive(Clone)]
pub struct LockClient {
    pub(crate) servers: Arc<Servers>,
    pub(crate) patience: Duration,
}

impl std::fmt::Debug for LockClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockClient").finish_non_exhaustive()
    }
}

impl LockClient {
    /// Locks on one server. `address` is as the `redis` crate takes it: `redis://user:password@host:port/database`,
    /// `rediss://` with the feature `tls`, `unix:///path`.
    ///
    /// ```
    /// # use redis_reentrant_lock_client::LockClient;
    /// let locks = LockClient::open("redis://127.0.0.1:6379")?;
    /// # Ok::<(), redis_reentrant_lock_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Redis`] if the address is not valid. No connection is opened yet.
    pub fn open(address: impl IntoConnectionInfo) -> Result<LockClient, Error> {
        Ok(LockClient::on(Layout::One(Box::new(info(address)?))))
    }

    /// Locks on the master that Sentinel names. It is asked for each time a connection is opened.
    ///
    /// ```
    /// # use redis_reentrant_lock_client::LockClient;
    /// use redis::sentinel::{SentinelClient, SentinelServerType};
    /// let sentinels = vec!["redis://127.0.0.1:26379", "redis://127.0.0.1:26380"];
    /// let master = SentinelServerType::Master;
    /// let sentinel = SentinelClient::build(sentinels, "mymaster".to_owned(), None, master)?;
    /// let locks = LockClient::with_sentinel(sentinel);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    pub fn with_sentinel(sentinel: SentinelClient) -> LockClient {
        LockClient::on(Layout::Sentinel(Box::new(sentinel.into())))
    }

    /// Locks in a cluster. One node's address suffices, more help when that node is down.
    ///
    /// ```
    /// # use redis_reentrant_lock_client::LockClient;
    /// let locks = LockClient::with_cluster(["redis://127.0.0.1:7000", "redis://127.0.0.1:7001"])?;
    /// # Ok::<(), redis_reentrant_lock_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Redis`] if an address is not valid, [`Error::Invalid`] without any.
    pub fn with_cluster<A: IntoConnectionInfo>(
        nodes: impl IntoIterator<Item = A>,
    ) -> Result<LockClient, Error> {
        let nodes = nodes.into_iter().map(info).collect::<Result<_, _>>()?;
        Ok(LockClient::on(cluster(nodes)?))
    }

    fn on(layout: Layout) -> LockClient {
        LockClient {
            servers: Arc::new(Servers::new(layout)),
            patience: PATIENCE,
        }
    }

    /// How long to wait for a connection, and for the reply to a call that does not wait in the queue: 5 seconds by
    /// default. For so long `try_acquire` tries again when a server does not answer. Clones keep their own.
    pub fn with_patience(self, patience: Duration) -> LockClient {
        LockClient { patience, ..self }
    }
}

fn info(address: impl IntoConnectionInfo) -> Result<ConnectionInfo, Error> {
    address.into_connection_info().map_err(Error::Redis)
}
