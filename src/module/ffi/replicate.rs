//! Propagation to replicas and the AOF.

use super::string::Str;
use redis_module::raw::RedisModuleCtx;
use std::ffi::CStr;

/// Propagates a command of one to five arguments to replicas and the AOF. It is not run here.
pub fn replicate(ctx: *mut RedisModuleCtx, command: &CStr, args: &[Str]) {
    let format = match args.len() {
        1 => c"s",
        2 => c"ss",
        3 => c"sss",
        4 => c"ssss",
        _ => c"sssss",
    };
    call(ctx, command, format, args);
}

/// Propagates a command of two arguments to replicas, and not to the AOF.
pub fn replicate_to_replicas(ctx: *mut RedisModuleCtx, command: &CStr, args: [Str; 2]) {
    call(ctx, command, c"Ass", &args);
}

fn call(ctx: *mut RedisModuleCtx, command: &CStr, format: &CStr, args: &[Str]) {
    let replicate = api!(RedisModule_Replicate);
    let (command, format) = (command.as_ptr(), format.as_ptr());
    let arg = |at: usize| args.get(at).map_or(std::ptr::null_mut(), |arg| arg.raw());
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(arg);
    // SAFETY: as many strings as the format says; what follows them is not read.
    unsafe { replicate(ctx, command, format, a, b, c, d, e) };
}

/// Counts a write among the changes since the last snapshot, of which `save` points and `rdb_changes_since_last_save`
/// speak. [`replicate`] does so too.
///
/// Only in a call of a command: if someone listens to what is propagated, that is what they get.
pub fn count_change(ctx: *mut RedisModuleCtx) {
    let verbatim = api!(RedisModule_ReplicateVerbatim);
    // SAFETY: the context is that of a command.
    unsafe { verbatim(ctx) };
}
