//! Replies.

use crate::engine::{LockInfo, WaiterId};
use crate::lock::Grant;
use std::sync::Arc;

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
    Queues(Vec<(Arc<[u8]>, LockInfo)>),
    /// No reply yet: the caller has to be blocked. If the server refuses that, the call gets this reply.
    Waits(WaiterId, Grant),
}
