//! What a lock refuses, and the error text.

use std::fmt;

/// A refusal. The text starts with the code that clients match and `INFO errorstats` counts.
/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// `NOTOWNER`: the owner does not hold the lock, or not with the token it named.
    NotOwner(NotOwner),
    /// `HOLDCOUNT`: `HOLDS wanted` does not fit the `held` holds.
    HoldCount {
        /// How often the owner holds the lock now.
        held: u32,
        /// The `n` of `HOLDS n`.
        wanted: u32,
        /// The other count that would fit.
        from: u32,
    },
    /// `HOLDCOUNT`: the hold count is at its maximum.
    MostHolds,
    /// `WRONGTYPE`: the key does not hold a lock.
    WrongType,
    /// `ERR`: the clock is so far ahead that no token is left to issue.
    TokensSpent,
}

/// Why an owner is not the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOwner {
    /// Nobody holds the lock: it was released, or its lease ran out.
    Free,
    /// Someone else holds it.
    Theirs,
    /// There is a grace period, and it holds the lock in the data but did not name the token.
    InGrace,
    /// The same owner holds it, in another hold than the one with the given token.
    OtherToken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotOwner(NotOwner::Free) => f.write_str("NOTOWNER the lock is free"),
            Error::NotOwner(NotOwner::Theirs) => {
                f.write_str("NOTOWNER the lock is held by another owner")
            }
            Error::NotOwner(NotOwner::InGrace) => {
                f.write_str("NOTOWNER in the grace period a hold counts only with its TOKEN")
            }
            Error::NotOwner(NotOwner::OtherToken) => {
                f.write_str("NOTOWNER the owner's present hold has another token")
            }
            Error::HoldCount { held, wanted, from } => write!(
                f,
                "HOLDCOUNT the owner has {held} holds, but HOLDS {wanted} fits {from} or {wanted} only"
            ),
            Error::MostHolds => write!(
                f,
                "HOLDCOUNT the owner has {} holds, the maximum",
                super::MAX_HOLDS
            ),
            Error::WrongType => {
                f.write_str("WRONGTYPE the key holds something that is not a lock")
            }
            Error::TokensSpent => f.write_str(
                "ERR no fencing token is left: this server's clock is beyond the year 2255",
            ),
        }
    }
}
