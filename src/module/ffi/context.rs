//! What the server says of a call's context.

use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::c_int;

/// The flags of the context.
pub fn flags(ctx: *mut RedisModuleCtx) -> u32 {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    unsafe { flags(ctx) as u32 }
}

/// Whether all of these flags are set.
pub fn has_flags(ctx: *mut RedisModuleCtx, wanted: u32) -> bool {
    flags(ctx) & wanted == wanted
}

/// The number of the database that is selected.
pub fn selected_db(ctx: *mut RedisModuleCtx) -> c_int {
    let selected = api!(RedisModule_GetSelectedDb);
    // SAFETY: the context is this call's.
    unsafe { selected(ctx) }
}

/// Selects a database that exists.
pub fn select_db(ctx: *mut RedisModuleCtx, db: c_int) {
    let select = api!(RedisModule_SelectDb);
    // SAFETY: the context is this call's.
    unsafe { select(ctx, db) };
}

/// The id of the client that a call came from.
pub fn client_id(ctx: *mut RedisModuleCtx) -> u64 {
    let id = api!(RedisModule_GetClientId);
    // SAFETY: the context is this call's.
    unsafe { id(ctx) }
}

/// Whether the server still has a client.
pub fn is_connected(client: u64) -> bool {
    let find = api!(RedisModule_GetClientInfoById);
    // SAFETY: without a place for it nothing is told of the client.
    unsafe { find(std::ptr::null_mut(), client) == raw::REDISMODULE_OK as i32 }
}

/// Whether a client also gets push data: messages, or invalidations of keys.
pub fn gets_messages(client: u64) -> bool {
    // SAFETY: plain data, for which zero means nothing.
    let mut info: raw::RedisModuleClientInfo = unsafe { std::mem::zeroed() };
    info.version = 1;
    let find = api!(RedisModule_GetClientInfoById);
    // SAFETY: the server writes what its version 1 has to where we say.
    let found = unsafe { find((&raw mut info).cast(), client) } == raw::REDISMODULE_OK as i32;
    let flags = raw::REDISMODULE_CLIENTINFO_FLAG_PUBSUB | raw::REDISMODULE_CLIENTINFO_FLAG_TRACKING;
    found && info.flags & u64::from(flags) != 0
}
