//! Clients that the server unblocks before their reply was delivered.

use super::clock;
use super::closing::close_soon;
use super::guard::only_notes;
use super::reply::{send, send_error};
use super::state::STATE;
use super::tell::{busy, take_back, tell, unblock_client, INTERNAL};
use super::wait::id_of;
use crate::command::Reply;
use crate::lock::{Deadline, Millis};
use crate::queue::WaiterId;
use redis_module::raw::{self, RedisModuleBlockedClient, RedisModuleCtx, RedisModuleString};
use std::ffi::c_int;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// `CLIENT UNBLOCK … TIMEOUT` of a waiter: it gets the reply of a timeout, or the reply that it was
/// about to get in this iteration of the event loop.
pub extern "C" fn time_out(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    only_notes(ctx, "a timeout", || {
        let handle = api!(RedisModule_GetBlockedClientHandle);
        // SAFETY: the context is that of a timeout.
        let handle = unsafe { handle(ctx) };
        match let_go(handle) {
            Some((_, Left::Line(lease))) => {
                // The lease as far as it is known: no key is opened here.
                let left = lease.map(|end| end.wait(clock::now()));
                send(ctx, &Reply::Grant(busy(left.unwrap_or(Millis(0)))));
            }
            Some((id, Left::Answered | Left::Told)) => tell(ctx, id),
            None => send_error(ctx, INTERNAL),
        }
    });
    OK
}

/// The client is gone, or `CLIENT UNBLOCK … ERROR` unblocked it. What it was granted is undone.
pub extern "C" fn disconnect(ctx: *mut RedisModuleCtx, handle: *mut RedisModuleBlockedClient) {
    only_notes(ctx, "a disconnect", || {
        let id = match let_go(handle) {
            Some((id, Left::Told)) => id,
            Some((id, Left::Answered)) => return take_back(ctx, id),
            Some((_, Left::Line(_))) | None => return,
        };
        // The server was about to reply to it. With `io-threads-do-reads` it still runs commands then, and
        // CLIENT UNBLOCK … TIMEOUT sends nothing. It is unknown whether the client is still there and has a
        // reply, so its connection is closed.
        let client = STATE.with(|state| Some(state.waiting.clients.get(&id)?.id));
        if let Some(client) = client {
            close_soon(ctx, client);
        }
    });
}

/// Where a client was when the server unblocked it.
enum Left {
    /// In the queue, where it waited for the end of this lease.
    Line(Option<Deadline>),
    /// Among those that get their reply at the end of this iteration of the event loop.
    Answered,
    /// Among those that the server was asked to unblock.
    Told,
}

/// Records that the server has unblocked a client.
fn let_go(handle: *mut RedisModuleBlockedClient) -> Option<(WaiterId, Left)> {
    let id = id_of(handle)?;
    let left = STATE.with(|state| {
        let waiting = &mut state.waiting;
        let place = waiting.lines.get(id).map(|waiter| waiter.place.clone());
        if let Some(place) = place {
            let lease = waiting.lines.lease(&place);
            waiting.lines.leave(id);
            state.counters.waits_cancelled += 1;
            Left::Line(lease)
        } else if waiting.to_tell.remove(&id) {
            Left::Answered
        } else {
            Left::Told
        }
    });
    if !matches!(left, Left::Told) {
        // The server keeps the handle until the module says that it is done with it.
        unblock_client(handle, id);
    }
    Some((id, left))
}
