//! Whether the server would take a write now that no client has sent.
//!
//! A client's write is checked in the server's command dispatch; one from a timer is checked
//! nowhere. Some would stop the server (paused clients), others would make a replica diverge.

use super::string::OwnedStr;
use crate::queue::Place;
use redis_module::raw::{self, RedisModuleCtx};

/// Whether this server writes at all: it is a master, has its data, and is not paused.
pub fn may_write(ctx: *mut RedisModuleCtx) -> bool {
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
    // With S the server checks what it checks for scripts. 6.2 does not know that flag.
    let checked = api_if_any!(RedisModule_SetCommandInfo).is_some();
    let format = if checked { c"SEsc" } else { c"sc" };
    let (hdel, name) = (c"HDEL".as_ptr(), name.lend().raw());
    // SAFETY: a string and a constant, as the format says. A lock has no field without a name.
    let reply = unsafe { call(ctx, hdel, format.as_ptr(), name, c"".as_ptr()) };
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
    let text = error_text(reply);
    let free = api!(RedisModule_FreeCallReply);
    // SAFETY: this is its last use.
    unsafe { free(reply) };
    // Another type of value is for the line to deal with.
    let taken = kind as isize != raw::REDISMODULE_REPLY_ERROR || text.starts_with(b"WRONGTYPE");
    if taken {
        Permit::Given
    } else {
        refused
    }
}

fn error_text(reply: *mut raw::RedisModuleCallReply) -> Vec<u8> {
    let pointer = api!(RedisModule_CallReplyStringPtr);
    let mut len = 0;
    // SAFETY: the reply is what the call gave.
    let start = unsafe { pointer(reply, &mut len) };
    if start.is_null() {
        return Vec::new();
    }
    // SAFETY: so many bytes start there.
    unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) }.to_vec()
}
