//! What a lock is: pure rules, with no server and no clock of their own.
//!
//! A lock is a hash under the lock's name with a TTL: one field named after its owner that counts
//! the holds, as Redisson's `RLock` writes it, and one with its [`Fence`]. The rules take what
//! was read of it (a [`View`]) and return what to write (a [`Change`]) and what to reply.

mod channel;
mod decimal;
mod error;
mod escape;
mod fence;
mod key;
mod limits;
mod rules;
mod slot;
mod time;
mod token;
mod view;

pub use channel::push_channel;
pub use decimal::decimal;
pub use error::{Error, NotOwner};
pub use escape::Escaped;
pub use fence::{Fence, MODE_FIELD};
pub use key::{KeyRef, LockKey};
pub use limits::Limits;
pub use rules::{
    acquire, assert, extend, release, renew, set_ttl, Acquire, Change, Grant, Left, Release, Update,
};
pub use slot::slot_of;
pub use time::{Deadline, Millis, Now, Start, Tick};
pub use token::{Token, Tokens};
pub use view::{Fields, Hold, Holder, Stored, View};

/// The maximum hold count: what Redisson's counter can hold.
pub const MAX_HOLDS: u32 = i32::MAX as u32;

/// The longest lease, 2^53-1 ms: about 285,000 years, and still exact in JavaScript and Lua.
pub const MAX_TTL: Millis = Millis((1 << 53) - 1);

/// The longest name of an owner, in bytes.
pub const MAX_OWNER: usize = 1024;
