//! Closes connections, and learns whether the server is about to close one.

use super::api::last_error;
use super::health::text;
use super::log;
use super::state::STATE;
use super::string::OwnedStr;
use super::timer;
use super::user;
use redis_module::raw::{self, RedisModuleCtx};
use std::ptr::null_mut;

/// Closes a client in the next iteration of the event loop, so that it still gets the reply to its own call, if that
/// took the lock away.
///
/// Not here: this may be inside a command, a script or a transaction of the same client. And not by
/// `RM_DeauthenticateAndCloseClient`, which makes it the default user at once: the rest of its script, or a command
/// that a pause has postponed, would run with that user's rights.
pub fn close_soon(ctx: *mut RedisModuleCtx, client: u64) {
    if is_connected(client) {
        STATE.with(|state| state.waiting.closing.insert(client));
        timer::tell_at_end(ctx);
    }
}

/// Closes the clients that were requested. Only from a timer.
pub fn close_all(ctx: *mut RedisModuleCtx) {
    // The server calls back for each, which may request more.
    while let Some(client) = STATE.with(|state| state.waiting.closing.pop_first()) {
        let call = api!(RedisModule_Call);
        let (command, kill, id) = (c"CLIENT".as_ptr(), c"KILL".as_ptr(), c"ID".as_ptr());
        last_error::clear();
        // SAFETY: three constants and a number, as the format says. The client may be gone.
        let reply = unsafe { call(ctx, command, c"ccl".as_ptr(), kill, id, client as i64) };
        if reply.is_null() {
            let error = last_error::get();
            log::warning(
                ctx,
                &format!("client {client} could not be closed by CLIENT KILL (errno {error})"),
            );
            continue;
        }
        let free = api!(RedisModule_FreeCallReply);
        // SAFETY: this is its last use.
        unsafe { free(reply) };
    }
}

/// Whether the server has marked a client to be closed: it sends nothing more to it. `user` is the client's user when
/// it began to wait.
///
/// No callback reports that mark. `CLIENT LIST` shows it, but takes a twentieth of a hand-over's time, so it is called
/// only if there is a reason to.
pub fn is_closing(ctx: *mut RedisModuleCtx, client: u64, user: Option<&[u8]>) -> bool {
    // A client whose user is deleted becomes the default user, which cannot be deleted, before it is closed.
    let user_is_gone = || user != Some(b"default") && !has_user(ctx, client, user);
    // A client that also gets messages may have exceeded its output buffer.
    let may_be = gets_messages(client) || user_is_gone();
    may_be && flags(ctx, client).is_some_and(|flags| flags.contains('A'))
}

/// Whether a client still has this user.
fn has_user(ctx: *mut RedisModuleCtx, client: u64, name: Option<&[u8]>) -> bool {
    user::of_client(ctx, client).as_ref().map(OwnedStr::bytes) == name
}

/// Whether a client also gets push data: messages, or invalidations of keys.
fn gets_messages(client: u64) -> bool {
    // SAFETY: plain data, for which zero means nothing.
    let mut info: raw::RedisModuleClientInfo = unsafe { std::mem::zeroed() };
    info.version = 1;
    let find = api!(RedisModule_GetClientInfoById);
    // SAFETY: the server writes what its version 1 has to where we say.
    let found = unsafe { find((&raw mut info).cast(), client) } == raw::REDISMODULE_OK as i32;
    let flags = raw::REDISMODULE_CLIENTINFO_FLAG_PUBSUB | raw::REDISMODULE_CLIENTINFO_FLAG_TRACKING;
    found && info.flags & u64::from(flags) != 0
}

/// Whether the server still has a client.
pub fn is_connected(client: u64) -> bool {
    let find = api!(RedisModule_GetClientInfoById);
    // SAFETY: without a place for it nothing is told of the client.
    unsafe { find(null_mut(), client) == raw::REDISMODULE_OK as i32 }
}

/// The flags that `CLIENT LIST` shows. None if the client is gone, or `CLIENT` is renamed.
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
