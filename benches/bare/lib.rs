//! A module that does nothing but block a client: what the server takes for that is no cost of
//! waiting in line. Built by the bench `handoff`.
#![allow(unsafe_code, clippy::missing_safety_doc)]

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::c_int;

const OK: c_int = raw::REDISMODULE_OK as c_int;
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// What the server calls when it loads the module.
#[no_mangle]
#[allow(non_snake_case)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    let version = raw::REDISMODULE_APIVER_1 as c_int;
    // SAFETY: the context is the one that the server gave.
    if unsafe { raw::Export_RedisModule_Init(ctx, c"bare".as_ptr(), 1, version) } != OK {
        return ERR;
    }
    // SAFETY: written once, just now.
    let Some(create) = (unsafe { raw::RedisModule_CreateCommand }) else {
        return ERR;
    };
    let (name, flags) = (c"bare.block".as_ptr(), c"".as_ptr());
    // SAFETY: constants, and a callback for the life of the module.
    unsafe { create(ctx, name, Some(block), flags, 0, 0, 0) }
}

/// `BARE.BLOCK …`: takes any arguments, and never replies.
extern "C" fn block(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: written once, while the module loads.
    if let Some(block) = unsafe { raw::RedisModule_BlockClient } {
        // SAFETY: the context is this call's.
        unsafe { block(ctx, None, None, None, 0) };
    }
    OK
}
