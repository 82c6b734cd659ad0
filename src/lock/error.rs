//! What a lock refuses, and the error text.

use super::MAX_HOLDS;
use thiserror::Error;

/// A refusal. The text starts with the code that clients match and `INFO errorstats` counts.
/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Error {
    /// `NOTOWNER`: the owner does not hold the lock, or not with the token it named.
    #[error("NOTOWNER {0}")]
    NotOwner(NotOwner),
    /// `HOLDCOUNT`: `HOLDS wanted` does not fit the `held` holds.
    #[error(
        "HOLDCOUNT the owner has {held} holds, but HOLDS {wanted} fits {from} or {wanted} only"
    )]
    HoldCount {
        /// How often the owner holds the lock now.
        held: u32,
        /// The `n` of `HOLDS n`.
        wanted: u32,
        /// The other count that would fit.
        from: u32,
    },
    /// `HOLDCOUNT`: the hold count is at its maximum.
    #[error("HOLDCOUNT the owner has {MAX_HOLDS} holds, the maximum")]
    MostHolds,
    /// `WRONGTYPE`: the key does not hold a lock.
    #[error("WRONGTYPE the key holds something that is not a lock")]
    WrongType,
    /// `ERR`: the clock is so far ahead that no token is left to issue.
    #[error("ERR no fencing token is left: this server's clock is beyond the year 2255")]
    TokensSpent,
}

/// Why an owner is not the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum NotOwner {
    /// Nobody holds the lock: it was released, or its lease ran out.
    #[error("the lock is free")]
    Free,
    /// Someone else holds it.
    #[error("the lock is held by another owner")]
    Theirs,
    /// There is a grace period, and it holds the lock in the data but did not name the token.
    #[error("in the grace period a hold counts only with its TOKEN")]
    InGrace,
    /// The same owner holds it, in another hold than the one with the given token.
    #[error("the owner's present hold has another token")]
    OtherToken,
}
