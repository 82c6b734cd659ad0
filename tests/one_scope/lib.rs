//! To be preloaded by a server that is to read another time: has it load modules in the scope of the whole process.
//!
//! Servers load modules with `RTLD_DEEPBIND`: these look for functions in the C library before anything that is
//! preloaded. A clock that libfaketime sets for the server would not be set for the module.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

type DlOpen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

/// What the server calls instead of the C library's `dlopen`.
///
/// # Safety
///
/// As that.
#[no_mangle]
pub unsafe extern "C" fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void {
    // SAFETY: the name is a constant that ends with a zero.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"dlopen".as_ptr()) };
    if next.is_null() {
        return next;
    }
    // SAFETY: the next function of that name has that type.
    let next = unsafe { std::mem::transmute::<*mut c_void, DlOpen>(next) };
    // SAFETY: the caller's arguments, but for the flag.
    unsafe { next(file, flags & !libc::RTLD_DEEPBIND) }
}
