//! The same locks for threads: calls that block.
//!
//! ```
//! use redis_reentrant_lock_client::blocking::LockClient;
//! # fn charge(_: &str, _: u64) {}
//! # let server = lock_test_support::Server::start();
//! let locks = LockClient::open("redis://127.0.0.1:6379")?;
//! # let locks = LockClient::open(server.url())?;
//! let guard = locks.lock("lock:orders").acquire()?;
//! guard.on_lost(|loss| {
//!     eprintln!("lock lost: {loss}");
//!     std::process::exit(1);
//! });
//! charge("order-17", guard.token());
//! guard.release()?;
//! # Ok::<(), redis_reentrant_lock_client::Error>(())
//! ```
//!
//! Connections are looked after by one thread of the process, which starts with the first call. After a `fork` without
//! `exec` it is missing: open no client before.

use crate::{Error, Loss};
use redis::IntoConnectionInfo;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Where the locks are: see [`crate::LockClient`], which it can be made [from](From).
#[derive(Debug, Clone)]
pub struct LockClient(crate::LockClient);

impl From<crate::LockClient> for LockClient {
    fn from(client: crate::LockClient) -> LockClient {
        LockClient(client)
    }
}

impl LockClient {
    /// Locks on one server: see [`crate::LockClient::open`].
    ///
    /// # Errors
    /// [`Error::Redis`] if the address is not valid. No connection is opened yet.
    pub fn open(address: impl IntoConnectionInfo) -> Result<LockClient, Error> {
        crate::LockClient::open(address).map(LockClient)
    }

    /// The lock of this name: see [`crate::LockClient::lock`].
    pub fn lock(&self, name: impl Into<Vec<u8>>) -> Lock {
        Lock(self.0.lock(name))
    }
}

/// A lock, as it is to be acquired: see [`crate::Lock`].
#[derive(Debug, Clone)]
pub struct Lock(crate::Lock);

impl From<crate::Lock> for Lock {
    fn from(lock: crate::Lock) -> Lock {
        Lock(lock)
    }
}

impl Lock {
    /// Makes it a lease lock: see [`crate::Lock::lease`].
    pub fn lease(self, lease: Duration) -> Lock {
        Lock(self.0.lease(lease))
    }

    /// Has the lease renewed in the background: see [`crate::Lock::renewed`].
    pub fn renewed(self) -> Lock {
        Lock(self.0.renewed())
    }

    /// Sets the lease of a session lock: see [`crate::Lock::session_lease`].
    pub fn session_lease(self, lease: Duration) -> Lock {
        Lock(self.0.session_lease(lease))
    }

    /// Acquires it for the owner of another lock that is held, so that deadlocks are noticed: see
    /// [`crate::Lock::as_owner_of`].
    pub fn as_owner_of(self, guard: &Guard) -> Lock {
        match &guard.guard {
            Some(guard) => Lock(self.0.as_owner_of(guard)),
            None => self,
        }
    }

    /// Acquires it, and waits for it as long as it takes: see [`crate::Lock::acquire`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn acquire(&self) -> Result<Guard, Error> {
        let lock = self.0.clone();
        run(async move { lock.acquire().await })?.map(Guard::new)
    }

    /// Acquires it if it is free now: see [`crate::Lock::try_acquire`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        let lock = self.0.clone();
        Ok(run(async move { lock.try_acquire().await })??.map(Guard::new))
    }

    /// Acquires it, and waits for it at most so long: see [`crate::Lock::acquire_within`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn acquire_within(&self, limit: Duration) -> Result<Option<Guard>, Error> {
        let lock = self.0.clone();
        Ok(run(async move { lock.acquire_within(limit).await })??.map(Guard::new))
    }
}

/// A lock that is held: see [`crate::Guard`]. Dropping it releases the lock, and waits until that is done.
#[derive(Debug)]
#[must_use = "the lock is released when its guard is dropped"]
pub struct Guard {
    /// Until it is dropped.
    guard: Option<crate::Guard>,
    token: u64,
}

impl Guard {
    fn new(guard: crate::Guard) -> Guard {
        Guard {
            token: guard.token(),
            guard: Some(guard),
        }
    }

    /// The fencing token: see [`crate::Guard::token`].
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The id of the owner: see [`crate::Guard::owner`].
    pub fn owner(&self) -> &str {
        self.guard.as_ref().map_or("", crate::Guard::owner)
    }

    /// Whether the lock is certainly held now.
    pub fn is_held(&self) -> bool {
        self.guard.as_ref().is_some_and(crate::Guard::is_held)
    }

    /// For how long the lock is certainly held from now on: see [`crate::Guard::valid_for`].
    pub fn valid_for(&self) -> Duration {
        self.guard
            .as_ref()
            .map_or(Duration::ZERO, crate::Guard::valid_for)
    }

    /// Has this called, on a thread of its own, at once when the lock is lost. It is never called if the lock is
    /// released instead. It must not panic.
    pub fn on_lost(&self, callback: impl FnOnce(Loss) + Send + 'static) {
        if let (Some(guard), Some(runtime)) = (&self.guard, runtime()) {
            let lost = guard.lost();
            runtime.spawn(async move {
                let loss = lost.await;
                std::thread::spawn(move || callback(loss));
            });
        }
    }

    /// Acquires the lock once more for the same owner: see [`crate::Guard::reenter`].
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost.
    pub fn reenter(&self) -> Result<Guard, Error> {
        let Some(guard) = &self.guard else {
            return Err(Error::Lost(Loss::Disconnected));
        };
        let hold = guard.hold();
        run(async move { hold.reenter().await })??;
        Ok(Guard::new(guard.again()))
    }

    /// Sets the time left of the lease to its full length again: see [`crate::Guard::renew`].
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost.
    pub fn renew(&self) -> Result<(), Error> {
        let Some(guard) = &self.guard else {
            return Err(Error::Lost(Loss::Disconnected));
        };
        let hold = guard.hold();
        run(async move { hold.renew().await })?
    }

    /// Releases this hold; the last one frees the lock: see [`crate::Guard::release`].
    ///
    /// # Errors
    /// As of [`crate::Guard::release`].
    pub fn release(mut self) -> Result<(), Error> {
        match self.guard.take() {
            Some(guard) => run(guard.release())?,
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        if let Ok(Err(error)) = run(guard.release()) {
            tracing::warn!(%error, "lock not released");
        }
    }
}

/// The thread that looks after the connections.
fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(1).thread_name("redis-lock");
        builder.enable_all().build().ok()
    };
    RUNTIME.get_or_init(start).as_ref()
}

/// Runs this on that thread, and waits for it. It may be called from anywhere, also from an `async` function, which it
/// then blocks.
pub(crate) fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    let failed = |text| Error::Redis((redis::ErrorKind::Client, text).into());
    let runtime =
        runtime().ok_or_else(|| failed("no thread could be started for the connections"))?;
    let (sender, receiver) = sync_channel(1);
    runtime.spawn(async move {
        let _ = sender.send(work.await);
    });
    receiver
        .recv()
        .map_err(|_| failed("the call ended without a result"))
}
