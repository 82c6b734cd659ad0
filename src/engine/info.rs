//! What `LOCK.INFO` and `LOCK.LINES` show.

use crate::lock::{Grant, Holder, Millis, Now};
use std::sync::Arc;

/// A lock, its holder, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockInfo {
    /// The holder's name; none if nobody holds the lock.
    pub owner: Option<Vec<u8>>,
    /// Its holds, its token, and the time left.
    pub grant: Grant,
    /// Whether the hold is bound to a connection.
    pub session: bool,
    /// How many calls wait for the lock.
    pub waiters: usize,
    /// The first of them, in order: their owners, and how long they have waited.
    pub queue: Vec<(Arc<[u8]>, Millis)>,
}

impl LockInfo {
    /// A lock with that holder. Nobody waits for it.
    pub fn of(holder: Option<Holder>, now: Now) -> LockInfo {
        let grant = holder.as_ref().map_or(Grant::NONE, |holder| Grant {
            holds: holder.hold.holds,
            fence: holder.hold.fence,
            ttl: holder.hold.deadline.left(now),
        });
        LockInfo {
            owner: holder.map(|holder| holder.owner),
            grant,
            session: false,
            waiters: 0,
            queue: Vec::new(),
        }
    }
}
