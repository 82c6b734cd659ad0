//! `lockctl info`

use crate::args::Info;
use crate::held::{Held, Record};
use crate::print;
use crate::servers::{Target, unexpected};
use crate::status::{FREE, Failure};
use crate::text::{shown, span};
use redis::Value;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// Shows one lock.
pub async fn info(target: &Target, args: Info) -> Result<u8, Failure> {
    let (lock, address) = ask(target, &args.name).await?;
    let is_held = lock.owner.is_some();
    print(&match args.json {
        true => json(&lock.record(&address, true))?,
        false if is_held => described(&lock),
        false => format!("{} is free\n", shown(&lock.name)),
    })?;
    Ok(if is_held { 0 } else { FREE })
}

/// What the server says of a lock. If it is free it has no owner.
pub async fn ask(target: &Target, name: &OsStr) -> Result<(Held, String), Failure> {
    let name = name.as_bytes();
    let mut cmd = redis::cmd("LOCK.INFO");
    let (reply, address) = target.ask(name, cmd.arg(name)).await?;
    let lock = match reply {
        Value::Nil => Held::default(),
        reply => Held::of(&reply).ok_or_else(|| unexpected("LOCK.INFO"))?,
    };
    let name = name.to_vec();
    Ok((Held { name, ..lock }, address))
}

/// A line of JSON.
pub fn json(record: &Record<'_>) -> Result<String, Failure> {
    let line = serde_json::to_string(record);
    line.map(|line| line + "\n")
        .map_err(|error| Failure(format!("cannot write JSON: {error}")))
}

fn described(lock: &Held) -> String {
    let mut text = String::new();
    let session = if lock.session { "yes" } else { "no" };
    for (title, value) in [
        ("lock", shown(&lock.name)),
        ("holder", lock.shown_owner()),
        ("holds", lock.holds.to_string()),
        ("token", lock.token.to_string()),
        ("left", span(lock.ttl)),
        ("session", session.to_owned()),
        ("waiters", lock.waiters.to_string()),
    ] {
        let _ = writeln!(text, "{title:<8} {value}");
    }
    for (n, waiter) in lock.queue.iter().enumerate() {
        let (owner, waited) = (shown(&waiter.owner), span(waiter.waited));
        let _ = writeln!(text, "{:>6}.  {owner}  waited {waited}", n + 1);
    }
    let more = lock.waiters.saturating_sub(lock.queue.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "         and {more} more");
    }
    text
}
