//! What others do to locks that are waited for or bound to a connection. It is only noted here: the server calls
//! back while it walks its own tables, and a write would reach replicas before the command that caused it.

use super::core::{self, read_if_free};
use super::event_loop;
use super::schedule::{self, note};
use super::state::HOST;
use super::warnings;
use crate::engine::{ClientId, Event, Watch};
use crate::lock::{KeyRef, LockKey};
use crate::module::ffi::clock::tick;
use crate::module::ffi::context::selected_db;
use crate::module::ffi::guard::only_notes;
use crate::module::ffi::string::Str;
use crate::module::keyspace::{audience, is_ours};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent, RedisModuleString};
use std::ffi::{c_char, c_int, c_void, CStr};

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// The events by which a lock becomes free or gets another holder. A value of another type wakes
/// nobody before the lease would have ended.
const FREES: c_int = raw::REDISMODULE_NOTIFY_GENERIC
    | raw::REDISMODULE_NOTIFY_EXPIRED
    | raw::REDISMODULE_NOTIFY_EVICTED;

/// Subscribes to the changes of keys that the engine asks for. Older servers cannot unsubscribe.
pub fn watch_keys(ctx: *mut RedisModuleCtx) {
    let (classes, watched) = HOST.with(|host| {
        let classes = match host.watch {
            Watch::Nothing => 0,
            Watch::Frees => FREES,
            Watch::Changes => raw::REDISMODULE_NOTIFY_ALL,
        };
        let all = host.watched | classes;
        (classes, std::mem::replace(&mut host.watched, all))
    });
    let new = classes & !watched;
    if new == 0 {
        return;
    }
    if watched == 0 {
        event_loop::watch(ctx);
    }
    let subscribe = api!(RedisModule_SubscribeToKeyspaceEvents);
    // SAFETY: a callback for the life of the module.
    unsafe { subscribe(ctx, new, Some(key_event)) };
}

/// The server events that are subscribed to from the start.
const SERVER_EVENTS: [u64; 8] = [
    raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
    raw::REDISMODULE_EVENT_FLUSHDB,
    raw::REDISMODULE_EVENT_LOADING,
    raw::REDISMODULE_EVENT_SWAPDB,
    raw::REDISMODULE_EVENT_CLIENT_CHANGE,
    raw::REDISMODULE_EVENT_CRON_LOOP,
    raw::REDISMODULE_EVENT_CONFIG,
    raw::REDISMODULE_EVENT_FORK_CHILD,
];

/// Subscribes to changes of many keys at once, to connections that close, and to the server's cron.
pub fn watch_server(ctx: *mut RedisModuleCtx) -> bool {
    let subscribe = api!(RedisModule_SubscribeToServerEvent);
    let mut events = SERVER_EVENTS
        .map(|id| RedisModuleEvent { id, dataver: 1 })
        .into_iter();
    // SAFETY: a callback for the life of the module.
    events.all(|event| unsafe { subscribe(ctx, event, Some(server_event)) == OK })
}

extern "C" fn key_event(
    ctx: *mut RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut RedisModuleString,
) -> c_int {
    if is_ours(event) {
        return OK;
    }
    only_notes(ctx, "a key event", || {
        // SAFETY: the server lends the string for this call.
        let name = unsafe { Str::new(key) }.bytes();
        let db = selected_db(ctx);
        let key = KeyRef { db, name };
        // While the engine is in use it cannot be asked: it has opened a key that has expired, or another module has changed
        // one when it was told of ours.
        if read_if_free(|engine| engine.minds(key)).unwrap_or(true) {
            // SAFETY: the server lends the text for this call.
            let expired = unsafe { CStr::from_ptr(event) } == c"expired";
            let key: LockKey = key.to_owned();
            note(ctx, Event::KeyChanged { key, expired });
        }
    });
    OK
}

extern "C" fn server_event(
    ctx: *mut RedisModuleCtx,
    event: RedisModuleEvent,
    sub: u64,
    data: *mut c_void,
) {
    if event.id == raw::REDISMODULE_EVENT_CRON_LOOP {
        // Each by itself: the timer is looked after whatever goes wrong before.
        only_notes(ctx, "the cron", || core::note(ctx, Event::LoopRan));
        only_notes(ctx, "the cron", || schedule::check(ctx));
    }
    only_notes(ctx, "a server event", || match event.id {
        raw::REDISMODULE_EVENT_CLIENT_CHANGE
            if sub == raw::REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED =>
        {
            // SAFETY: this event comes with this data.
            let info = unsafe { &*data.cast::<raw::RedisModuleClientInfo>() };
            closed(ctx, ClientId(info.id));
        }
        raw::REDISMODULE_EVENT_CRON_LOOP => audience::check(ctx, tick()),
        raw::REDISMODULE_EVENT_FORK_CHILD => audience::may_have_come(),
        raw::REDISMODULE_EVENT_CONFIG => {
            // SAFETY: this event comes with this data.
            let changed = unsafe { &*data.cast::<raw::RedisModuleConfigChange>() };
            warnings::of_settings(ctx, changed);
        }
        raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED => {
            audience::may_have_come();
            let master = sub == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER;
            note(ctx, Event::RoleChanged { master });
        }
        raw::REDISMODULE_EVENT_FLUSHDB if sub == raw::REDISMODULE_SUBEVENT_FLUSHDB_END => {
            // SAFETY: this event comes with this data.
            let info = unsafe { &*data.cast::<raw::RedisModuleFlushInfo>() };
            let db = (info.dbnum >= 0).then_some(info.dbnum);
            note(ctx, Event::DatasetChanged { db });
        }
        raw::REDISMODULE_EVENT_SWAPDB => {
            // SAFETY: this event comes with this data.
            let info = unsafe { &*data.cast::<raw::RedisModuleSwapDbInfo>() };
            for db in [info.dbnum_first, info.dbnum_second] {
                note(ctx, Event::DatasetChanged { db: Some(db) });
            }
        }
        raw::REDISMODULE_EVENT_LOADING if sub >= raw::REDISMODULE_SUBEVENT_LOADING_ENDED => {
            note(ctx, Event::DatasetChanged { db: None });
        }
        _ => (),
    });
}

fn closed(ctx: *mut RedisModuleCtx, client: ClientId) {
    HOST.with(|host| host.closing.remove(&client));
    if read_if_free(|engine| engine.minds_client(client)).unwrap_or(true) {
        note(ctx, Event::ClientClosed(client));
    }
}
