//! Whether the server is about to close a client.
//!
//! It closes some only before it sleeps, after the answers of this turn, and sends them nothing more.
//! No callback tells of that mark. `CLIENT LIST` shows it, but takes as long as a twentieth of a
//! hand-off: so it is asked only where there is reason to.

use super::health::text;
use super::permit::checks_calls;
use super::string::OwnedStr;
use redis_module::raw::{self, RedisModuleCtx};

/// Whether a client is marked. `was_default` is what [`is_default_user`] said when it began to wait.
pub fn is_closing(ctx: *mut RedisModuleCtx, client: u64, was_default: bool) -> bool {
    // A client whose user is deleted becomes the default user, which cannot be deleted, before it is
    // closed. One whose socket has ended is closed at once, but on 6.2 it is marked as well.
    // One that is sent messages besides may have been sent too many.
    let may_be =
        !checks_calls() || is_sent_to(client) || (!was_default && is_default_user(ctx, client));
    may_be && flags(ctx, client).is_some_and(|flags| flags.contains('A'))
}

/// Whether a client is sent what it did not ask for in this call: messages, or what it tracks.
fn is_sent_to(client: u64) -> bool {
    // SAFETY: plain data, for which zero means nothing.
    let mut info: raw::RedisModuleClientInfo = unsafe { std::mem::zeroed() };
    info.version = 1;
    let find = api!(RedisModule_GetClientInfoById);
    // SAFETY: the server writes what its version 1 has to where we say.
    let found = unsafe { find((&raw mut info).cast(), client) } == raw::REDISMODULE_OK as i32;
    let flags = raw::REDISMODULE_CLIENTINFO_FLAG_PUBSUB | raw::REDISMODULE_CLIENTINFO_FLAG_TRACKING;
    found && info.flags & u64::from(flags) != 0
}

/// Whether a client is the default user. 6.2 need not be asked.
pub fn is_default_user(ctx: *mut RedisModuleCtx, client: u64) -> bool {
    let Some(name) = api_if_any!(RedisModule_GetClientUserNameById) else {
        return false;
    };
    // SAFETY: the context is this call's. The client may have no user, or be none.
    let name = unsafe { name(ctx, client) };
    let name = OwnedStr::of_any(name);
    name.is_some_and(|name| name.lend().bytes() == b"default")
}

/// The flags that `CLIENT LIST` shows. None where the client is gone, or `CLIENT` has another name.
fn flags(ctx: *mut RedisModuleCtx, client: u64) -> Option<String> {
    let call = api!(RedisModule_Call);
    let (command, list, id) = (c"CLIENT".as_ptr(), c"LIST".as_ptr(), c"ID".as_ptr());
    // SAFETY: three constants and a number, as the format says.
    let reply = unsafe { call(ctx, command, c"ccl".as_ptr(), list, id, client as i64) };
    if reply.is_null() {
        return None;
    }
    let list = text(reply);
    let free = api!(RedisModule_FreeCallReply);
    // SAFETY: this is its last use.
    unsafe { free(reply) };
    let flags = list.split(' ').find_map(|part| part.strip_prefix("flags="));
    flags.map(str::to_owned)
}
