//! Sessions: holds that live as long as a connection.
//!
//! A hold that was acquired with `SESSION` is bound to a connection. Its lease is renewed while the
//! connection is open, and it ends when the connection closes. This folder knows which hold is bound to
//! which connection, and when to renew; [`crate::engine::steps`] reads and writes the locks.

mod compare;
mod options;
mod sessions;

pub use compare::{compare, Found};
pub use options::{SessionOptions, MIN_TTL};
pub use sessions::{Connection, NewHold, Session, Sessions};

/// A lease is renewed after this part of its ttl.
const RENEWED_AFTER: i64 = 3;
