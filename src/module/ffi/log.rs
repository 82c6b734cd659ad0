//! The server's log.

use redis_module::raw::RedisModuleCtx;
use std::ffi::{CStr, CString};

/// Writes a warning.
pub fn warning(ctx: *mut RedisModuleCtx, text: &str) {
    write(ctx, c"warning", text);
}

fn write(ctx: *mut RedisModuleCtx, level: &CStr, text: &str) {
    let Some(log) = api_if_any!(RedisModule_Log) else {
        return; // no server has loaded the module: a unit test
    };
    // C strings cannot contain a NUL, and text is escaped before it comes here.
    let Ok(text) = CString::new(text.replace('\0', "\\x00")) else {
        return;
    };
    // SAFETY: the text is an argument, never the format.
    unsafe { log(ctx, level.as_ptr(), c"%s".as_ptr(), text.as_ptr()) };
}
