//! Redlock: one lock over several independent servers, held where a majority of them grants it.
//!
//! The algorithm is the published one ([Distributed locks with Redis][1]), on `LOCK.*`, so that it is reentrant and
//! each of its calls can be sent again: an owner that nobody can guess, the same lease on all servers, a limit for each
//! server far below the lease, a majority, validity = lease − elapsed − drift, a release on all servers, and pauses of
//! random length.
//!
//! ```
//! use redis_reentrant_lock_client::{redlock::Redlock, LockClient};
//! use std::time::Duration;
//! # async fn charge(_: &str) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), redis_reentrant_lock_client::Error> {
//! let hosts = ["a", "b", "c", "d", "e"];
//! let servers = hosts.map(|host| LockClient::open(format!("redis://{host}:6379")));
//! # let running = hosts.map(|_| lock_test_support::Server::start());
//! # let servers = running.each_ref().map(|server| LockClient::open(server.url()));
//! let servers = servers.into_iter().collect::<Result<Vec<_>, _>>()?;
//! let lock = Redlock::new(servers)?.lock("lock:orders", Duration::from_secs(10));
//! let mut guard = lock.acquire().await?;
//! charge("order-17").await;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **A server that restarts without its data breaks the promise**: it may grant a lock that another owner still holds.
//! Load the module with `max-ttl` at the lease or above, and `grace-period` at `max-ttl` or above: the server then grants
//! no lock for so long after a restart, which is the *delayed restart* that the algorithm asks for. Without it, each
//! server has to write everything to disk before it answers (`appendfsync always`).
//!
//! There is no fencing token: those of different servers do not compare. If the protected store can check tokens, one
//! server with a replica and a [grace period][2] is the better choice.
//!
//! [1]: https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/
//! [2]: https://github.com/redis-reentrant-lock/redis-reentrant-lock/blob/main/docs/guarantees.md

mod guard;
mod members;

pub use guard::RedlockGuard;

use crate::call::{Kind, millis};
use crate::client::LockClient;
use crate::error::Error;
use crate::moment::Moment;
use crate::pace::Pace;
use members::Members;
use std::sync::Arc;
use std::time::Duration;

/// The limit for a server, as a part of the lease.
const PART: u32 = 20;

/// The limit for a server is at most so long, unless it is set.
const LONGEST: Duration = Duration::from_millis(250);

/// The limit for a server is at least so long, unless it is set.
const SHORTEST: Duration = Duration::from_millis(5);

/// Independent servers, of which a majority grants a lock. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Redlock {
    servers: Arc<[LockClient]>,
    limit: Option<Duration>,
}

impl Redlock {
    /// One lock over these servers, which must not replicate from each other. Five are usual; an even number tolerates
    /// no more failures than the odd one below it.
    ///
    /// # Errors
    /// [`Error::Invalid`] without any server.
    pub fn new(servers: impl IntoIterator<Item = LockClient>) -> Result<Redlock, Error> {
        let servers: Arc<[LockClient]> = servers.into_iter().collect();
        match servers.is_empty() {
            true => Err(Error::Invalid(
                "Redlock needs at least one server".to_owned(),
            )),
            false => Ok(Redlock {
                servers,
                limit: None,
            }),
        }
    }

    /// How long to wait for each server: by default a twentieth of the lease, from 5 ms to 250 ms. It has to be far
    /// below the lease, since what it takes is taken from the validity.
    pub fn with_server_limit(self, limit: Duration) -> Redlock {
        Redlock {
            limit: Some(limit),
            ..self
        }
    }

    /// The lock of this name, with this lease (1 ms or more, rounded up to whole ms) on every server.
    pub fn lock(&self, name: impl Into<Vec<u8>>, lease: Duration) -> RedlockLock {
        let usual = (lease / PART).clamp(SHORTEST, LONGEST);
        RedlockLock {
            servers: self.servers.clone(),
            name: name.into(),
            lease,
            limit: self.limit.unwrap_or(usual),
        }
    }
}

/// A lock over several servers, as it is to be acquired. Each acquire has an owner of its own.
#[derive(Debug, Clone)]
pub struct RedlockLock {
    servers: Arc<[LockClient]>,
    name: Vec<u8>,
    lease: Duration,
    limit: Duration,
}

impl RedlockLock {
    /// Acquires it, and tries again for as long as it takes. There is no queue: those who wait poll.
    ///
    /// # Errors
    /// What a majority of the servers says, such as [`Error::NoModule`]. Servers that do not answer are no error.
    pub async fn acquire(&self) -> Result<RedlockGuard, Error> {
        loop {
            if let Some(guard) = self.obtain(None).await? {
                return Ok(guard);
            }
        }
    }

    /// Acquires it if it is free now. `None` if no majority of the servers granted it.
    ///
    /// # Errors
    /// [`Error::NoMajority`] if so few servers answered that nobody can hold it; what a majority of them says.
    pub async fn try_acquire(&self) -> Result<Option<RedlockGuard>, Error> {
        self.attempt().await
    }

    /// Acquires it, and tries again for at most so long.
    ///
    /// # Errors
    /// As of [`RedlockLock::try_acquire`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<Option<RedlockGuard>, Error> {
        self.obtain(Some(Moment::now().after(limit))).await
    }

    async fn obtain(&self, until: Option<Moment>) -> Result<Option<RedlockGuard>, Error> {
        let mut pace = Pace::new();
        loop {
            let outcome = self.attempt().await;
            match outcome {
                Ok(Some(guard)) => return Ok(Some(guard)),
                Ok(None) | Err(Error::NoMajority { .. }) => (),
                Err(error) => return Err(error),
            }
            if !pace.pause(until).await {
                return outcome;
            }
        }
    }

    async fn attempt(&self) -> Result<Option<RedlockGuard>, Error> {
        let kind = Kind::Lease(millis(self.lease)).check()?;
        let owner = uuid::Uuid::new_v4().to_string();
        let servers = self.servers.clone();
        let mut members = Members::new(servers, self.name.clone(), owner, kind, self.limit);
        let acquired = members.acquire().await;
        if let Ok(Some(until)) = acquired {
            return Ok(Some(RedlockGuard::new(members, until)));
        }
        // Also where it seems not to be granted: the reply may be on its way.
        members.release(0).await.ok();
        acquired.map(|_| None)
    }
}
