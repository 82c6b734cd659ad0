//! Blocks clients.

use super::core::read;
use super::replies::{free, reply};
use super::schedule::note;
use super::state::{Blocked, HOST};
use super::unblock::{disconnect, time_out};
use crate::engine::{ClientId, Event, WaiterId};
use crate::lock::Grant;
use crate::module::ffi::context::client_id;
use crate::module::ffi::reply::send_grant;
use redis_module::raw::RedisModuleCtx;

/// Blocks the caller, which waits from now on. If the server refuses that, the call is answered that the lock is busy.
pub fn block(ctx: *mut RedisModuleCtx, id: WaiterId, busy: Grant) {
    // Before the client is blocked: nothing may go wrong between that and its entry here.
    let client = ClientId(client_id(ctx));
    let user = read(|engine| engine.user_waiting(id));
    let block = api!(RedisModule_BlockClient);
    // The server's own timeouts fire up to 100 ms late, so none is set.
    // SAFETY: callbacks for the life of the module, which stays while clients are blocked.
    let handle = unsafe { block(ctx, Some(reply), Some(time_out), Some(free), 0) };
    if handle.is_null() {
        note(ctx, Event::NotBlocked(id));
        return send_grant(ctx, &busy);
    }
    let blocked = Blocked {
        handle,
        client,
        user,
        answer: None,
        is_delivered: false,
        is_let_go: false,
    };
    HOST.with(|host| {
        host.blocked.insert(id, blocked);
        host.ids.insert(handle, id);
    });
    let on_disconnect = api!(RedisModule_SetDisconnectCallback);
    // SAFETY: the handle is new.
    unsafe { on_disconnect(handle, Some(disconnect)) };
}
