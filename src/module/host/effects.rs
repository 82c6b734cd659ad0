//! Carries out the engine's effects.

use super::state::HOST;
use crate::engine::{Answer, ClientId, Effect, Effects, Message, WaiterId};
use crate::module::ffi::context::is_connected;
use crate::module::ffi::log;
use crate::module::ffi::planted::{panic_at, Place};
use crate::module::ffi::replicate::replicate_to_replicas;
use crate::module::ffi::string::OwnedStr;
use crate::module::keyspace::{audience, SharedStrings};
use redis_module::raw::RedisModuleCtx;

/// Carries them out, in order, but the replies first: whatever goes wrong then, nobody waits for ever. Returns the waiters
/// who cannot get theirs.
pub fn carry_out(ctx: *mut RedisModuleCtx, effects: &Effects) -> Vec<WaiterId> {
    let mut lost = Vec::new();
    for effect in effects.list() {
        if let Effect::Deliver(id, answer) = effect {
            if !record(*id, answer) {
                lost.push(*id);
            }
        }
    }
    panic_at("the effects", Place::Begin);
    for effect in effects.list() {
        match effect {
            Effect::Deliver(..) => (),
            Effect::Close(client) => close_soon(*client),
            Effect::Watch(watch) => HOST.with(|host| host.watch = *watch),
            Effect::Publish(message) => publish(ctx, effects.channel(message), message),
            Effect::Warn(text) => log::warning(ctx, text),
        }
    }
    lost
}

/// Records the reply to a waiter that has left its queue. False if its client is not known, or was let go: by another
/// module that was told of this very grant.
///
/// The reply is delivered at the end of this iteration of the event loop. Until then the client counts as
/// blocked, so that whatever ends its wait in this iteration finds the reply: `CLIENT UNBLOCK` arrives as a timeout
/// or a disconnect. (Once `RM_UnblockClient` was called, servers up to 7.2 unblock the client without any reply, and
/// 7.2 even crashes.)
fn record(id: WaiterId, answer: &Answer) -> bool {
    HOST.with(|host| {
        let Some(blocked) = host.blocked.get_mut(&id).filter(|it| !it.is_let_go) else {
            return false;
        };
        blocked.answer = Some(answer.clone());
        host.to_deliver.insert(id);
        true
    })
}

/// Has a client closed in the next iteration of the event loop, so that it still gets the reply to its own call, if
/// that took the lock away.
///
/// Not here: this may be inside a command, a script or a transaction of the same client. And not by
/// `RM_DeauthenticateAndCloseClient`, which makes it the default user at once: the rest of its script, or a command
/// that a pause has postponed, would run with that user's rights.
fn close_soon(client: ClientId) {
    if is_connected(client.0) {
        HOST.with(|host| host.closing.insert(client));
    }
}

/// Publishes an unlock message. In cluster mode the bus carries it to replicas too; otherwise they get it as a
/// command, which is not written to the AOF.
fn publish(ctx: *mut RedisModuleCtx, channel: &[u8], message: &Message) {
    let (publish, command) = match message.sharded {
        true => (api!(RedisModule_PublishMessageShard), c"SPUBLISH"),
        false => (api!(RedisModule_PublishMessage), c"PUBLISH"),
    };
    let channel = OwnedStr::new(channel);
    let (channel, zero) = (channel.lend(), SharedStrings::get().zero);
    // SAFETY: both strings live.
    unsafe { publish(ctx, channel.raw(), zero.raw()) };
    if !message.by_bus && audience::may_listen() {
        replicate_to_replicas(ctx, command, [channel, zero]);
    }
}
