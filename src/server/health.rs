//! What `INFO` and `CONFIG` say about the server.

use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::{CStr, CString};
use std::ptr::null_mut;

/// A field of a section of `INFO`.
pub fn info(section: &str, field: &str) -> Option<String> {
    let (section, field) = (CString::new(section).ok()?, CString::new(field).ok()?);
    let read = api!(RedisModule_GetServerInfo);
    // SAFETY: without a context it is ours until it is freed.
    let data = unsafe { read(null_mut(), section.as_ptr()) };
    let get = api!(RedisModule_ServerInfoGetFieldC);
    // SAFETY: the data is what was read.
    let value = unsafe { get(data, field.as_ptr()) };
    let value = (!value.is_null()).then(|| {
        // SAFETY: a string that lives as long as the data.
        let value = unsafe { CStr::from_ptr(value) };
        value.to_string_lossy().into_owned()
    });
    let free = api!(RedisModule_FreeServerInfo);
    // SAFETY: this is its last use.
    unsafe { free(null_mut(), data) };
    value
}

/// A setting. None if the server does not have it, or `CONFIG` is renamed.
pub fn config(ctx: *mut RedisModuleCtx, name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    let (command, get) = (c"CONFIG".as_ptr(), c"GET".as_ptr());
    let call = api!(RedisModule_Call);
    // SAFETY: two constants and a string, as the format says.
    let reply = unsafe { call(ctx, command, c"cc".as_ptr(), get, name.as_ptr()) };
    if reply.is_null() {
        return None;
    }
    let element = api!(RedisModule_CallReplyArrayElement);
    // SAFETY: the reply is what the call gave; there may be no second element.
    let value = unsafe { element(reply, 1) };
    let value = (!value.is_null()).then(|| text(value));
    let free = api!(RedisModule_FreeCallReply);
    // SAFETY: this is its last use.
    unsafe { free(reply) };
    value
}

/// The text of a reply: of a string, or of an error.
pub fn text(reply: *mut raw::RedisModuleCallReply) -> String {
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
