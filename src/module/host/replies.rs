//! The server delivers replies to waiters. Reports whether they arrived.

use super::closing::is_closing;
use super::core;
use super::schedule::{note, schedule};
use super::state::HOST;
use crate::engine::{Answer, Event, WaiterId};
use crate::module::ffi::guard::only_notes;
use crate::module::ffi::reply::{send_error, send_grant};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::{c_int, c_void};

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// The reply if no reply was recorded.
pub const INTERNAL: &str = "ERR internal error";

/// Sends a client its reply.
pub extern "C" fn reply(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    let data = api!(RedisModule_GetBlockedClientPrivateData);
    // SAFETY: the context is that of a reply.
    let id = WaiterId(unsafe { data(ctx) } as u64);
    let done = only_notes(ctx, "a reply", || {
        let client = HOST.with(|host| {
            let blocked = host.blocked.get(&id)?;
            let is_closing = host.closing.contains(&blocked.client);
            Some((blocked.client, blocked.user.clone(), is_closing))
        });
        // It would not get the reply. `free` reports that.
        let is_lost = client.is_some_and(|(client, user, closing)| {
            closing || is_closing(ctx, client, user.as_deref())
        });
        if !is_lost {
            send_answer(ctx, id);
        }
    });
    if done.is_none() {
        only_notes(ctx, "an error reply", || {
            if !is_delivered(id) {
                // What it was granted is undone by `free`.
                send_error(ctx, INTERNAL);
            }
        });
    }
    OK
}

/// Sends the client of this context its reply.
pub fn send_answer(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let answer = HOST.with(|host| {
        let blocked = host.blocked.get_mut(&id)?;
        blocked.answer.take()
    });
    // In this order: a reply is sent if and only if the engine and the entry say so.
    core::note(ctx, Event::Delivered(id));
    HOST.with(|host| {
        if let Some(blocked) = host.blocked.get_mut(&id) {
            blocked.is_delivered = true;
        }
    });
    match answer {
        Some(Answer::Grant(grant)) => send_grant(ctx, &grant),
        Some(Answer::Error(text)) => send_error(ctx, &text),
        None => send_error(ctx, INTERNAL),
    }
    schedule(ctx);
}

/// Whether a waiter's reply was sent; also if the server is done with its client.
pub fn is_delivered(id: WaiterId) -> bool {
    HOST.with(|host| host.blocked.get(&id).is_none_or(|it| it.is_delivered))
}

/// The server is done with a client. If the reply was not delivered, the client is gone.
pub extern "C" fn free(ctx: *mut RedisModuleCtx, data: *mut c_void) {
    let id = WaiterId(data as u64);
    // What is noted twice counts once.
    if only_notes(ctx, "an end of a wait", || forget(ctx, id)).is_none() {
        only_notes(ctx, "what follows an error", || forget(ctx, id));
    }
}

fn forget(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let is_delivered = HOST.with(|host| {
        let blocked = host.blocked.take(&id)?;
        host.ids.take(&blocked.handle);
        Some(blocked.is_delivered)
    });
    if is_delivered != Some(true) {
        note(ctx, Event::NotDelivered(id));
    }
}
