//! What a command needs from the server, and what it returns.

use super::Binding;
use crate::grace;
use crate::lock::{Change, Error, Grant, Hold, Millis, Now, Tokens, View};
use crate::settings::Settings;

/// The one key that a command works on, the clock, and what the module remembers.
pub trait Store {
    /// The time, read once a command.
    fn now(&self) -> Now;

    /// The settings now.
    fn settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> R;

    /// What is left of a grace period, in which no free lock is granted.
    fn grace(&self) -> Option<grace::Left>;

    /// The lock as this owner sees it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key does not hold a lock.
    fn view(&mut self, owner: &[u8]) -> Result<View, Error>;

    /// The holder of the lock, whoever it is; none if it is free.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key does not hold a lock.
    fn holder(&mut self) -> Result<Option<Holder>, Error>;

    /// The holder of the lock, for a forced release: also if its token is so far ahead of the clock
    /// that all other commands refuse the lock.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key does not hold a lock.
    fn holder_to_free(&mut self) -> Result<Option<Holder>, Error>;

    /// Works with the source of fencing tokens.
    fn tokens<R>(&mut self, work: impl FnOnce(&mut Tokens) -> R) -> R;

    /// Writes the change of that owner's hold, propagates it, and notifies those who listen.
    fn apply(&mut self, owner: &[u8], change: &Change);

    /// Records that a call which did not wait got the reply that its owner has this hold.
    fn answered(&mut self, grant: &Grant);

    /// Checks that the call comes from a connection that a session can be bound to.
    ///
    /// # Errors
    /// [`super::Error::NoConnection`] in scripts and functions, [`super::Error::OnReplica`].
    fn check_connection(&self) -> Result<(), super::Error>;

    /// Binds the owner's hold to the connection that the call came from.
    fn bind(&mut self, owner: &[u8], grant: &Grant, session: Binding);

    /// Whether the lock is bound to a connection.
    fn has_session(&mut self) -> bool;

    /// Sets the ttl that the lock's session renews with.
    fn set_session_ttl(&mut self, ttl: Millis);

    /// Whether the caller can be blocked. Not in `MULTI`, scripts and functions.
    fn may_wait(&self) -> bool;

    /// Puts the call at the end of the queue, for so long; 0 means no limit. It gets its reply later.
    ///
    /// # Errors
    /// [`super::Error::TooManyWaiters`], and [`super::Error::Deadlock`] if the wait would close a
    /// cycle.
    fn wait(
        &mut self,
        owner: &[u8],
        request: crate::lock::Acquire,
        session: Option<Binding>,
        wait: Millis,
    ) -> Result<(), super::Error>;

    /// The calls that wait for this lock.
    fn line(&mut self) -> Line;

    /// The locks of this database that are waited for, the longest queue first: at most so many, and
    /// only those that the caller may read.
    fn lines(&mut self, most: usize) -> Vec<LineOf>;

    /// Counts for `INFO lock`.
    fn count(&mut self, counter: fn(&mut Counters) -> &mut u64);
}

/// The holder of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub owner: Vec<u8>,
    /// What it holds.
    pub hold: Hold,
}

/// What a command replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Four integers: acquired, holds, token, ttl.
    Grant(Grant),
    /// An integer.
    Integer(i64),
    /// The simple string `OK`.
    Ok,
    /// Null.
    Null,
    /// A map: who holds the lock, and who waits for it.
    Info(LockInfo),
    /// A list of such maps, each with the name of its lock.
    Lines(Vec<(Vec<u8>, LockInfo)>),
    /// No reply yet: the call waits.
    Later,
}

/// The calls that wait for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How many wait.
    pub waiters: usize,
    /// The first of them, in order, and how long they have waited.
    pub queue: Vec<(Vec<u8>, Millis)>,
}

/// A lock that is waited for.
pub struct LineOf {
    /// Its name.
    pub lock: Vec<u8>,
    /// The holder; none if the lock is free but cannot be granted for now.
    pub holder: Option<Holder>,
    /// Whether the hold is bound to a connection.
    pub session: bool,
    /// Those who wait.
    pub line: Line,
}

/// What `LOCK.INFO` replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// The holder's name.
    pub owner: Option<Vec<u8>>,
    /// Its holds, its token, and the time left.
    pub grant: Grant,
    /// Whether the hold is bound to a connection.
    pub session: bool,
    /// Those who wait.
    pub line: Line,
}

impl LockInfo {
    /// What to reply about a lock now.
    pub fn of(holder: Option<Holder>, session: bool, line: Line, now: Now) -> LockInfo {
        let grant = holder.as_ref().map_or(Grant::NONE, |holder| Grant {
            holds: holder.hold.holds,
            fence: holder.hold.fence,
            ttl: holder.hold.deadline.left(now),
        });
        LockInfo {
            owner: holder.map(|holder| holder.owner),
            grant,
            session,
            line,
        }
    }
}

/// Event counts since the module was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Free locks that were taken.
    pub acquired: u64,
    /// Acquires by the holder, including repeats with `HOLDS`.
    pub reentered: u64,
    /// Acquires that found another holder.
    pub busy: u64,
    /// Releases that freed the lock.
    pub released: u64,
    /// Renewals.
    pub renewed: u64,
    /// Locks that `LOCK.FORCERELEASE` freed.
    pub forced: u64,
    /// Asserts by an owner that does not hold the lock.
    pub asserts_failed: u64,
    /// Locks that went straight to the first in the queue.
    pub handed_over: u64,
    /// Acquires that began to wait.
    pub waits_started: u64,
    /// Waits whose timeout passed.
    pub waits_timed_out: u64,
    /// Waits that ended because the client disconnected or was unblocked, or the server was demoted.
    pub waits_cancelled: u64,
    /// Leases that ended while a call waited for the lock.
    pub expired_while_waited_for: u64,
    /// Waits refused because of a deadlock.
    pub deadlocks_refused: u64,
    /// Leases that the server renewed for a session.
    pub sessions_renewed: u64,
    /// Sessions that ended because their connection closed.
    pub sessions_ended: u64,
    /// Sessions whose lock was lost while their connection was open.
    pub sessions_lost: u64,
}

impl Counters {
    /// Nothing happened yet.
    pub const fn new() -> Counters {
        Counters {
            acquired: 0,
            reentered: 0,
            busy: 0,
            released: 0,
            renewed: 0,
            forced: 0,
            asserts_failed: 0,
            handed_over: 0,
            waits_started: 0,
            waits_timed_out: 0,
            waits_cancelled: 0,
            expired_while_waited_for: 0,
            deadlocks_refused: 0,
            sessions_renewed: 0,
            sessions_ended: 0,
            sessions_lost: 0,
        }
    }
}
