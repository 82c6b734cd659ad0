//! Closes connections, and learns whether the server is about to close one.

use super::state::HOST;
use crate::engine::ClientId;
use crate::module::ffi::call::{client_flags, client_kill};
use crate::module::ffi::context::{gets_messages, has_flags};
use crate::module::ffi::{log, user};
use redis_module::raw::{self, RedisModuleCtx};

/// Closes the clients that were requested. Only from a timer.
pub fn close_all(ctx: *mut RedisModuleCtx) {
    // The server calls back for each, which may request more.
    while let Some(ClientId(client)) = HOST.with(|host| host.closing.pop_first()) {
        if let Err(error) = client_kill(ctx, client) {
            let text =
                format!("client {client} could not be closed by CLIENT KILL (errno {error})");
            log::warning(ctx, &text);
        }
    }
}

/// Whether the server has marked the client of this context to be closed: it sends nothing more to it. `user` is the client's user when
/// it began to wait.
///
/// No callback reports that mark. `CLIENT LIST` shows it, but takes a twentieth of a hand-over's time, so it is called
/// only if there is a reason to.
pub fn is_closing(ctx: *mut RedisModuleCtx, client: ClientId, user: Option<&[u8]>) -> bool {
    let ClientId(client) = client;
    // A client that also gets messages may have exceeded its output buffer. With RESP2 none comes to one that calls
    // commands; to ask about the others takes a system call.
    let resp3 = has_flags(ctx, raw::REDISMODULE_CTX_FLAGS_RESP3);
    let may_be = (resp3 && gets_messages(client)) || !user::is_still(ctx, client, user);
    may_be && client_flags(ctx, client).is_some_and(|flags| flags.contains('A'))
}
