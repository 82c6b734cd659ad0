//! The functions that the server offers to a module. Which of them exist depends on the server; its
//! version is never asked for.

use std::ffi::{c_void, CStr};

/// The function of this name, which every server from 7.0 on has.
macro_rules! api {
    ($name:ident) => {{
        // SAFETY: the pointers are written once, while the module loads, and only read after that.
        let function = unsafe { ::redis_module::raw::$name };
        match function {
            Some(function) => function,
            None => $crate::module::ffi::api::missing(stringify!($name)),
        }
    }};
}

/// The function of this name, if the server has it.
macro_rules! api_if_any {
    ($name:ident) => {{
        // SAFETY: the pointers are written once, while the module loads, and only read after that.
        unsafe { ::redis_module::raw::$name }
    }};
}

/// Ends the call, not the server: every entry point catches panics, and loading fails on a server
/// that lacks a function.
#[cold]
#[allow(clippy::panic)]
pub fn missing(name: &str) -> ! {
    panic!("the server has no {name}")
}

/// Whether the server is new enough: Redis 7.0 brought what is needed, and every Valkey has it.
pub fn is_supported() -> bool {
    api_if_any!(RedisModule_SetCommandInfo).is_some()
}

/// Whether the server is Valkey, which offers each function under a second name.
pub fn is_valkey() -> bool {
    lookup(c"ValkeyModule_CreateCommand").is_some()
}

/// A function that the bindings do not know.
pub fn lookup(name: &CStr) -> Option<*mut c_void> {
    let get_api = api!(RedisModule_GetApi);
    let mut function: *mut c_void = std::ptr::null_mut();
    let out = (&mut function as *mut *mut c_void).cast();
    // SAFETY: the server writes one function pointer, or nothing, to where `out` points.
    let status = unsafe { get_api(name.as_ptr(), out) };
    (status == 0 && !function.is_null()).then_some(function)
}
