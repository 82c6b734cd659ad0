//! Clients that the server unblocks before their reply was delivered.

use super::core::read_if_free;
use super::deliver::unblock_client;
use super::replies::{is_delivered, send_answer, INTERNAL};
use super::schedule::note;
use super::state::{Handle, HOST};
use crate::engine::{Event, WaiterId};
use crate::lock::{Deadline, Grant, Millis};
use crate::module::ffi::clock;
use crate::module::ffi::guard::only_notes;
use crate::module::ffi::reply::{send_error, send_grant};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::cell::Cell;
use std::ffi::c_int;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// `CLIENT UNBLOCK … TIMEOUT` of a waiter: it gets the reply of a timeout, or the reply that it was
/// about to get in this iteration of the event loop.
pub extern "C" fn time_out(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    let (has_reply, answered) = (Cell::new(false), Cell::new(None));
    let done = only_notes(ctx, "a timeout", || {
        let handle = api!(RedisModule_GetBlockedClientHandle);
        // SAFETY: the context is that of a timeout.
        let handle = unsafe { handle(ctx) };
        match let_go(ctx, handle) {
            Some((_, Left::Queue(lease))) => {
                // The lease as far as it is known: no key is opened here.
                let left = lease.map(|end| end.wait(clock::now()));
                let ttl = left.unwrap_or(Millis(0));
                has_reply.set(true);
                send_grant(ctx, &Grant { ttl, ..Grant::NONE });
            }
            Some((id, Left::Answered | Left::Delivering)) => {
                answered.set(Some(id));
                send_answer(ctx, id);
            }
            None => {
                has_reply.set(true);
                send_error(ctx, INTERNAL);
            }
        }
    });
    if done.is_none() {
        only_notes(ctx, "an error reply", || {
            let has_reply = answered.get().map_or(has_reply.get(), is_delivered);
            if !has_reply {
                send_error(ctx, INTERNAL);
            }
        });
    }
    OK
}

/// The client is gone, or `CLIENT UNBLOCK … ERROR` unblocked it. What it was granted is undone.
pub extern "C" fn disconnect(ctx: *mut RedisModuleCtx, handle: Handle) {
    only_notes(ctx, "a disconnect", || {
        let id = match let_go(ctx, handle) {
            Some((id, Left::Delivering)) => id,
            Some((id, Left::Answered)) => return note(ctx, Event::NotDelivered(id)),
            Some((_, Left::Queue(_))) | None => return,
        };
        // The server was about to reply to it. With `io-threads-do-reads` it still runs commands then, and
        // CLIENT UNBLOCK … TIMEOUT sends nothing.
        let client = HOST.with(|host| Some(host.blocked.get(&id)?.client));
        if let Some(client) = client {
            note(ctx, Event::DeliveryInDoubt(client));
        }
    });
}

/// Where a client was when the server unblocked it.
enum Left {
    /// In the queue, where it waited for the end of this lease.
    Queue(Option<Deadline>),
    /// Among those that get their reply at the end of this iteration of the event loop.
    Answered,
    /// Among those that the server was asked to unblock.
    Delivering,
}

/// The server has unblocked a client.
fn let_go(ctx: *mut RedisModuleCtx, handle: Handle) -> Option<(WaiterId, Left)> {
    let id = HOST.with(|host| host.ids.get(&handle).copied())?;
    let is_answered = HOST.with(|host| Some(host.blocked.get(&id)?.answer.is_some()))?;
    let left = match is_answered {
        false => {
            let lease = read_if_free(|engine| engine.lease_waited_for(id)).flatten();
            note(ctx, Event::WaitCancelled(id));
            Left::Queue(lease.flatten())
        }
        true if HOST.with(|host| host.to_deliver.remove(&id)) => Left::Answered,
        true => Left::Delivering,
    };
    if !matches!(left, Left::Delivering) {
        // The server keeps the handle until the module says that it is done with it.
        HOST.with(|host| {
            if let Some(blocked) = host.blocked.get_mut(&id) {
                blocked.is_let_go = true;
            }
        });
        unblock_client(handle, id);
    }
    Some((id, left))
}
