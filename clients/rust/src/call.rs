//! The commands, and their replies.

use crate::error::Error;
use redis::{Cmd, Value};
use std::time::Duration;

/// The longest time that a command takes, in ms.
const LONGEST: u64 = (1 << 53) - 1;

/// The shortest lease of a session, in ms.
const SHORTEST_SESSION: u64 = 1000;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It ends with its connection. The lease, or the server's default.
    Session(Option<u64>),
    /// It ends with its lease, in ms.
    Lease(u64),
}

impl Kind {
    /// Whether it ends with its connection.
    pub fn is_session(self) -> bool {
        matches!(self, Kind::Session(_))
    }

    /// The lease, unless it is the server's default.
    pub fn ttl(self) -> Option<u64> {
        match self {
            Kind::Session(ttl) => ttl,
            Kind::Lease(ttl) => Some(ttl),
        }
    }

    /// Checks that the server takes it.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the range.
    pub fn check(self) -> Result<Kind, Error> {
        let least = if self.is_session() {
            SHORTEST_SESSION
        } else {
            1
        };
        match self.ttl() {
            Some(ttl) if !(least..=LONGEST).contains(&ttl) => Err(Error::Invalid(format!(
                "the lease must be from {least} ms to 2^53-1 ms, not {ttl} ms"
            ))),
            _ => Ok(self),
        }
    }
}

/// How long a call waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as it takes.
    Forever,
    /// At most so many ms, 1 or more.
    Ms(u64),
}

/// What a call is about: which lock, and who.
#[derive(Debug, Clone)]
pub(crate) struct Who<'a> {
    pub name: &'a [u8],
    pub owner: &'a str,
}

impl Who<'_> {
    fn cmd(&self, name: &str) -> Cmd {
        let mut cmd = redis::cmd(name);
        cmd.arg(self.name).arg(self.owner);
        cmd
    }

    /// Acquires the lock, or reenters the hold of a token: with `holds` holds afterwards.
    pub fn acquire(&self, kind: Kind, wait: Option<Wait>, holds: u32, token: Option<u64>) -> Cmd {
        let mut cmd = self.cmd("LOCK.ACQUIRE");
        if let Some(ttl) = kind.ttl() {
            cmd.arg(ttl);
        }
        match wait {
            Some(Wait::Forever) => cmd.arg("WAIT").arg(0),
            Some(Wait::Ms(ms)) => cmd.arg("WAIT").arg(ms.clamp(1, LONGEST)),
            None => &mut cmd,
        };
        if kind.is_session() {
            cmd.arg("SESSION");
        }
        cmd.arg("HOLDS").arg(holds);
        with_token(cmd, token)
    }

    /// Sets the time left of the lease, to the server's default without one.
    pub fn renew(&self, ttl: Option<u64>, token: u64) -> Cmd {
        let mut cmd = self.cmd("LOCK.RENEW");
        if let Some(ttl) = ttl {
            cmd.arg(ttl);
        }
        with_token(cmd, Some(token))
    }

    /// Releases the lock: so many holds are left.
    pub fn release(&self, holds: u32, token: Option<u64>) -> Cmd {
        let mut cmd = self.cmd("LOCK.RELEASE");
        cmd.arg("HOLDS").arg(holds);
        with_token(cmd, token)
    }
}

fn with_token(mut cmd: Cmd, token: Option<u64>) -> Cmd {
    if let Some(token) = token {
        cmd.arg("TOKEN").arg(token);
    }
    cmd
}

/// A span in whole ms, rounded up.
pub(crate) fn millis(span: Duration) -> u64 {
    let ms = span.as_nanos().div_ceil(1_000_000);
    u64::try_from(ms).unwrap_or(LONGEST).min(LONGEST)
}

/// The reply of `LOCK.ACQUIRE` and `LOCK.RENEW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Whether the owner holds the lock.
    pub acquired: bool,
    /// How often.
    pub holds: u32,
    /// With which fencing token.
    pub token: u64,
    /// The time until the lease ends, whoever holds the lock.
    pub ttl: Duration,
}

impl Grant {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Protocol`]
    pub fn of(value: &Value) -> Result<Grant, Error> {
        let numbers = match value {
            Value::Array(items) => items.iter().map(whole).collect::<Option<Vec<u64>>>(),
            _ => None,
        };
        match numbers.as_deref() {
            Some([acquired, holds, token, ttl]) => Ok(Grant {
                acquired: *acquired == 1,
                holds: u32::try_from(*holds).unwrap_or(u32::MAX),
                token: *token,
                ttl: Duration::from_millis(*ttl),
            }),
            _ => Err(unexpected(value)),
        }
    }
}

/// The holds left after a release, or that the hold had ended before.
pub(crate) fn holds_left(value: &Value) -> Result<Option<u32>, Error> {
    match value {
        Value::Int(-1) => Ok(None),
        Value::Int(left) => u32::try_from(*left)
            .map(Some)
            .map_err(|_| unexpected(value)),
        _ => Err(unexpected(value)),
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn unexpected(value: &Value) -> Error {
    Error::Protocol(format!("{value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cmd: &Cmd) -> String {
        let words = cmd.args_iter().map(|arg| match arg {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    const WHO: Who<'static> = Who {
        name: b"orders",
        owner: "me",
    };

    #[test]
    fn every_call_can_be_sent_again() {
        let calls = [
            (
                WHO.acquire(Kind::Session(None), Some(Wait::Forever), 1, None),
                "LOCK.ACQUIRE orders me WAIT 0 SESSION HOLDS 1",
            ),
            (
                WHO.acquire(Kind::Lease(500), Some(Wait::Ms(7)), 1, None),
                "LOCK.ACQUIRE orders me 500 WAIT 7 HOLDS 1",
            ),
            (
                WHO.acquire(Kind::Lease(500), None, 3, Some(17)),
                "LOCK.ACQUIRE orders me 500 HOLDS 3 TOKEN 17",
            ),
            (WHO.renew(None, 17), "LOCK.RENEW orders me TOKEN 17"),
            (WHO.renew(Some(5), 17), "LOCK.RENEW orders me 5 TOKEN 17"),
            (
                WHO.release(2, Some(17)),
                "LOCK.RELEASE orders me HOLDS 2 TOKEN 17",
            ),
        ];
        for (cmd, expected) in calls {
            assert_eq!(text(&cmd), expected);
        }
    }

    #[test]
    fn a_wait_without_time_never_becomes_one_without_limit() {
        let cmd = WHO.acquire(Kind::Lease(1), Some(Wait::Ms(0)), 1, None);
        assert_eq!(text(&cmd), "LOCK.ACQUIRE orders me 1 WAIT 1 HOLDS 1");
    }

    #[test]
    fn times_are_rounded_up_to_whole_milliseconds() {
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(5)), 5);
        assert_eq!(millis(Duration::MAX), LONGEST);
    }

    #[test]
    fn a_lease_that_the_server_refuses_is_refused_before() {
        for (kind, range) in [
            (Kind::Lease(0), "1 ms"),
            (Kind::Session(Some(999)), "1000 ms"),
            (Kind::Lease(1 << 53), "1 ms"),
        ] {
            let text = kind.check().map_err(|error| error.to_string());
            assert!(text.is_err_and(|text| text.contains(&format!("from {range} to"))));
        }
    }
}
