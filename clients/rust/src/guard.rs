//! A lock that is held, in its holder's hands.

use crate::error::{Error, Loss};
use crate::hold::{Hold, Phase};
use crate::watch::{Care, watch};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A lock that is held. Dropping it releases the lock in the background; [`Guard::release`] says whether that worked.
///
/// Each guard is one hold: [`Guard::reenter`] returns another one of the same owner, and the lock is free when all are
/// gone.
#[must_use = "the lock is released when its guard is dropped"]
pub struct Guard {
    hold: Arc<Hold>,
    runtime: Handle,
    is_live: bool,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("lock", &self.hold.name())
            .field("owner", &self.hold.owner())
            .field("token", &self.hold.token)
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub(crate) fn new(hold: Arc<Hold>, care: Care, lease: Duration) -> Guard {
        let runtime = Handle::current();
        runtime.spawn(watch(hold.clone(), care, lease));
        Guard {
            hold,
            runtime,
            is_live: true,
        }
    }

    /// The fencing token: larger than that of every earlier hold of the lock. Pass it on to what the lock protects, and
    /// have that refuse smaller ones: a process that was paused past its lease does not know it yet.
    pub fn token(&self) -> u64 {
        self.hold.token
    }

    /// The id of the owner, as `LOCK.INFO` shows it. Whoever knows it can release the lock.
    pub fn owner(&self) -> &str {
        self.hold.owner()
    }

    /// The name of the lock.
    pub fn name(&self) -> &[u8] {
        self.hold.ticket.name()
    }

    /// How many guards of this owner there are.
    pub async fn holds(&self) -> u32 {
        self.hold.holds().await
    }

    /// Whether the lock is certainly held now.
    pub fn is_held(&self) -> bool {
        self.is_live && self.hold.phase() == Phase::Held
    }

    /// For how long the lock is certainly held from now on; zero if it is lost. A session lock is confirmed again long
    /// before that.
    pub fn valid_for(&self) -> Duration {
        match self.is_held() {
            true => self.hold.valid_until().left(),
            false => Duration::ZERO,
        }
    }

    /// Completes when the lock is lost: stop the work then. For a session lock that is at once, since the server closes
    /// its connection; for a lease lock at the next renewal, or when its lease is over. It never completes if the lock
    /// is released instead.
    ///
    /// ```
    /// # async fn work() {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_reentrant_lock_client::Error> {
    /// # let server = lock_test_support::Server::start();
    /// # let locks = redis_reentrant_lock_client::LockClient::open(server.url())?;
    /// # let guard = locks.lock("lock:orders").acquire().await?;
    /// tokio::select! {
    ///     () = work() => println!("done"),
    ///     loss = guard.lost() => println!("stopped: {loss}"),
    /// }
    /// # guard.release().await
    /// # }
    /// ```
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + 'static {
        let mut phases = self.hold.phases();
        async move {
            let ended = phases.wait_for(|phase| *phase != Phase::Held).await;
            match ended.map(|phase| *phase) {
                Ok(Phase::Lost(loss)) => loss,
                _ => std::future::pending().await,
            }
        }
    }

    /// Acquires the lock once more for the same owner. It never waits. It can be cancelled: what the server has counted by
    /// then is released with the next guard.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost.
    pub async fn reenter(&self) -> Result<Guard, Error> {
        self.hold.reenter().await?;
        Ok(self.again())
    }

    /// What all guards of this owner share.
    pub(crate) fn hold(&self) -> Arc<Hold> {
        self.hold.clone()
    }

    /// A guard for one more hold, which the lock has already.
    pub(crate) fn again(&self) -> Guard {
        Guard {
            hold: self.hold.clone(),
            runtime: self.runtime.clone(),
            is_live: true,
        }
    }

    /// Sets the time left of the lease to its full length again. `lock.max-hold` on the server may bound it.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost.
    pub async fn renew(&self) -> Result<(), Error> {
        self.hold.renew().await
    }

    /// Releases this hold; the last one frees the lock. If the server refuses a release, the release of the next guard
    /// makes up for it. If it refuses that of the last one, the lock ends with its connection or its lease.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock was lost before: the work may have run beside another owner's.
    /// [`Error::Unreachable`] if no server answered while the lease lasted: the lock has ended by now.
    pub async fn release(mut self) -> Result<(), Error> {
        self.is_live = false;
        let hold = self.hold.clone();
        // It goes on if the caller is cancelled.
        let released = self.runtime.spawn(async move { hold.release().await });
        match released.await {
            Ok(outcome) => outcome,
            // The runtime is shutting down.
            Err(_) => Err(Error::Lost(Loss::Disconnected)),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !std::mem::take(&mut self.is_live) {
            return;
        }
        let hold = self.hold.clone();
        self.runtime.spawn(async move {
            if let Err(error) = hold.release().await {
                tracing::warn!(lock = %hold.name(), owner = %hold.owner(), %error, "lock not released");
            }
        });
    }
}
