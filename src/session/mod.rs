//! Sessions: holds that live as long as a connection. Pure, as the rules of a lock are.
//!
//! A hold that was acquired with `SESSION` is bound to a connection. Its lease is renewed while the
//! connection is open, and it ends when the connection closes. This module knows which hold is bound to
//! which connection, and when to renew; the caller reads and writes the data.

mod bound;
mod compare;

pub use bound::{Claim, Session, Sessions};
pub use compare::{compare, Found};

use crate::lock::Millis;

/// The shortest ttl of a session: renewals must be neither too late nor too frequent.
pub const MIN_TTL: Millis = Millis(1000);

/// A lease is renewed after this part of its ttl.
const RENEWED_AFTER: i64 = 3;
