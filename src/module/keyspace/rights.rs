//! Callers and their users.

use crate::engine::UserName;
use crate::module::ffi::context;
use crate::module::ffi::gil::Gil;
use crate::module::ffi::user;
use redis_module::raw::{self, RedisModuleCtx};

/// The name of the user that waited, or took a session, last. Most calls come from the same user: its name is kept
/// once.
static LAST_USER: Gil<Option<UserName>> = Gil::new(None);

/// The name of a client's user. None if the client is gone, or has no user.
pub fn user_name(ctx: *mut RedisModuleCtx, client: u64) -> Option<UserName> {
    let name = user::of_client(ctx, client)?;
    LAST_USER.with(|last| {
        if last.as_deref() != Some(name.bytes()) {
            *last = Some(name.bytes().into());
        }
        last.clone()
    })
}

/// Gives back its memory, when the module is unloaded.
pub fn forget() {
    LAST_USER.with(|last| drop(last.take()));
}

/// Whether a call came from a connection that a session can be bound to.
pub fn has_connection(ctx: *mut RedisModuleCtx) -> bool {
    let flags = context::flags(ctx);
    let is = |flag| flags & flag != 0;
    let by_a_call =
        is(raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING) && !is(raw::REDISMODULE_CTX_FLAGS_MULTI);
    // A call by another module may have a client of its own that the server does not find by its id.
    !by_a_call
        && !is(raw::REDISMODULE_CTX_FLAGS_LUA)
        && context::is_connected(context::client_id(ctx))
}
