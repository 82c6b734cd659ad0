//! Where a lock is.

use std::sync::Arc;

/// A lock: the number of its database, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockKey {
    /// The database.
    pub db: i32,
    /// The key.
    pub name: Arc<[u8]>,
}

impl LockKey {
    /// The same, borrowed.
    pub fn borrowed(&self) -> KeyRef<'_> {
        KeyRef {
            db: self.db,
            name: &self.name,
        }
    }
}

/// A [`LockKey`] whose name is borrowed. A command that does not wait makes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef<'a> {
    /// The database.
    pub db: i32,
    /// The key.
    pub name: &'a [u8],
}

impl KeyRef<'_> {
    /// A copy that can be kept.
    pub fn to_owned(self) -> LockKey {
        LockKey {
            db: self.db,
            name: self.name.into(),
        }
    }
}
