//! A connection.

use crate::error::timed_out;
use redis::aio::{ConnectionLike, MultiplexedConnection, SendError};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisResult, Value,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{OnceCell, watch};

/// A connection. It closes when its last clone is dropped, also if a call on it has no reply yet.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    closed: watch::Receiver<bool>,
    /// A call was not answered in time, and nothing was since.
    silent: Arc<AtomicBool>,
    address: Arc<str>,
    /// After how long without a call the server closes it, once that was asked.
    idle_limit: Arc<OnceCell<Option<Duration>>>,
}

impl Link {
    /// Opens one.
    pub async fn open(info: &ConnectionInfo, patience: Duration) -> RedisResult<Link> {
        // A dead host is noticed after half a minute, also while a call waits.
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15));
        let keepalive = keepalive.with_interval(Duration::from_secs(5));
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        let keepalive = keepalive.with_retries(3);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        // The system does not probe while data is not acknowledged, such as a call that was just sent.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(Duration::from_secs(30));
        // With RESP3 the library tells of the end of a connection as it does of messages.
        let redis = info.redis_settings().clone();
        let redis = redis.set_protocol(ProtocolVersion::RESP3);
        let info = info.clone().set_tcp_settings(tcp).set_redis_settings(redis);
        let address = info.addr().to_string().into();
        let (sender, closed) = watch::channel(false);
        let push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                sender.send_replace(true);
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(None)
            .set_push_sender(push);
        let client = Client::open(info)?;
        let opened = client.get_multiplexed_async_connection_with_config(&config);
        // The library's own limit does not cover the handshake.
        let connection = tokio::time::timeout(patience, opened)
            .await
            .map_err(|_| timed_out())??;
        Ok(Link {
            connection,
            closed,
            silent: Arc::default(),
            address,
            idle_limit: Arc::default(),
        })
    }

    /// Sends a command, and waits for its reply, at most so long.
    pub async fn call(&self, cmd: &Cmd, limit: Option<Duration>) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        let reply = async { connection.req_packed_command(cmd).await };
        self.within(limit, reply).await?.extract_error()
    }

    /// As [`Link::call`], after `ASKING`.
    pub async fn call_asking(&self, cmd: &Cmd, limit: Option<Duration>) -> RedisResult<Value> {
        let cmds = [redis::cmd("ASKING"), cmd.clone()];
        let mut replies = self.call_all(&cmds, limit).await?;
        replies.pop().unwrap_or(Value::Nil).extract_error()
    }

    /// Sends commands together, and waits for all replies, at most so long. Errors of the server are among them.
    pub async fn call_all(&self, cmds: &[Cmd], limit: Option<Duration>) -> RedisResult<Vec<Value>> {
        let mut pipe = Pipeline::new();
        for cmd in cmds {
            pipe.add_command(cmd.clone());
        }
        let mut connection = self.connection.clone();
        let replies = async { connection.req_packed_commands(&pipe, 0, cmds.len()).await };
        self.within(limit, replies).await
    }

    async fn within<T>(
        &self,
        limit: Option<Duration>,
        reply: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let reply = match limit {
            None => reply.await,
            Some(limit) => match tokio::time::timeout(limit, reply).await {
                Ok(reply) => reply,
                Err(_) => {
                    self.silent.store(true, Relaxed);
                    return Err(timed_out());
                }
            },
        };
        self.silent.store(false, Relaxed);
        reply
    }

    /// After how long without a call the server closes the connection (its setting `timeout`), if it does, and the user
    /// may know. It is asked once.
    pub async fn idle_limit(&self) -> Option<Duration> {
        let ask = async {
            let mut cmd = redis::cmd("CONFIG");
            cmd.arg("GET").arg("timeout");
            let reply = self.call(&cmd, None).await.ok()?;
            let settings: HashMap<String, u64> = redis::from_redis_value(reply).ok()?;
            let seconds = *settings.get("timeout")?;
            (seconds > 0).then(|| Duration::from_secs(seconds))
        };
        *self.idle_limit.get_or_init(|| ask).await
    }

    /// Waits until the connection is closed.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        // The sender is gone with the connection.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Whether it is open, as far as is known.
    pub fn is_open(&self) -> bool {
        !*self.closed.borrow() && self.closed.has_changed().is_ok()
    }

    /// Whether it is of use: open, and not known to be silent.
    pub fn is_fit(&self) -> bool {
        self.is_open() && !self.silent.load(Relaxed)
    }

    /// The address of the server.
    pub fn address(&self) -> &str {
        &self.address
    }
}
