//! What `INFO` says about the server.

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
