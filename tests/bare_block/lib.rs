//! Another module. It does nothing but block clients, and pass a token from one to the next: what the server takes for
//! that is no cost of locks. And it calls commands as modules do, who cannot be made to wait, also while it is told of a
//! change of a key. Built by the benchmarks, and by cargo for the tests.
#![allow(unsafe_code, clippy::missing_safety_doc)]

mod on_event;

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::collections::VecDeque;
use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    let status = unsafe { create(ctx, name, Some(block), flags, 0, 0, 0) };
    let name = c"bare.call".as_ptr();
    // SAFETY: as above.
    let status = status | unsafe { create(ctx, name, Some(call), flags, 0, 0, 0) };
    let name = c"bare.take".as_ptr();
    // SAFETY: as above.
    let status = status | unsafe { create(ctx, name, Some(take), flags, 0, 0, 0) };
    let name = c"bare.give".as_ptr();
    // SAFETY: as above.
    let status = status | unsafe { create(ctx, name, Some(give), flags, 0, 0, 0) };
    let name = c"bare.onevent".as_ptr();
    // SAFETY: as above.
    status | unsafe { create(ctx, name, Some(on_event::command), flags, 0, 0, 0) }
}

/// The one token, and the addresses of the blocked clients that want it.
static TOKEN: Mutex<Token> = Mutex::new(Token {
    is_taken: false,
    waiting: VecDeque::new(),
});

struct Token {
    is_taken: bool,
    waiting: VecDeque<usize>,
}

fn token() -> MutexGuard<'static, Token> {
    TOKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `BARE.TAKE …`: takes the token, or waits for it.
extern "C" fn take(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    let mut token = token();
    if !std::mem::replace(&mut token.is_taken, true) {
        return reply(ctx, argv, argc);
    }
    // SAFETY: written once, while the module loads.
    let Some(block) = (unsafe { raw::RedisModule_BlockClient }) else {
        return ERR;
    };
    // SAFETY: the context is this call's.
    let client = unsafe { block(ctx, Some(reply), None, None, 0) };
    token.waiting.push_back(client as usize);
    OK
}

/// `BARE.GIVE …`: gives the token to whoever has waited longest.
extern "C" fn give(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    let mut token = token();
    let next = token.waiting.pop_front();
    token.is_taken = next.is_some();
    // SAFETY: written once, while the module loads.
    let unblock = unsafe { raw::RedisModule_UnblockClient };
    if let (Some(client), Some(unblock)) = (next, unblock) {
        // SAFETY: a client that was blocked, and is unblocked once.
        unsafe { unblock(client as *mut _, null_mut()) };
    }
    reply(ctx, argv, argc)
}

/// One.
extern "C" fn reply(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: written once, while the module loads.
    match unsafe { raw::RedisModule_ReplyWithLongLong } {
        // SAFETY: the context is this call's.
        Some(reply) => unsafe { reply(ctx, 1) },
        None => ERR,
    }
}

/// `BARE.CALL command key …`: calls a command, and hands its reply on.
extern "C" fn call(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    if argc < 3 {
        return ERR;
    }
    // SAFETY: the server passes `argc` strings.
    let args = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
    // SAFETY: written once, while the module loads.
    let hand_on = unsafe { raw::RedisModule_ReplyWithCallReply };
    // SAFETY: as above.
    let free = unsafe { raw::RedisModule_FreeCallReply };
    // SAFETY: the context is this call's, the strings live as long.
    let reply = unsafe { called(ctx, &args[1..]) };
    let (Some(hand_on), Some(free), false) = (hand_on, free, reply.is_null()) else {
        return ERR;
    };
    // SAFETY: the reply is what the call gave.
    let handed_on = unsafe { hand_on(ctx, reply) };
    // SAFETY: as above, and it is not used any more. The server has copied it.
    unsafe { free(reply) };
    handed_on
}

/// The reply to a command and its arguments, or null.
unsafe fn called(
    ctx: *mut RedisModuleCtx,
    words: &[*mut RedisModuleString],
) -> *mut raw::RedisModuleCallReply {
    // SAFETY: written once, while the module loads.
    let call = unsafe { raw::RedisModule_Call };
    // SAFETY: as above.
    let text = unsafe { raw::RedisModule_StringPtrLen };
    let (Some(call), Some(text), [command, rest @ ..]) = (call, text, words) else {
        return null_mut();
    };
    let mut len = 0;
    // SAFETY: the string lives as long as the call, and ends with a NUL.
    let command = unsafe { text(*command, &mut len) };
    // SAFETY: an array of strings and its length, as the format says.
    unsafe { call(ctx, command, c"v".as_ptr(), rest.as_ptr(), rest.len()) }
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
