//! Settings of the server that harm locks: logged as warnings, or a reason not to load.

use super::cut_off;
use crate::module::ffi::call::{config, knows_command};
use crate::module::ffi::log;
use crate::module::ffi::server_info::info;
use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::CStr;

/// Commands that the outcome of LOCK.* is propagated as.
const PROPAGATED: [&CStr; 3] = [c"HSET", c"DEL", c"PEXPIREAT"];

/// Why the module cannot work on this server, if it cannot.
pub fn reason_not_to_load(ctx: *mut RedisModuleCtx) -> Option<String> {
    let lacking = PROPAGATED.iter().find(|name| !knows_command(ctx, name))?;
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
    if !knows_command(ctx, c"CLIENT") {
        log::warning(
            ctx,
            "the server has renamed CLIENT: the connection of a session that loses its lock cannot be closed",
        );
    }
}

/// `CONFIG SET` has changed settings: logs warnings about them, and tells the engine what it has to know.
pub fn of_settings(ctx: *mut RedisModuleCtx, changed: &raw::RedisModuleConfigChange) {
    let count = changed.num_changes as usize;
    // SAFETY: the server gives so many names, which live for this call.
    let names = unsafe { std::slice::from_raw_parts(changed.config_names, count) };
    for name in names {
        // SAFETY: as above.
        match unsafe { CStr::from_ptr(*name) }.to_bytes() {
            b"timeout" => of_timeout(ctx),
            b"maxmemory-policy" => of_eviction(ctx),
            name if cut_off::is_one(name) => cut_off::note_settings(ctx),
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
