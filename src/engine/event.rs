//! What the server tells the engine. Nothing is read or written when an event is noted.

use super::grace::CutOffSettings;
use super::port::ClientId;
use super::settings::Settings;
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
    /// The server has refused to block the caller after all: it does not wait, and is answered that the lock is busy.
    NotBlocked(WaiterId),
    /// A call does not wait any more: its connection has closed, or it was unblocked.
    WaitCancelled(WaiterId),
    /// The reply to a call that waited was delivered.
    Delivered(WaiterId),
    /// The reply to a call that waited cannot be delivered: its connection has closed, or it was unblocked.
    NotDelivered(WaiterId),
    /// It is unknown whether the reply to a call of this client that waited was delivered: it was unblocked in the middle
    /// of that.
    DeliveryInDoubt(ClientId),
    /// The server became a master, or a replica.
    RoleChanged {
        /// Whether it is a master now.
        master: bool,
    },
    /// The server's process has started: its data may be incomplete.
    Started,
    /// The event loop runs. To be noted at least once a second.
    LoopRan,
    /// The module's settings were changed.
    SettingsChanged(Box<Settings>),
    /// The server's settings by which a master that is cut off learns of it.
    CutOffSettings(CutOffSettings),
}
