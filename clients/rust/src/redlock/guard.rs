//! A lock that a majority of the servers has granted.

use super::members::Members;
use crate::error::{Error, Loss};
use crate::moment::Moment;
use std::time::Duration;

/// A lock that is held. Dropping it releases the lock in the background.
///
/// It is valid for a time: [`RedlockGuard::extend`] prolongs that.
#[must_use = "the lock is released when its guard is dropped"]
pub struct RedlockGuard {
    members: Members,
    until: Moment,
    holds: u32,
}

impl std::fmt::Debug for RedlockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedlockGuard")
            .field("owner", &self.members.owner())
            .field("holds", &self.holds)
            .finish_non_exhaustive()
    }
}

impl RedlockGuard {
    pub(super) fn new(members: Members, until: Moment) -> RedlockGuard {
        RedlockGuard {
            members,
            until,
            holds: 1,
        }
    }

    /// The id of the owner. Whoever knows it can release the lock.
    pub fn owner(&self) -> &str {
        self.members.owner()
    }

    /// How often it is held.
    pub fn holds(&self) -> u32 {
        self.holds
    }

    /// For how long the lock is valid from now on; zero if that is over. Stop the work before.
    pub fn valid_for(&self) -> Duration {
        self.until.left()
    }

    /// Acquires it once more for the same owner. It never waits. It can be cancelled: what the servers have counted by
    /// then is released with the next release.
    ///
    /// # Errors
    /// [`Error::Lost`] if it is not valid any more; [`Error::NoMajority`] if no majority of the servers confirmed it. It
    /// is valid as long as before then.
    pub async fn reenter(&mut self) -> Result<(), Error> {
        self.expect_valid()?;
        match self.members.reenter(self.holds + 1).await {
            Ok(until) => {
                self.holds += 1;
                self.until = self.until.max(until);
                Ok(())
            }
            Err(error) => {
                // What some servers counted is undone.
                self.members.release(self.holds).await.ok();
                Err(error)
            }
        }
    }

    /// Sets the time left of the lease to its full length again, on all servers that have the lock.
    ///
    /// # Errors
    /// [`Error::Lost`] if it is not valid any more; [`Error::NoMajority`] if no majority of the servers confirmed it. It
    /// is valid as long as before then.
    pub async fn extend(&mut self) -> Result<(), Error> {
        self.expect_valid()?;
        self.until = self.members.renew().await?;
        Ok(())
    }

    /// Releases one hold; the last one frees the lock on all servers. What a server refuses or misses, the next release
    /// makes up for.
    ///
    /// # Errors
    /// [`Error::Lost`] if a majority of the servers says that it had ended before, or its validity was over;
    /// [`Error::NoMajority`] if too few servers answered: there it ends with its lease.
    pub async fn release(&mut self) -> Result<(), Error> {
        let Some(left) = self.holds.checked_sub(1) else {
            return Err(Error::Invalid("the lock was released before".to_owned()));
        };
        let valid = self.expect_valid();
        self.holds = left;
        let released = self.members.release(left).await;
        if left == 0 && released.is_err() {
            // Where an earlier call was still on its way.
            self.members.release(0).await.ok();
        }
        valid.and(released)
    }

    fn expect_valid(&self) -> Result<(), Error> {
        match self.until.is_over() {
            true => Err(Error::Lost(Loss::LeaseOver)),
            false => Ok(()),
        }
    }
}
