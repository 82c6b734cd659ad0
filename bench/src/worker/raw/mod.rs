//! The systems that are a few commands of the raw protocol.

mod bare;
mod blpop;
mod lock;
mod ping;
mod redisson;
mod set;

pub use redisson::{GIVE_BACK, TAKE};
pub use set::COMPARE_AND_DELETE;

use super::{Connect, System};
use crate::protocol::{Job, Work};
use crate::wire::{Reply, Wire};

/// The system of this name.
pub fn system(name: &str) -> Option<System> {
    let (connect, lacks): (Connect, fn(&Job) -> Option<String>) = match name {
        "ping" => (ping::connect, ping::lacks),
        "bare" => (bare::connect, bare::lacks),
        "blpop" => (blpop::connect, blpop::lacks),
        "lock" | "lock-wait" | "lock-session" => (lock::connect, |_| None),
        "set-del" | "set-compare" => (set::connect, |_| None),
        "set-delifeq" => (set::connect, |job| lacks_command(job, "DELIFEQ")),
        "set-delex" => (set::connect, |job| lacks_command(job, "DELEX")),
        "redisson-scripts" => (redisson::connect, |_| None),
        _ => return None,
    };
    Some(System {
        connect,
        version: || "raw protocol".to_owned(),
        lacks,
    })
}

/// An owner's id, as long as Redisson's: a UUID and a thread's number.
fn owner(number: usize) -> String {
    let [high, low] = [fastrand::u64(..), fastrand::u64(..)];
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}:{number}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn lacks_command(job: &Job, command: &str) -> Option<String> {
    let info = Wire::connect(&job.urls[0])
        .and_then(|mut wire| wire.ask(&[b"COMMAND", b"INFO", command.as_bytes()]));
    match info {
        Ok(Reply::List(infos)) if infos != [Reply::Nil] => None,
        Ok(_) => Some(format!("the server has no {command}")),
        // Connecting says more of it.
        Err(_) => None,
    }
}

/// Loads a script into the server, and returns its digest.
fn load(wire: &mut Wire, script: &str) -> Result<Vec<u8>, String> {
    match wire.ask(&[b"SCRIPT", b"LOAD", script.as_bytes()])? {
        Reply::Text(digest) => Ok(digest),
        other => Err(format!("SCRIPT LOAD: {}", show(&other))),
    }
}

/// That a reply is what it must be.
fn expect(what: &str, reply: &Reply, right: &Reply) -> Result<(), String> {
    if reply == right {
        return Ok(());
    }
    Err(format!("{what}: the reply is {}", show(reply)))
}

fn show(reply: &Reply) -> String {
    match reply {
        Reply::Int(number) => number.to_string(),
        Reply::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Nil => "nil".to_owned(),
        Reply::Error(error) => error.clone(),
        Reply::List(replies) => format!("{:?}", replies.iter().map(show).collect::<Vec<_>>()),
    }
}

/// Whether a crash of the holder is part of the work.
fn crashes(job: &Job) -> bool {
    matches!(job.work, Work::Hold | Work::Next)
}
