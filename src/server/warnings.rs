//! Settings of the server that harm locks: logged as warnings, or a reason not to load.

use super::api::last_error;
use super::health::{config, info};
use super::log;
use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::CStr;

/// Commands that the outcome of LOCK.* is propagated as.
const PROPAGATED: [&CStr; 3] = [c"HSET", c"DEL", c"PEXPIREAT"];

/// Why the module cannot work on this server, if it cannot.
pub fn reason_not_to_load(ctx: *mut RedisModuleCtx) -> Option<String> {
    let lacking = PROPAGATED.iter().find(|name| !is_known(ctx, name))?;
    Some(format!(
        "the server has renamed {}: locks are propagated to replicas and the AOF as HSET, PEXPIREAT and DEL, and \
         would be lost there silently",
        lacking.to_string_lossy()
    ))
}

/// Logs warnings when the module is loaded.
pub fn at_load(ctx: *mut RedisModuleCtx) {
    of_eviction(ctx);
    of_timeout(ctx);
    if !is_known(ctx, c"CLIENT") {
        log::warning(
            ctx,
            "the server has renamed CLIENT: the connection of a session that loses its lock cannot be closed",
        );
    }
}

/// Logs warnings about settings that `CONFIG SET` has changed.
pub fn of_settings(ctx: *mut RedisModuleCtx, changed: &raw::RedisModuleConfigChange) {
    let count = changed.num_changes as usize;
    // SAFETY: the server gives so many names, which live for this call.
    let names = unsafe { std::slice::from_raw_parts(changed.config_names, count) };
    for name in names {
        // SAFETY: as above.
        match unsafe { CStr::from_ptr(*name) }.to_bytes() {
            b"timeout" => of_timeout(ctx),
            b"maxmemory-policy" => of_eviction(ctx),
            _ => (),
        }
    }
}

/// Locks have a TTL, so every policy except `noeviction` may evict them.
fn of_eviction(ctx: *mut RedisModuleCtx) {
    let Some(policy) = info("memory", "maxmemory_policy") else {
        return;
    };
    if policy != "noeviction" {
        let text = format!(
            "maxmemory-policy is {policy}: under memory pressure the server may evict locks, and with them \
             mutual exclusion; set maxmemory-policy noeviction"
        );
        log::warning(ctx, &text);
    }
}

/// The holder of a session sends nothing while it works.
fn of_timeout(ctx: *mut RedisModuleCtx) {
    let Some(timeout) = config(ctx, "timeout") else {
        return;
    };
    if timeout != "0" {
        let text = format!(
            "timeout is {timeout}: the server closes connections that are idle for so many seconds, and frees \
             the locks of their sessions while their holders work; set timeout 0 (dead peers are found by \
             tcp-keepalive)"
        );
        log::warning(ctx, &text);
    }
}

/// Whether the server knows a command by this name. The command needs an argument, so this call does not run it.
fn is_known(ctx: *mut RedisModuleCtx, name: &CStr) -> bool {
    let call = api!(RedisModule_Call);
    last_error::clear();
    // SAFETY: a constant, and no arguments as the format says.
    let reply = unsafe { call(ctx, name.as_ptr(), c"".as_ptr()) };
    if reply.is_null() {
        return last_error::get() != libc::ENOENT;
    }
    let free = api!(RedisModule_FreeCallReply);
    // SAFETY: this is its last use.
    unsafe { free(reply) };
    true
}
