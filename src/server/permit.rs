//! Whether the server would take a write now that no client has sent.
//!
//! A client's write is checked in the server's command dispatch; one from a timer is checked
//! nowhere. Some would stop the server (paused clients), others would make a replica diverge.

use super::health;
use super::key::Kind;
use super::open::read_lock;
use super::string::OwnedStr;
use super::write::OURS;
use crate::queue::Place;
use crate::write_rules::takes_writes;
use redis_module::raw::{self, RedisModuleCtx};
use std::sync::atomic::Ordering::Relaxed;

/// Whether this server writes at all: it is a master, has its data, is not paused, and refuses no
/// client's write for want of replicas or of a disk that works.
pub fn may_write(ctx: *mut RedisModuleCtx) -> bool {
    // Others are asked for each key by a write that changes nothing.
    may_ever_write(ctx)
        && (checks_calls() || takes_writes(health::info, |name| health::config(ctx, name)))
}

/// Whether this server is a master, has its data, and is not paused.
pub fn may_ever_write(ctx: *mut RedisModuleCtx) -> bool {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    if flags & raw::REDISMODULE_CTX_FLAGS_MASTER == 0
        || flags & raw::REDISMODULE_CTX_FLAGS_LOADING != 0
    {
        return false;
    }
    let paused = api!(RedisModule_AvoidReplicaTraffic);
    // SAFETY: no arguments.
    unsafe { paused() == 0 }
}

/// Whether the server checks a module's call as it checks a script's. 6.2 does not, and does not
/// know the flag `S` of `RM_Call`, which came with this function.
pub fn checks_calls() -> bool {
    api_if_any!(RedisModule_SetCommandInfo).is_some()
}

/// Whether a key may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Given,
    /// Not now: too few replicas, a disk that fails, a cluster that is down.
    NotNow,
    /// Not here: its slot is another node's, or on the move and the key is absent here.
    Elsewhere,
}

/// Whether this server would take a write to this key from a client.
///
/// The server is asked by a write that changes nothing.
pub fn may_write_to(ctx: *mut RedisModuleCtx, place: &Place) -> Permit {
    let call = api!(RedisModule_Call);
    let name = OwnedStr::new(&place.name);
    let format = if checks_calls() { c"SEsc" } else { c"sc" };
    // A write that can change no value, whatever stands there: what is no hash has no field, and a
    // hash is no set. (Someone may have made a field of any name.) All that it can change is that
    // the server deletes a key that has expired. Who asks for the permit looks at the key next, or
    // will when its lease ends: it need not be told.
    OURS.store(true, Relaxed);
    let is_hash = read_lock(ctx, place, |lock| lock.key.kind() == Kind::Hash);
    let probe = if is_hash { c"SREM" } else { c"HDEL" };
    let (probe, name) = (probe.as_ptr(), name.lend().raw());
    // SAFETY: a string and a constant, as the format says.
    let reply = unsafe { call(ctx, probe, format.as_ptr(), name, c"".as_ptr()) };
    OURS.store(false, Relaxed);
    let elsewhere = std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
    let refused = if elsewhere {
        Permit::Elsewhere
    } else {
        Permit::NotNow
    };
    if reply.is_null() {
        return refused;
    }
    let kind = api!(RedisModule_CallReplyType);
    // SAFETY: the reply is what the call gave.
    let kind = unsafe { kind(reply) };
    let text = health::text(reply);
    let free = api!(RedisModule_FreeCallReply);
    // SAFETY: this is its last use.
    unsafe { free(reply) };
    // Another type of value is for the line to deal with.
    let taken = kind as isize != raw::REDISMODULE_REPLY_ERROR || text.starts_with("WRONGTYPE");
    if taken {
        Permit::Given
    } else {
        refused
    }
}
