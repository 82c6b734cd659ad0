//! A command that is called while the module is told of a change of a key.

use super::{called, reply, ERR, OK};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// What to call at the next event: addresses of strings that are kept.
static NEXT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// `BARE.ONEVENT command …`: calls that at the next event of a key, and logs what is replied.
pub extern "C" fn command(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: written once, while the module loads.
    let subscribe = unsafe { raw::RedisModule_SubscribeToKeyspaceEvents };
    // SAFETY: as above.
    let hold = unsafe { raw::RedisModule_HoldString };
    let (Some(subscribe), Some(hold)) = (subscribe, hold) else {
        return ERR;
    };
    // SAFETY: the server passes `argc` strings.
    let words = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
    // SAFETY: the strings live.
    let kept = words[1..]
        .iter()
        .map(|word| unsafe { hold(null_mut(), *word) } as usize);
    *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = kept.collect();
    // SAFETY: a callback for the life of the module.
    unsafe { subscribe(ctx, raw::REDISMODULE_NOTIFY_ALL, Some(event)) };
    reply(ctx, argv, argc)
}

extern "C" fn event(
    ctx: *mut RedisModuleCtx,
    _class: c_int,
    _event: *const c_char,
    _key: *mut RedisModuleString,
) -> c_int {
    let words = std::mem::take(&mut *NEXT.lock().unwrap_or_else(PoisonError::into_inner));
    if words.is_empty() {
        return OK;
    }
    let words: Vec<*mut RedisModuleString> = words.iter().map(|word| *word as *mut _).collect();
    // SAFETY: the context is this call's, the strings are kept.
    let reply = unsafe { called(ctx, &words) };
    // SAFETY: written once, while the module loads.
    let proto = unsafe { raw::RedisModule_CallReplyProto };
    // SAFETY: as above.
    let log = unsafe { raw::RedisModule_Log };
    // SAFETY: as above.
    let free = unsafe { raw::RedisModule_FreeCallReply };
    // SAFETY: as above.
    let let_go = unsafe { raw::RedisModule_FreeString };
    let (Some(proto), Some(log), Some(free), Some(let_go)) = (proto, log, free, let_go) else {
        return ERR;
    };
    for word in words {
        // SAFETY: it was held once, and is not used any more.
        unsafe { let_go(null_mut(), word) };
    }
    if reply.is_null() {
        return ERR;
    }
    let mut len = 0;
    // SAFETY: the reply is what the call gave.
    let text = unsafe { proto(reply, &mut len) };
    // The end of the line is not logged.
    let len = len.saturating_sub(2) as c_int;
    // SAFETY: as many bytes as the format is told.
    unsafe {
        log(
            ctx,
            c"notice".as_ptr(),
            c"in a key event: %.*s".as_ptr(),
            len,
            text,
        )
    };
    // SAFETY: it is not used any more.
    unsafe { free(reply) };
    OK
}
