//! Delivers replies to waiters, and learns whether they arrived.

use super::closing::is_closing;
use super::guard::{guard, only_notes};
use super::reply::{send, send_error};
use super::state::STATE;
use super::{clock, timer};
use crate::command::Reply;
use crate::lock::{Grant, Millis};
use crate::queue::{take, WaiterId};
use redis_module::raw::{self, RedisModuleBlockedClient, RedisModuleCtx, RedisModuleString};
use std::ffi::{c_int, c_void};

const OK: c_int = raw::REDISMODULE_OK as c_int;
/// The reply if no reply was recorded.
pub const INTERNAL: &str = "ERR internal error";

/// The reply to a waiter.
pub enum Answer {
    /// Four integers.
    Grant(Grant),
    /// An error.
    Error(String),
}

/// Records the reply to a waiter that has left its queue.
///
/// The reply is delivered by the timer, at the end of this iteration of the event loop. Until then
/// the client counts as blocked, so that whatever ends its wait in this iteration finds the reply:
/// `CLIENT UNBLOCK` arrives as a timeout or a disconnect. (Once `RM_UnblockClient` was called,
/// servers up to 7.2 unblock the client without any reply, and 7.2 even crashes.)
pub fn answer(ctx: *mut RedisModuleCtx, id: WaiterId, answer: Answer) {
    STATE.with(|state| {
        if let Some(client) = state.waiting.clients.get_mut(&id) {
            client.answer = Some(answer);
            state.waiting.to_tell.insert(id);
        }
    });
    timer::tell_at_end(ctx);
}

/// The commands of this iteration of the event loop are done. Asks the server to deliver the replies, which it does
/// before it sleeps. Clients that have to be closed are closed after that.
pub fn tell_all(ctx: *mut RedisModuleCtx) {
    timer::close_next(ctx);
    for id in STATE.with(|state| std::mem::take(&mut state.waiting.to_tell)) {
        let handle = STATE.with(|state| Some(state.waiting.clients.get(&id)?.handle));
        if let Some(handle) = handle {
            unblock_client(handle, id);
        }
    }
}

/// Tells the server to unblock a client.
pub fn unblock_client(handle: *mut RedisModuleBlockedClient, id: WaiterId) {
    let unblock = api!(RedisModule_UnblockClient);
    // SAFETY: the handle is of a client that was blocked and not yet unblocked; the data is a
    // number, not a pointer.
    unsafe { unblock(handle, id.0 as *mut c_void) };
}

/// Forgets a waiter that the server has unblocked.
fn forget(id: WaiterId) -> Option<Answer> {
    STATE.with(|state| {
        let waiting = &mut state.waiting;
        let client = take(&mut waiting.clients, &id)?;
        take(&mut waiting.ids, &client.handle);
        client.answer
    })
}

/// Sends a client its reply.
pub extern "C" fn reply(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    guard(ctx, "a reply", || {
        let data = api!(RedisModule_GetBlockedClientPrivateData);
        // SAFETY: the context is that of a reply.
        let id = WaiterId(unsafe { data(ctx) } as u64);
        let client = STATE.with(|state| {
            let client = state.waiting.clients.get(&id)?;
            Some((client.id, client.user.clone()))
        });
        // It would not get the reply. `free` then undoes what it was granted.
        let closes = |client| STATE.with(|state| state.waiting.closing.contains(&client));
        if client.is_some_and(|(client, user)| {
            closes(client) || is_closing(ctx, client, user.as_deref())
        }) {
            return;
        }
        tell(ctx, id);
    });
    OK
}

/// Sends the client of this context its reply.
pub fn tell(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let answer = STATE.with(|state| {
        let waiting = &mut state.waiting;
        let granted = waiting.pending.told(id);
        let client = waiting.clients.get_mut(&id)?;
        if let Some((place, token)) = granted {
            let tick = clock::tick();
            state.sessions.told(&place, token, client.id, tick);
        }
        client.answer.take()
    });
    match answer {
        Some(Answer::Grant(grant)) => send(ctx, &Reply::Grant(grant)),
        Some(Answer::Error(text)) => send_error(ctx, &text),
        None => send_error(ctx, INTERNAL),
    }
}

/// The server is done with a client. If the reply was not delivered, the client is gone.
pub extern "C" fn free(ctx: *mut RedisModuleCtx, data: *mut c_void) {
    only_notes(ctx, "an end of a wait", || {
        let id = WaiterId(data as u64);
        take_back(ctx, id);
        if forget(id).is_some() {
            STATE.with(|state| state.counters.waits_cancelled += 1);
        }
        timer::stop_if_idle(ctx);
    });
}

/// A client is gone. A grant that was not delivered is undone: not here, since writing may not be
/// allowed now.
pub fn take_back(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let undo = STATE.with(|state| {
        let client = state.waiting.clients.get(&id).map(|client| client.id);
        let granted = state.waiting.pending.gone(id);
        if let (Some((place, token)), Some(client)) = (granted, client) {
            state.sessions.untold(&place, token, client);
        }
        state.waiting.pending.has_undo()
    });
    if undo {
        timer::set(ctx);
    }
}

/// The reply to a waiter that did not get the lock.
pub fn busy(ttl: Millis) -> Grant {
    Grant {
        holds: 0,
        fence: None,
        ttl,
    }
}
