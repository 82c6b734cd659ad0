//! Calls of the server's own commands. Each costs a lot: none is on the path of an uncontended lock.

use super::string::Str;
use redis_module::raw::{RedisModuleCallReply, RedisModuleCtx};
use std::ffi::{CStr, CString};

/// The reply to a call, freed at the end.
pub struct Called(*mut RedisModuleCallReply);

impl Called {
    /// Takes what a call has returned. None if the server refused the call.
    pub fn of_any(raw: *mut RedisModuleCallReply) -> Option<Called> {
        (!raw.is_null()).then(|| Called(raw))
    }

    /// The text of a string or an error.
    pub fn text(&self) -> String {
        text(self.0)
    }

    /// The text of an element of an array.
    fn element(&self, at: usize) -> Option<String> {
        let element = api!(RedisModule_CallReplyArrayElement);
        // SAFETY: the reply is what the call gave; there may be no such element.
        let value = unsafe { element(self.0, at) };
        (!value.is_null()).then(|| text(value))
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        let free = api!(RedisModule_FreeCallReply);
        // SAFETY: this is its last use.
        unsafe { free(self.0) };
    }
}

fn text(reply: *mut RedisModuleCallReply) -> String {
    let pointer = api!(RedisModule_CallReplyStringPtr);
    let mut len = 0;
    // SAFETY: the reply is what a call gave.
    let start = unsafe { pointer(reply, &mut len) };
    if start.is_null() {
        return String::new();
    }
    // SAFETY: so many bytes start there.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// A setting. None if the server does not have it, or `CONFIG` is renamed.
pub fn config(ctx: *mut RedisModuleCtx, name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    let (command, get) = (c"CONFIG".as_ptr(), c"GET".as_ptr());
    let call = api!(RedisModule_Call);
    // SAFETY: two constants and a string, as the format says.
    let reply = unsafe { call(ctx, command, c"cc".as_ptr(), get, name.as_ptr()) };
    Called::of_any(reply)?.element(1)
}

/// Closes a client's connection. It may be gone.
///
/// # Errors
/// The error number, if the server does not make the call.
pub fn client_kill(ctx: *mut RedisModuleCtx, client: u64) -> Result<(), i32> {
    let (command, kill, id) = (c"CLIENT".as_ptr(), c"KILL".as_ptr(), c"ID".as_ptr());
    let call = api!(RedisModule_Call);
    last_error::clear();
    // SAFETY: three constants and a number, as the format says.
    let reply = unsafe { call(ctx, command, c"ccl".as_ptr(), kill, id, client as i64) };
    let called = Called::of_any(reply);
    called.map(drop).ok_or_else(last_error::get)
}

/// The flags that `CLIENT LIST` shows. None if the client is gone, or `CLIENT` is renamed.
pub fn client_flags(ctx: *mut RedisModuleCtx, client: u64) -> Option<String> {
    let (command, list, id) = (c"CLIENT".as_ptr(), c"LIST".as_ptr(), c"ID".as_ptr());
    let call = api!(RedisModule_Call);
    // SAFETY: three constants and a number, as the format says.
    let reply = unsafe { call(ctx, command, c"ccl".as_ptr(), list, id, client as i64) };
    let list = Called::of_any(reply)?.text();
    let flags = list.split(' ').find_map(|part| part.strip_prefix("flags="));
    flags.map(str::to_owned)
}

/// Whether the server knows a command by this name. The command needs an argument, so this call does not run it.
pub fn knows_command(ctx: *mut RedisModuleCtx, name: &CStr) -> bool {
    let call = api!(RedisModule_Call);
    last_error::clear();
    // SAFETY: a constant, and no arguments as the format says.
    let reply = unsafe { call(ctx, name.as_ptr(), c"".as_ptr()) };
    Called::of_any(reply).is_some() || last_error::get() != libc::ENOENT
}

/// A call that the server checks like a script's (`S`) and does not run (`D`). Redis 7.0 has no dry run: there the call is
/// run, and fails before it reads the key, since its time is not a number. So it changes nothing and raises no event,
/// whatever the key holds. (On 7.0 it counts as a failed call in `INFO commandstats`.)
pub struct DryRun {
    ctx: *mut RedisModuleCtx,
    is_run: bool,
}

impl DryRun {
    /// As this server can.
    pub fn new(ctx: *mut RedisModuleCtx) -> DryRun {
        let is_run = !has_dry_run();
        DryRun { ctx, is_run }
    }

    /// Whether the server would accept a write to a key of the selected database from a client.
    ///
    /// # Errors
    /// The error number if it would not.
    pub fn of_write(&self, key: Str) -> Result<(), i32> {
        let format = if self.is_run { c"Ssc" } else { c"SDsc" };
        let (command, time) = (c"PEXPIREAT".as_ptr(), c"never".as_ptr());
        let call = api!(RedisModule_Call);
        last_error::clear();
        // SAFETY: a string and a constant, as the format says.
        let reply = unsafe { call(self.ctx, command, format.as_ptr(), key.raw(), time) };
        let error = last_error::get();
        let called = Called::of_any(reply);
        let is_refused = match self.is_run {
            // Then it has failed by itself.
            true => called.is_none(),
            // Some servers return a reply if they refuse, some if they would have run the call.
            false => error != 0,
        };
        match is_refused {
            true => Err(error),
            false => Ok(()),
        }
    }
}

/// Whether `RM_Call` knows the dry run (`D`), which came with this function in 7.2.
pub fn has_dry_run() -> bool {
    api_if_any!(RedisModule_AddPostNotificationJob).is_some()
}

/// Whether the server keeps writes back now, since clients are paused or it is failing over.
pub fn is_paused() -> bool {
    let paused = api!(RedisModule_AvoidReplicaTraffic);
    // SAFETY: no arguments.
    unsafe { paused() != 0 }
}

/// The thread's `errno`, by which `RM_Call` says why it did not call.
mod last_error {
    /// Forgets the last error.
    pub fn clear() {
        // SAFETY: no arguments.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: it points to a number of this thread's.
        unsafe { place.write(0) };
    }

    /// The last error; 0 where there was none.
    pub fn get() -> i32 {
        std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
    }
}
