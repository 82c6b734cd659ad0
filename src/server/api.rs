//! The functions that the server lends to a module. Which of them there are depends on the server;
//! we never ask for its version.

use std::ffi::CStr;

/// The function of this name, which every server from 6.2 on has.
macro_rules! api {
    ($name:ident) => {{
        // SAFETY: the pointers are written once, while the module loads, and only read after that.
        let function = unsafe { ::redis_module::raw::$name };
        match function {
            Some(function) => function,
            None => $crate::server::api::missing(stringify!($name)),
        }
    }};
}

/// The function of this name where the server has it.
macro_rules! api_if_any {
    ($name:ident) => {{
        // SAFETY: the pointers are written once, while the module loads, and only read after that.
        unsafe { ::redis_module::raw::$name }
    }};
}

/// Stops the call, not the server: every entry point catches panics, and loading a module into a
/// server that lacks a function fails there.
#[cold]
#[allow(clippy::panic)]
pub fn missing(name: &str) -> ! {
    panic!("the server has no {name}")
}

/// Whether the server is Valkey, which offers each function under a second name of its own.
pub fn is_valkey() -> bool {
    lookup(c"ValkeyModule_CreateCommand").is_some()
}

fn lookup(name: &CStr) -> Option<()> {
    let get_api = api!(RedisModule_GetApi);
    let mut function: *mut std::ffi::c_void = std::ptr::null_mut();
    let out = (&mut function as *mut *mut std::ffi::c_void).cast();
    // SAFETY: the server writes one function pointer, or nothing, to where `out` points.
    let status = unsafe { get_api(name.as_ptr(), out) };
    (status == 0 && !function.is_null()).then_some(())
}
