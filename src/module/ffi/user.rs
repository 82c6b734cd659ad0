//! Users, and what they may do.

use super::api;
use super::context;
use super::string::{OwnedStr, Str};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString, RedisModuleUser};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// A user that the server knows.
pub struct User(*mut RedisModuleUser);

impl User {
    /// The user of this call. None if it is unknown.
    pub fn of(ctx: *mut RedisModuleCtx) -> Option<User> {
        User::named(name(ctx)?.lend())
    }

    /// The user with this name. None if it does not exist any more.
    pub fn named(name: Str) -> Option<User> {
        let from_name = api!(RedisModule_GetModuleUserFromUserName);
        // SAFETY: the name is a string that lives.
        let user = unsafe { from_name(name.raw()) };
        (!user.is_null()).then(|| User(user))
    }

    /// Whether the user may read a key.
    pub fn may_read(&self, key: &[u8]) -> bool {
        let check = api!(RedisModule_ACLCheckKeyPermissions);
        let key = OwnedStr::new(key);
        let read = raw::REDISMODULE_CMD_KEY_ACCESS as c_int;
        // SAFETY: the user is not freed yet; the key is a string of ours.
        unsafe { check(self.0, key.lend().raw(), read) == OK }
    }

    /// Whether the user may call this command in this database. Command, key and arguments are checked together,
    /// since selectors combine them.
    pub fn may_call(&self, db: c_int, command: [Str; 3]) -> bool {
        let mut argv = command.map(Str::raw);
        let (argv, argc) = (argv.as_mut_ptr(), argv.len() as c_int);
        if let Some(check) = *CHECK_WITH_DB.get_or_init(check_with_db) {
            // SAFETY: the user is not freed yet; so many strings, all of which live. No reason is asked for.
            return unsafe { check(self.0, argv, argc, db, null_mut()) == OK };
        }
        let check = api!(RedisModule_ACLCheckCommandPermissions);
        // SAFETY: as above.
        unsafe { check(self.0, argv, argc) == OK }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let free = api!(RedisModule_FreeModuleUser);
        // SAFETY: the server made it for us, and this is its last use.
        unsafe { free(self.0) };
    }
}

/// Valkey 9.1 has rights for each database, and this function, which the bindings do not know.
type CheckWithDb = unsafe extern "C" fn(
    *mut RedisModuleUser,
    *mut *mut RedisModuleString,
    c_int,
    c_int,
    *mut c_void,
) -> c_int;

/// Looked up once: it is needed at every hand-over.
static CHECK_WITH_DB: OnceLock<Option<CheckWithDb>> = OnceLock::new();

fn check_with_db() -> Option<CheckWithDb> {
    let function = api::lookup(c"ValkeyModule_ACLCheckPermissions")?;
    // SAFETY: the function of that name has this signature.
    Some(unsafe { std::mem::transmute::<*mut c_void, CheckWithDb>(function) })
}

/// The name of a client's user. None if the client is gone, or has no user.
pub fn of_client(ctx: *mut RedisModuleCtx, client: u64) -> Option<OwnedStr> {
    let of_client = api!(RedisModule_GetClientUserNameById);
    // SAFETY: the context is this call's.
    OwnedStr::of_any(unsafe { of_client(ctx, client) })
}

/// Whether a client that is blocked still is this user: none if it had none.
pub fn is_still(ctx: *mut RedisModuleCtx, client: u64, user: Option<&[u8]>) -> bool {
    // It cannot become another one, unless its user is deleted: then it becomes the default user, which cannot be deleted,
    // and is closed.
    user == Some(b"default") || of_client(ctx, client).as_ref().map(OwnedStr::bytes) == user
}

/// The name of the user of this call. The server dereferences a null pointer when it is asked for the user of
/// a call without one (made by another module), so the client is looked up by its id first. A script's client
/// is not found by an id, but always has a user.
fn name(ctx: *mut RedisModuleCtx) -> Option<OwnedStr> {
    let name = of_client(ctx, context::client_id(ctx));
    if name.is_some() || !context::has_flags(ctx, raw::REDISMODULE_CTX_FLAGS_LUA) {
        return name;
    }
    let current = api!(RedisModule_GetCurrentUserName);
    // SAFETY: the context is that of a script.
    OwnedStr::of_any(unsafe { current(ctx) })
}
