//! What the user of a call may see.

use super::string::OwnedStr;
use redis_module::raw::{self, RedisModuleCtx, RedisModuleUser};
use std::ffi::c_int;

/// The user who runs a command, as far as the server tells.
pub enum User {
    /// The server tells of no users (6.2).
    Untold,
    /// This one.
    Known(*mut RedisModuleUser),
    /// There is one, but not by a name.
    Unknown,
}

impl User {
    /// The user of this call.
    pub fn of(ctx: *mut RedisModuleCtx) -> User {
        let Some(from_name) = api_if_any!(RedisModule_GetModuleUserFromUserName) else {
            return User::Untold;
        };
        let Some(name) = name(ctx) else {
            return User::Unknown;
        };
        // SAFETY: the name is a string of ours.
        let user = unsafe { from_name(name.lend().raw()) };
        match user.is_null() {
            true => User::Unknown,
            false => User::Known(user),
        }
    }

    /// Whether the user may read a key. Who is unknown may read none.
    pub fn may_read(&self, key: &[u8]) -> bool {
        let user = match self {
            User::Untold => return true,
            User::Unknown => return false,
            User::Known(user) => *user,
        };
        let check = api!(RedisModule_ACLCheckKeyPermissions);
        let key = OwnedStr::new(key);
        let read = raw::REDISMODULE_CMD_KEY_ACCESS as c_int;
        // SAFETY: the user is not freed yet; the key is a string of ours.
        unsafe { check(user, key.lend().raw(), read) == raw::REDISMODULE_OK as c_int }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let User::Known(user) = *self {
            let free = api!(RedisModule_FreeModuleUser);
            // SAFETY: the server made it for us, and this is its last use.
            unsafe { free(user) };
        }
    }
}

/// The name of the user. The server follows a null pointer where it is asked for the name of a
/// call that has no user (one made by another module), so a client is asked for by its number
/// first. The client of a script has no number that the server finds, but always a user.
fn name(ctx: *mut RedisModuleCtx) -> Option<OwnedStr> {
    let (id, of_client) = (
        api!(RedisModule_GetClientId),
        api!(RedisModule_GetClientUserNameById),
    );
    // SAFETY: the context is this call's.
    let id = unsafe { id(ctx) };
    // SAFETY: as above.
    let name = OwnedStr::of_any(unsafe { of_client(ctx, id) });
    if name.is_some() {
        return name;
    }
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    if flags & raw::REDISMODULE_CTX_FLAGS_LUA == 0 {
        return None;
    }
    let current = api!(RedisModule_GetCurrentUserName);
    // SAFETY: the context is that of a script.
    OwnedStr::of_any(unsafe { current(ctx) })
}
