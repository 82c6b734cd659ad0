//! Sends replies.

use crate::command::Reply;
use crate::engine::LockInfo;
use crate::lock::{Grant, Token};
use redis_module::raw::RedisModuleCtx;
use std::ffi::CString;

/// Sends a reply.
pub fn send(ctx: *mut RedisModuleCtx, reply: &Reply) {
    match reply {
        Reply::Grant(grant) | Reply::Waits(_, grant) => send_grant(ctx, grant),
        Reply::Integer(number) => integer(ctx, *number),
        Reply::Ok => {
            let simple = api!(RedisModule_ReplyWithSimpleString);
            // SAFETY: the text is a constant.
            unsafe { simple(ctx, c"OK".as_ptr()) };
        }
        Reply::Null => null(ctx),
        Reply::Info(info) => {
            map(ctx, INFO_PAIRS);
            send_info(ctx, info);
        }
        Reply::Queues(queues) => {
            array(ctx, queues.len() as i64);
            for (lock, info) in queues {
                map(ctx, 1 + INFO_PAIRS);
                text(ctx, b"lock");
                text(ctx, lock);
                send_info(ctx, info);
            }
        }
    }
}

/// Sends four integers: acquired, holds, token, ttl.
pub fn send_grant(ctx: *mut RedisModuleCtx, grant: &Grant) {
    array(ctx, 4);
    integer(ctx, i64::from(grant.holds > 0));
    integer(ctx, i64::from(grant.holds));
    integer(ctx, token(grant));
    integer(ctx, grant.ttl.0);
}

/// How many names [`send_info`] sends, each with its value.
const INFO_PAIRS: i64 = 7;

fn send_info(ctx: *mut RedisModuleCtx, info: &LockInfo) {
    text(ctx, b"owner");
    match &info.owner {
        Some(owner) => text(ctx, owner),
        None => null(ctx),
    }
    text(ctx, b"holds");
    integer(ctx, i64::from(info.grant.holds));
    text(ctx, b"token");
    integer(ctx, token(&info.grant));
    text(ctx, b"ttl");
    integer(ctx, info.grant.ttl.0);
    text(ctx, b"session");
    integer(ctx, i64::from(info.session));
    text(ctx, b"waiters");
    integer(ctx, info.waiters as i64);
    text(ctx, b"queue");
    array(ctx, info.queue.len() as i64);
    for (owner, waited) in &info.queue {
        map(ctx, 2);
        text(ctx, b"owner");
        text(ctx, owner);
        text(ctx, b"waited");
        integer(ctx, waited.0);
    }
}

/// Sends an error.
pub fn send_error(ctx: *mut RedisModuleCtx, text: &str) {
    let text = CString::new(text).unwrap_or_else(|_| CString::from(c"ERR internal error"));
    let error = api!(RedisModule_ReplyWithError);
    // SAFETY: the server copies the text.
    unsafe { error(ctx, text.as_ptr()) };
}

fn token(grant: &Grant) -> i64 {
    grant.token().map_or(0, Token::get)
}

fn array(ctx: *mut RedisModuleCtx, len: i64) {
    let array = api!(RedisModule_ReplyWithArray);
    // SAFETY: the context is this call's.
    unsafe { array(ctx, len as _) };
}

/// A map if the client knows maps (RESP3), else a flat list.
fn map(ctx: *mut RedisModuleCtx, pairs: i64) {
    let map = api!(RedisModule_ReplyWithMap);
    // SAFETY: the context is this call's.
    unsafe { map(ctx, pairs as _) };
}

fn null(ctx: *mut RedisModuleCtx) {
    let null = api!(RedisModule_ReplyWithNull);
    // SAFETY: the context is this call's.
    unsafe { null(ctx) };
}

fn integer(ctx: *mut RedisModuleCtx, number: i64) {
    let integer = api!(RedisModule_ReplyWithLongLong);
    // SAFETY: the context is this call's.
    unsafe { integer(ctx, number) };
}

fn text(ctx: *mut RedisModuleCtx, bytes: &[u8]) {
    let string = api!(RedisModule_ReplyWithStringBuffer);
    // SAFETY: the server copies the bytes.
    unsafe { string(ctx, bytes.as_ptr().cast(), bytes.len()) };
}
