//! Clients that the server lets go before they were told.

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

/// `CLIENT UNBLOCK … TIMEOUT` of one who waits: answered as one whose time is up, or as it was to be
/// answered in this turn anyhow.
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
                // As far as is known: no key is opened here.
                let left = lease.map(|end| end.wait(clock::now()));
                send(ctx, &Reply::Grant(busy(left.unwrap_or(Millis(0)))));
            }
            Some((id, Left::Answered | Left::Told)) => tell(ctx, id),
            None => send_error(ctx, INTERNAL),
        }
    });
    OK
}

/// The client is gone, or `CLIENT UNBLOCK … ERROR` let it go. What it was granted is taken back.
pub extern "C" fn disconnect(ctx: *mut RedisModuleCtx, handle: *mut RedisModuleBlockedClient) {
    only_notes(ctx, "a disconnect", || {
        let id = match let_go(handle) {
            Some((id, Left::Told)) => id,
            Some((id, Left::Answered)) => return take_back(ctx, id),
            Some((_, Left::Line(_))) | None => return,
        };
        // The server was just about to reply to it; with `io-threads-do-reads` commands are run even then,
        // and CLIENT UNBLOCK … TIMEOUT sends nothing. Nobody can say whether the client is still there, and
        // whether it has a reply: so its connection is closed.
        let client = STATE.with(|state| Some(state.waiting.clients.get(&id)?.id));
        if let Some(client) = client {
            close_soon(ctx, client);
        }
    });
}

/// Where the server lets a client go from.
enum Left {
    /// The line, where this lease is waited for.
    Line(Option<Deadline>),
    /// From among those to be told at the end of this turn.
    Answered,
    /// From among those that the server was asked to tell.
    Told,
}

/// Takes note that the server has let a client go.
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
        // The server keeps its handle until it is told that we are done with it.
        unblock_client(handle, id);
    }
    Some((id, left))
}
