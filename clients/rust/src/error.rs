//! What can go wrong.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a lock is not held any more although it was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The server says that the owner does not hold it: it was released by force, deleted, or granted to another owner
    /// after its lease.
    #[error("the server says that this owner does not hold it any more")]
    Taken,
    /// The connection that it was bound to has closed.
    #[error("the connection of its session has closed")]
    Disconnected,
    /// Its lease is over, as far as this process can tell: no server has confirmed it in time.
    #[error("its lease is over, and no server has confirmed it in time")]
    LeaseOver,
}

/// Why a call failed. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lock was lost while it was held. What was done under it may have run beside another owner.
    #[error(
        "the lock was lost: {0}; stop the work, and check the fencing token where it is written"
    )]
    Lost(#[from] Loss),
    /// The wait would never end: owners wait for each other.
    #[error("{0}; release the locks that are held, and begin again")]
    Deadlock(String),
    /// As many calls wait as `lock.max-waiters` allows.
    #[error("{0}; try again later, or raise lock.max-waiters")]
    TooManyWaiters(String),
    /// An operator ended the wait with `CLIENT UNBLOCK`.
    #[error("an operator ended the wait (CLIENT UNBLOCK)")]
    Unblocked,
    /// The user may not make the call.
    #[error(
        "{0}; the user needs +lock.acquire +lock.release +lock.renew and a pattern for the lock's name, \
         such as ~lock:*"
    )]
    Denied(String),
    /// The key holds something that is not a lock.
    #[error("the key holds something that is not a lock ({0}); use another name")]
    NotALock(String),
    /// The server has not loaded the module.
    #[error(
        "the server has not loaded the module redis-reentrant-lock; add its loadmodule line to the configuration"
    )]
    NoModule,
    /// An argument is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The server's reply is not one of the module's.
    #[error("the server answered {0}, which is no reply of this command")]
    Protocol(String),
    /// No server could be reached, or none answered. After an acquire its outcome is unknown: at worst the lock is held
    /// until its lease ends.
    #[error("no server answered: {0}")]
    Unreachable(#[source] RedisError),
    /// Of several independent servers ([`crate::redlock`]) too few answered.
    #[error(
        "only {answered} servers did this in time, and {needed} are needed; look at the others"
    )]
    NoMajority {
        /// How many did it.
        answered: usize,
        /// How many are a majority.
        needed: usize,
    },
    /// Any other error of the server.
    #[error(transparent)]
    Redis(RedisError),
}

/// What an error of a call means for it.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The owner does not hold the lock with that token.
    Gone,
    /// The key is served by another node, at this address.
    Moved(u16, String),
    /// For this call alone.
    Ask(String),
    /// The server cannot serve it now.
    Later(RedisError),
    /// The reply was lost: its outcome is unknown.
    Broken(RedisError),
    /// It will not work the next time either.
    Final(Error),
}

impl Verdict {
    /// What this error means.
    pub fn of(error: RedisError) -> Verdict {
        let text = |error: &RedisError| {
            let (code, detail) = (error.code(), error.detail());
            format!("{} {}", code.unwrap_or("ERR"), detail.unwrap_or_default())
        };
        if let Some((address, slot)) = error.redirect_node() {
            let address = address.to_owned();
            return match error.kind() {
                ErrorKind::Server(ServerErrorKind::Ask) => Verdict::Ask(address),
                _ => Verdict::Moved(slot, address),
            };
        }
        let Some(code) = error.code() else {
            return match error.kind() {
                ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
                    Verdict::Final(Error::Redis(error))
                }
                _ => Verdict::Broken(error),
            };
        };
        let detail = error.detail().unwrap_or_default();
        match code {
            "NOTOWNER" | "HOLDCOUNT" => Verdict::Gone,
            "TRYAGAIN" | "CLUSTERDOWN" | "READONLY" | "LOADING" | "MASTERDOWN" => {
                Verdict::Later(error)
            }
            // Said by the module, and by the server itself.
            "UNBLOCKED"
                if detail.contains("role has changed") || detail.contains("state changed") =>
            {
                Verdict::Later(error)
            }
            "UNBLOCKED" => Verdict::Final(Error::Unblocked),
            "DEADLOCK" => Verdict::Final(Error::Deadlock(text(&error))),
            "TOOMANYWAITERS" => Verdict::Final(Error::TooManyWaiters(text(&error))),
            "NOPERM" => Verdict::Final(Error::Denied(text(&error))),
            "WRONGTYPE" => Verdict::Final(Error::NotALock(text(&error))),
            "ERR" if detail.contains("unknown command") => Verdict::Final(Error::NoModule),
            _ => Verdict::Final(Error::Redis(error)),
        }
    }
}

/// A call that was not answered in time.
pub(crate) fn timed_out() -> RedisError {
    RedisError::from(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the server did not answer in time",
    ))
}
