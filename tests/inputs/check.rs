//! What every reply must be, whatever was sent.

use super::calls::Call;
use redis::Value;
use redis_reentrant_lock::lock::{Token, MAX_HOLDS, MAX_TTL};

/// The codes of `docs/commands/README.md`, those of a cluster aside, and those that the server itself replies to a call
/// of any command.
pub const CODES: [&str; 11] = [
    "ERR",
    "NOTOWNER",
    "HOLDCOUNT",
    "DEADLOCK",
    "TOOMANYWAITERS",
    "UNBLOCKED",
    "WRONGTYPE",
    "NOPERM",
    "READONLY",
    "OOM",
    "NOREPLICAS",
];

/// The server's own, to what is around a call.
const OF_THE_SERVER: [&str; 5] = ["EXECABORT", "NOAUTH", "WRONGPASS", "NOSCRIPT", "NOPROTO"];

/// The longest error, in bytes.
const LONGEST: usize = 600;

/// What a reply says of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The call was refused, with this code.
    Refused(String),
    /// Another owner holds the lock.
    Busy,
    /// It was asked for, and told.
    Told,
    /// The call has done something, perhaps: of a granted hold, its token.
    Done(Option<i64>),
}

impl Outcome {
    /// Whether the lock has to be as it was.
    pub fn changes_nothing(&self) -> bool {
        !matches!(self, Outcome::Done(_))
    }
}

/// Checks an error: one line that starts with a known code. Returns the code.
pub fn error(error: &redis::ServerError) -> Result<String, String> {
    let text = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    let code = text.split(' ').next().unwrap_or_default();
    if !CODES.contains(&code) && !OF_THE_SERVER.contains(&code) {
        return Err(format!("an unknown code: {text}"));
    }
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(format!("not one line of text: {text:?}"));
    }
    if text.len() > LONGEST {
        return Err(format!("{} bytes: {text}", text.len()));
    }
    if text.to_ascii_lowercase().contains("internal") {
        return Err(text);
    }
    Ok(code.to_owned())
}

/// Checks the reply to a call, as the protocol of its connection has it.
pub fn reply(call: &Call, reply: &Value, resp3: bool) -> Result<Outcome, String> {
    if let Value::ServerError(refusal) = reply {
        return error(refusal).map(Outcome::Refused);
    }
    let outcome = match call.spec.name {
        "lock.acquire" => grant(reply),
        "lock.renew" => grant(reply).filter(|it| matches!(it, Outcome::Done(_))),
        "lock.release" => int(reply, -1, i64::from(MAX_HOLDS)).map(|_| Outcome::Done(None)),
        "lock.forcerelease" => int(reply, 0, 1).map(|_| Outcome::Done(None)),
        "lock.assert" => (*reply == Value::Okay).then_some(Outcome::Told),
        "lock.info" => told(*reply == Value::Nil || is_info(reply, resp3, &INFO)),
        "lock.lines" => told(are_lines(reply, resp3)),
        _ => None,
    };
    outcome.ok_or_else(|| format!("no reply of {}: {reply:?}", call.spec.name))
}

fn told(is_right: bool) -> Option<Outcome> {
    is_right.then_some(Outcome::Told)
}

fn int(reply: &Value, min: i64, max: i64) -> Option<i64> {
    match reply {
        Value::Int(number) if (min..=max).contains(number) => Some(*number),
        _ => None,
    }
}

fn grant(reply: &Value) -> Option<Outcome> {
    let Value::Array(values) = reply else {
        return None;
    };
    let [acquired, holds, token, ttl] = values.as_slice() else {
        return None;
    };
    int(ttl, 0, MAX_TTL.0)?;
    match int(acquired, 0, 1)? {
        0 => (int(holds, 0, 0)? == 0 && int(token, 0, 0)? == 0).then_some(Outcome::Busy),
        _ => {
            int(holds, 1, i64::from(MAX_HOLDS))?;
            Some(Outcome::Done(Some(int(token, 1, Token::MAX)?)))
        }
    }
}

/// The names of LOCK.INFO, in order, and those of an entry of LOCK.LINES.
const INFO: [&str; 7] = [
    "owner", "holds", "token", "ttl", "session", "waiters", "queue",
];
const LINE: [&str; 8] = [
    "lock", "owner", "holds", "token", "ttl", "session", "waiters", "queue",
];

/// A map where the client knows maps, else names and values in turn.
fn is_info(reply: &Value, resp3: bool, names: &[&str]) -> bool {
    let pairs: Vec<(&Value, &Value)> = match reply {
        Value::Map(pairs) if resp3 => pairs.iter().map(|(name, value)| (name, value)).collect(),
        Value::Array(values) if !resp3 && values.len() % 2 == 0 => {
            values.chunks(2).map(|pair| (&pair[0], &pair[1])).collect()
        }
        _ => return false,
    };
    // In any order: a script that passes a map on has shuffled it.
    let fits = |wanted: &&str| {
        let is_it = |(name, value): &(&Value, &Value)| {
            let is_named = matches!(name, Value::BulkString(name) if name == wanted.as_bytes());
            is_named && is_value(wanted, value, resp3)
        };
        pairs.iter().any(is_it)
    };
    pairs.len() == names.len() && names.iter().all(fits)
}

fn is_value(name: &str, value: &Value, resp3: bool) -> bool {
    match name {
        "lock" => matches!(value, Value::BulkString(_)),
        "owner" => matches!(value, Value::BulkString(_) | Value::Nil),
        "queue" => matches!(value, Value::Array(waits)
            if waits.iter().all(|wait| is_info(wait, resp3, &["owner", "waited"]))),
        "session" => int(value, 0, 1).is_some(),
        _ => int(value, 0, i64::MAX).is_some(),
    }
}

fn are_lines(reply: &Value, resp3: bool) -> bool {
    match reply {
        Value::Array(lines) => lines.iter().all(|line| is_info(line, resp3, &LINE)),
        _ => false,
    }
}

/// Checks that a reply, whatever it is to, has no error that is none, and no type that its protocol does not have.
/// Returns the codes of the errors in it.
pub fn any(reply: &Value, resp3: bool) -> Result<Vec<String>, String> {
    Ok(match reply {
        Value::ServerError(refusal) => vec![error(refusal)?],
        Value::Array(values) => each(values, resp3)?,
        Value::Set(values) if resp3 => each(values, resp3)?,
        Value::Map(pairs) if resp3 => {
            let mut codes = Vec::new();
            for (name, value) in pairs {
                codes.extend(any(name, resp3)?);
                codes.extend(any(value, resp3)?);
            }
            codes
        }
        Value::Nil
        | Value::Int(_)
        | Value::BulkString(_)
        | Value::SimpleString(_)
        | Value::Okay => Vec::new(),
        Value::Boolean(_) | Value::Double(_) | Value::VerbatimString { .. } if resp3 => Vec::new(),
        other => return Err(format!("not of this protocol: {other:?}")),
    })
}

fn each(values: &[Value], resp3: bool) -> Result<Vec<String>, String> {
    let mut codes = Vec::new();
    for value in values {
        codes.extend(any(value, resp3)?);
    }
    Ok(codes)
}
