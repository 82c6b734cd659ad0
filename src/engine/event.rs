//! What the server tells the engine. Nothing is read or written when an event is noted.

use super::grace::CutOffSettings;
use super::port::ClientId;
use super::wait::WaiterId;
use crate::lock::LockKey;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Others have changed a key.
    KeyChanged {
        /// The key.
        key: LockKey,
        /// Its lease is over, and the server has deleted it.
        expired: bool,
    },
    /// Any number of keys may have changed: in one database, or in all.
    DatasetChanged {
        /// The database.
        db: Option<i32>,
    },
    /// A client's connection has closed.
    ClientClosed(ClientId),
    /// A call does not wait any more: its connection has closed, or it was unblocked.
    WaitCancelled(WaiterId),
    /// The reply to a call that waited was delivered.
    Delivered(WaiterId),
    /// The reply to a call that waited cannot be delivered: its connection has closed, or it was unblocked.
    NotDelivered(WaiterId),
    /// The server became a master, or a replica.
    RoleChanged {
        /// Whether it is a master now.
        master: bool,
    },
    /// The server's process has started: its data may be incomplete.
    Started,
    /// The event loop runs. To be noted at least once a second.
    LoopRan,
    /// The server's settings by which a master that is cut off learns of it.
    CutOffSettings(CutOffSettings),
}
