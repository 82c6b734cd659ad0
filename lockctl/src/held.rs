//! What LOCK.INFO and LOCK.LINES reply.

use crate::text::shown;
use redis::Value;
use serde::Serialize;
use std::time::Duration;

/// A lock: who holds it, and who waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub name: Vec<u8>,
    /// None if it is free.
    pub owner: Option<Vec<u8>>,
    pub holds: u64,
    pub token: u64,
    /// The time until the lease ends.
    pub ttl: Duration,
    pub session: bool,
    pub waiters: u64,
    /// The first of them.
    pub queue: Vec<Waiter>,
}

/// A call that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiter {
    pub owner: Vec<u8>,
    pub waited: Duration,
}

impl Held {
    /// Reads an entry: names and values, as a map or in turn. Names that are not known are of a later version.
    pub fn of(reply: &Value) -> Option<Held> {
        let mut held = Held::default();
        for (name, value) in pairs(reply)? {
            match name.as_slice() {
                b"lock" => held.name = bytes(value)?,
                b"owner" => held.owner = bytes(value),
                b"holds" => held.holds = number(value)?,
                b"token" => held.token = number(value)?,
                b"ttl" => held.ttl = Duration::from_millis(number(value)?),
                b"session" => held.session = number(value)? == 1,
                b"waiters" => held.waiters = number(value)?,
                b"queue" => held.queue = list(value)?.iter().map(waiter).collect::<Option<_>>()?,
                _ => (),
            }
        }
        Some(held)
    }

    /// For people.
    pub fn shown_owner(&self) -> String {
        self.owner.as_deref().map_or_else(|| "-".to_owned(), shown)
    }

    /// As `--json` prints it.
    pub fn record<'a>(&'a self, server: &'a str, with_queue: bool) -> Record<'a> {
        let queue = self.queue.iter().map(|waiter| Waits {
            owner: lossy(&waiter.owner),
            waited_ms: waiter.waited.as_millis(),
        });
        Record {
            lock: lossy(&self.name),
            lock_hex: hex(&self.name),
            owner: self.owner.as_deref().map(lossy),
            owner_hex: self.owner.as_deref().and_then(hex),
            holds: self.holds,
            token: self.token,
            ttl_ms: self.ttl.as_millis(),
            session: self.session,
            waiters: self.waiters,
            queue: with_queue.then(|| queue.collect()),
            server,
        }
    }
}

fn waiter(reply: &Value) -> Option<Waiter> {
    let mut waiter = Waiter::default();
    for (name, value) in pairs(reply)? {
        match name.as_slice() {
            b"owner" => waiter.owner = bytes(value)?,
            b"waited" => waiter.waited = Duration::from_millis(number(value)?),
            _ => (),
        }
    }
    Some(waiter)
}

/// A lock in JSON. docs/lockctl.md describes the fields.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    lock: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_hex: Option<String>,
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_hex: Option<String>,
    holds: u64,
    token: u64,
    ttl_ms: u128,
    session: bool,
    waiters: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Vec<Waits>>,
    server: &'a str,
}

#[derive(Debug, Serialize)]
struct Waits {
    owner: String,
    waited_ms: u128,
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Of bytes that text in JSON cannot hold.
fn hex(bytes: &[u8]) -> Option<String> {
    let is_text = std::str::from_utf8(bytes).is_ok();
    (!is_text).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn pairs(reply: &Value) -> Option<Vec<(Vec<u8>, &Value)>> {
    match reply {
        Value::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| Some((bytes(name)?, value)))
            .collect(),
        Value::Array(items) => {
            let pairs = items.chunks_exact(2);
            pairs
                .map(|pair| Some((bytes(&pair[0])?, &pair[1])))
                .collect()
        }
        _ => None,
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        Value::SimpleString(text) => Some(text.clone().into_bytes()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
