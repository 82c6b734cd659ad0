//! The port: what the engine asks of the server, synchronously. [`crate::module`] implements it with the
//! server's API, the simulator with a data set of its own.

use crate::lock::{Deadline, Error, Fence, Holder, KeyRef, Now, Stored, Tick};
use std::sync::Arc;

/// A client's connection: the server's id of it. A younger one has a larger id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// The name of a user.
pub type UserName = Arc<[u8]>;

/// The time of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The wall clock, by which leases end.
    pub now: Now,
    /// The monotonic clock, by which waits end.
    pub tick: Tick,
}

/// What the engine asks of the server while it handles one event.
///
/// Reads see what was written before. A key whose lease is over may still be there, or be gone.
pub trait Server {
    /// The wall clock. It stands still while one event is handled.
    fn now(&mut self) -> Now;

    /// The monotonic clock. It stands still while one event is handled.
    fn tick(&mut self) -> Tick;

    /// The name of the key of the command that is run; none if none is.
    fn own_name(&self) -> Option<&[u8]>;

    /// The lock as it is stored, read for this owner; none if the key is absent.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key does not hold a lock.
    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error>;

    /// The holder of the lock as it is stored, whoever it is; none if the key is absent.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key does not hold a lock.
    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error>;

    /// When the key expires, whatever it holds; none if it is absent or does not expire.
    fn expiry(&mut self, key: KeyRef) -> Option<Deadline>;

    /// Writes to a key that was read, propagates the outcome and raises the key events.
    fn write(&mut self, key: KeyRef, write: &Write);

    /// Whether the server writes at all now: it is a master, has its data, and is not paused. What else may
    /// keep it from writing is asked for each key, by [`Server::check_write`].
    fn accepts_writes(&mut self) -> bool;

    /// Whether the server would accept a write to this key from a client. Asking changes nothing.
    fn check_write(&mut self, key: KeyRef) -> WriteCheck;

    /// Whether a client still is this user.
    fn is_user(&mut self, client: ClientId, user: &[u8]) -> bool;

    /// Whether this user may acquire the lock for this owner.
    fn may_acquire(&mut self, user: &[u8], key: KeyRef, owner: &[u8]) -> bool;

    /// The client that called the command.
    fn caller(&mut self) -> ClientId;

    /// The user of the client that called the command; none if it has none.
    fn caller_user(&mut self) -> Option<UserName>;

    /// Whether the caller can be blocked. Not in `MULTI`, scripts and functions.
    fn may_block(&mut self) -> bool;

    /// Whether the caller has a connection that a session can be bound to. Scripts and functions have none.
    fn has_connection(&mut self) -> bool;

    /// Of these locks of the database that the caller has selected, those that its user may read, in order, at
    /// most so many.
    fn readable(&mut self, names: Vec<Arc<[u8]>>, most: usize) -> Vec<Arc<[u8]>>;

    /// The database that the caller has selected.
    fn selected_db(&mut self) -> i32;
}

/// What is to be written to one lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write<'a> {
    /// Fields and expiry of one owner's hold are set. What is `None` stays as it is.
    Hold {
        /// The owner.
        owner: &'a [u8],
        /// The owner whose hold ends in the same step: its field is deleted, if it is another owner.
        ends: Option<&'a [u8]>,
        /// The hold count.
        holds: Option<u32>,
        /// The fence.
        fence: Option<Fence>,
        /// When the lease ends.
        deadline: Option<Deadline>,
    },
    /// The lock is deleted.
    Delete,
    /// A lock whose lease is over is deleted, as the server would do a little later.
    Expire,
}

/// Whether a key may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteCheck {
    /// It may.
    Accepted,
    /// Not now: too few replicas, a failing disk, a cluster that is down.
    NotNow,
    /// Not here: its slot belongs to another node, or is moving and the key is absent here.
    Elsewhere,
}
