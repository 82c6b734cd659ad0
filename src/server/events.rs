//! What others do to locks that are waited for or bound to a connection. It is only recorded here: the server calls
//! back while it walks its own tables, and a write would reach replicas before the command that caused it.

use super::grace;
use super::guard::only_notes;
use super::serve;
use super::sessions;
use super::state::STATE;
use super::string::Str;
use super::timer;
use super::turn;
use super::warnings;
use super::write::OURS;
use crate::queue::Place;
use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent, RedisModuleString};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::atomic::Ordering::Relaxed;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// The events by which a lock becomes free or gets another holder. A value of another type wakes
/// nobody before the lease would have ended.
pub const FREES: c_int = (raw::REDISMODULE_NOTIFY_GENERIC
    | raw::REDISMODULE_NOTIFY_EXPIRED
    | raw::REDISMODULE_NOTIFY_EVICTED) as c_int;

/// The events of every change.
pub const CHANGES: c_int = raw::REDISMODULE_NOTIFY_ALL as c_int;

/// Subscribes to these changes of keys. That costs every such write of the server a little, so it is
/// done at the first wait or session. Older servers cannot unsubscribe.
pub fn watch_keys(ctx: *mut RedisModuleCtx, classes: c_int) {
    let watched = STATE.with(|state| {
        let watched = &mut state.waiting.watched;
        std::mem::replace(watched, *watched | classes)
    });
    let new = classes & !watched;
    if new == 0 {
        return;
    }
    if watched == 0 {
        turn::watch(ctx);
    }
    let subscribe = api!(RedisModule_SubscribeToKeyspaceEvents);
    // SAFETY: a callback for the life of the module.
    unsafe { subscribe(ctx, new, Some(key_event)) };
}

/// The server events that are subscribed to from the start.
const SERVER_EVENTS: [u64; 7] = [
    raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
    raw::REDISMODULE_EVENT_FLUSHDB,
    raw::REDISMODULE_EVENT_LOADING,
    raw::REDISMODULE_EVENT_SWAPDB,
    raw::REDISMODULE_EVENT_CLIENT_CHANGE,
    raw::REDISMODULE_EVENT_CRON_LOOP,
    raw::REDISMODULE_EVENT_CONFIG,
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
    if OURS.load(Relaxed) {
        return OK;
    }
    only_notes(ctx, "a key event", || {
        if STATE.with(|state| state.waiting.lines.is_empty() && state.sessions.is_empty()) {
            return;
        }
        // SAFETY: the server lends the text for this call.
        let lapsed = unsafe { CStr::from_ptr(event) } == c"expired";
        let db = api!(RedisModule_GetSelectedDb);
        // SAFETY: the context is this call's.
        let db = unsafe { db(ctx) };
        // SAFETY: the server lends the string for this call.
        let name = unsafe { Str::new(key) }.bytes();
        let minded = STATE.with(|state| {
            let mut minded = state.waiting.lines.is_waited_for(db, name);
            minded |= match lapsed {
                true => state.sessions.get(db, name).is_some(),
                false => state.sessions.note_change(db, name),
            };
            if minded {
                let name = name.into();
                state.waiting.touched.insert(Place { db, name });
            }
            minded
        });
        if minded {
            timer::set(ctx);
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
    only_notes(ctx, "a server event", || {
        let touched = match event.id {
            raw::REDISMODULE_EVENT_CLIENT_CHANGE => {
                if sub == raw::REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED {
                    // SAFETY: this event comes with this data.
                    let info = unsafe { &*data.cast::<raw::RedisModuleClientInfo>() };
                    sessions::closed(ctx, info.id);
                }
                return;
            }
            raw::REDISMODULE_EVENT_CRON_LOOP => {
                grace::turn(ctx);
                return timer::check(ctx);
            }
            raw::REDISMODULE_EVENT_CONFIG => {
                // SAFETY: this event comes with this data.
                let changed = unsafe { &*data.cast::<raw::RedisModuleConfigChange>() };
                return warnings::of_settings(ctx, changed);
            }
            raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED => {
                let master = sub == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER;
                STATE.with(|state| state.master = master);
                serve::answer_all(
                    ctx,
                    "UNBLOCKED the wait was ended since the server's role has changed",
                );
                sessions::lose_all(ctx);
                if master {
                    grace::begin(ctx);
                }
                return timer::set(ctx);
            }
            raw::REDISMODULE_EVENT_FLUSHDB if sub == raw::REDISMODULE_SUBEVENT_FLUSHDB_END => {
                // SAFETY: this event comes with this data.
                let info = unsafe { &*data.cast::<raw::RedisModuleFlushInfo>() };
                places((info.dbnum >= 0).then_some(info.dbnum))
            }
            raw::REDISMODULE_EVENT_SWAPDB => {
                // SAFETY: this event comes with this data.
                let info = unsafe { &*data.cast::<raw::RedisModuleSwapDbInfo>() };
                let mut both = places(Some(info.dbnum_first));
                both.extend(places(Some(info.dbnum_second)));
                both
            }
            raw::REDISMODULE_EVENT_LOADING if sub >= raw::REDISMODULE_SUBEVENT_LOADING_ENDED => {
                places(None)
            }
            _ => return,
        };
        if !touched.is_empty() {
            STATE.with(|state| state.waiting.touched.extend(touched));
            timer::set(ctx);
        }
    });
}

/// Every lock of one database, or of all, that is waited for or has a session.
fn places(db: Option<i32>) -> Vec<Place> {
    STATE.with(|state| {
        let mut places = state.waiting.lines.places(db);
        for place in state.sessions.places(db) {
            state.sessions.note_change(place.db, &place.name);
            places.push(place);
        }
        places
    })
}
