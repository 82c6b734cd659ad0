//! Error replies.

use crate::engine;
use crate::lock::Escaped;
use thiserror::Error;

/// An error reply: one line that starts with a code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The engine refuses it.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// Too few or too many arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// A value that is not a number, or is out of range.
    #[error(
        "ERR {name} must be a whole number from {min} to {max}{remark}, not {}",
        Escaped(given)
    )]
    Number {
        /// The argument's name.
        name: &'static str,
        /// The minimum.
        min: i64,
        /// The maximum.
        max: i64,
        /// A remark on the range, such as the setting that it comes from.
        remark: &'static str,
        /// What was sent.
        given: Vec<u8>,
    },
    /// An owner's id that is not allowed, and why.
    #[error("ERR owner {0}")]
    Owner(&'static str),
    /// An option that the command does not have.
    #[error("ERR unknown option {}, expected {known}", Escaped(given))]
    UnknownOption {
        /// What was sent.
        given: Vec<u8>,
        /// What is expected instead.
        known: String,
    },
    /// An option without its value.
    #[error("ERR {0} needs a value")]
    NoValue(&'static str),
    /// An option that was given twice.
    #[error("ERR {0} may be given only once")]
    Twice(&'static str),
    /// `LINGER` without `SESSION`.
    #[error("ERR LINGER needs SESSION")]
    LingerAlone,
}
