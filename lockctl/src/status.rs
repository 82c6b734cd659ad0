//! Exit statuses, and failures in one line.

use redis::{ErrorKind, RedisError};
use redis_reentrant_lock_client::Error;
use std::fmt::Display;

/// The lock was free, where it should have been held.
pub const FREE: u8 = 1;
/// The lock was not free in time. None of these is a status of shells, of sysexits.h, of `timeout` or of `xargs`.
pub const BUSY: u8 = 120;
/// The lock was lost while the command ran.
pub const LOST: u8 = 121;
/// lockctl could not do what it was to do.
pub const FAILED: u8 = 122;
/// The command cannot be run, as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// The command was not found, as shells have it.
pub const NOT_FOUND: u8 = 127;

/// The status for a process that a signal ended, as shells have it.
pub fn of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Why lockctl could not do what it was to do. The text says what to do.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    /// With this text.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure(text.into())
    }

    /// A server that cannot be connected to.
    pub fn connecting(address: &str, error: &RedisError) -> Failure {
        let about = match error.kind() {
            ErrorKind::AuthenticationFailed => "check the user and the password of --url",
            _ if error.is_io_error() => "check that a server runs there, or name another by --url",
            _ => "check --url",
        };
        Failure(format!("cannot connect to {address}: {error}; {about}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // One line, whatever a server sent.
        f.write_str(&crate::text::shown(self.0.as_bytes()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Failure {
        let detail = error.detail().unwrap_or_default();
        let text = match error.code() {
            Some("NOPERM") => {
                format!("{error}; give the user the right to this command and its keys")
            }
            Some("WRONGTYPE") => "the key holds something that is not a lock".to_owned(),
            Some("ERR") if detail.contains("unknown command") => Error::NoModule.to_string(),
            _ if error.is_timeout() => format!("no server answered: {error}"),
            _ => error.to_string(),
        };
        Failure(text)
    }
}
