//! What `SESSION` asks for.

use crate::lock::Millis;

/// The shortest ttl of a session: renewals must be neither too late nor too frequent.
pub const MIN_TTL: Millis = Millis(1000);

/// What `SESSION` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionOptions {
    /// The lease that every renewal sets.
    pub ttl: Millis,
    /// How long the owner keeps the lock after the connection has closed.
    pub linger: Millis,
}
