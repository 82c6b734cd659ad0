//! Sessions: holds that live as long as a connection. Pure, as the rules of a lock are.
//!
//! A hold that was asked for with `SESSION` is bound to a connection. It is renewed while that is
//! open, and over when it closes. Here is who is bound to what, and when to renew; what becomes of
//! the lock is for whoever sees the data.

mod bound;
mod compare;

pub use bound::{Claim, Session, Sessions};
pub use compare::{compare, Found};

use crate::lock::Millis;

/// The shortest ttl of a session: renewals must come often enough, and not too often.
pub const MIN_TTL: Millis = Millis(1000);

/// A lease is renewed when this part of its ttl has gone.
const RENEWED_AFTER: i64 = 3;
