//! Error replies.

use crate::escape::Escaped;
use crate::lock;
use std::fmt;

/// An error reply: one line that starts with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The lock refuses it.
    Lock(lock::Error),
    /// Too few or too many arguments.
    Arity(&'static str),
    /// A value that is not a number, or is out of range.
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
    Owner(&'static str),
    /// An option that the command does not have.
    UnknownOption {
        /// What was sent.
        given: Vec<u8>,
        /// What is expected instead.
        known: String,
    },
    /// An option without its value.
    NoValue(&'static str),
    /// An option that was given twice.
    Twice(&'static str),
    /// `LINGER` without `SESSION`.
    LingerAlone,
    /// The caller has no connection of its own: it is a script or function.
    NoConnection,
    /// `READONLY`: the server is a replica, writable or not.
    OnReplica,
    /// The server does not let this client wait.
    NotNow,
    /// As many calls wait as `lock.max-waiters` allows.
    TooManyWaiters(i64),
    /// The wait would close a cycle of owners that wait for one another.
    Deadlock {
        /// How many owners.
        owners: usize,
        /// Whether it is a cycle only because owners share a connection.
        shares_connection: bool,
        /// The lock that was asked for.
        lock: Vec<u8>,
    },
}

impl From<lock::Error> for Error {
    fn from(error: lock::Error) -> Error {
        Error::Lock(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Lock(error) => error.fmt(f),
            Error::Arity(command) => {
                write!(f, "ERR wrong number of arguments for '{command}' command")
            }
            Error::Number {
                name,
                min,
                max,
                remark,
                given,
            } => write!(
                f,
                "ERR {name} must be a whole number from {min} to {max}{remark}, not {}",
                Escaped(given)
            ),
            Error::Owner(why) => write!(f, "ERR owner {why}"),
            Error::UnknownOption { given, known } => {
                write!(f, "ERR unknown option {}, expected {known}", Escaped(given))
            }
            Error::NoValue(option) => write!(f, "ERR {option} needs a value"),
            Error::Twice(option) => write!(f, "ERR {option} may be given only once"),
            Error::LingerAlone => f.write_str("ERR LINGER needs SESSION"),
            Error::NoConnection => f.write_str(
                "ERR SESSION needs a connection of its own, which a script or function does not have",
            ),
            Error::OnReplica => {
                f.write_str("READONLY this server is a replica: only its master grants locks")
            }
            Error::NotNow => f.write_str("ERR this client cannot be blocked"),
            Error::TooManyWaiters(most) => {
                write!(f, "TOOMANYWAITERS {most} calls are waiting already (lock.max-waiters)")
            }
            Error::Deadlock {
                owners,
                shares_connection,
                lock,
            } => {
                let how = match shares_connection {
                    true => " by way of a shared connection",
                    false => "",
                };
                write!(
                    f,
                    "DEADLOCK waiting for {} would close a cycle of {owners} owners{how}",
                    Escaped(lock)
                )
            }
        }
    }
}
