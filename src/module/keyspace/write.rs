//! Writes to a lock: to the key, to replicas and the AOF, to key events.

use super::audience;
use super::data::Data;
use super::open::Open;
use crate::engine::Write;
use crate::lock::{Deadline, KeyRef};
use crate::module::ffi::replicate::{count_change, replicate};
use crate::module::ffi::string::{AnyStr, OwnedStr, Str};
use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::{c_int, CStr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a key event comes from the module's own write, which the engine knows of.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether the key event that is being raised comes from the module's own write.
pub fn is_ours() -> bool {
    OURS.load(Relaxed)
}

impl Data<'_> {
    /// Writes. It is propagated as the outcome, with absolute times, so that replicas and AOF readers do not need
    /// the module.
    pub(super) fn write_to(&mut self, key: KeyRef, write: &Write) {
        let (ctx, strings) = (self.ctx, self.strings);
        // A timer has no call whose changes could be counted.
        let heard = audience::may_listen() || self.arguments.name.is_none();
        if !heard {
            count_change(ctx);
        }
        match *write {
            Write::Hold {
                owner,
                ends,
                holds,
                fence,
                deadline,
            } => {
                let gone = ends.filter(|ends| *ends != owner);
                let gone = gone.map(|gone| self.owner(gone));
                let owner = self.owner(owner);
                let holds = holds.map(|holds| match holds {
                    1 => AnyStr::Lent(strings.one),
                    _ => AnyStr::Own(OwnedStr::number(i64::from(holds))),
                });
                let mode = fence.map(|fence| OwnedStr::new(fence.text().as_bytes()));
                let fields = Fields {
                    holds: holds.as_ref().map(|holds| (owner.lend(), holds.lend())),
                    mode: mode.as_ref().map(|mode| (strings.mode_field, mode.lend())),
                    gone: gone.as_ref().map(AnyStr::lend),
                    ends: ends.is_some(),
                };
                write_hold(ctx, heard, self.open(key, true), &fields, deadline);
            }
            Write::Delete => {
                let open = self.open(key, true);
                open.key.delete();
                let class = raw::REDISMODULE_NOTIFY_GENERIC;
                deleted(ctx, heard, open.name.lend(), class, c"del");
            }
            Write::Expire => {
                let open = self.open(key, true);
                open.key.delete();
                let class = raw::REDISMODULE_NOTIFY_EXPIRED;
                deleted(ctx, heard, open.name.lend(), class, c"expired");
            }
        }
    }
}

/// The fields that are written, as server strings.
struct Fields<'a> {
    /// The owner's, and the count.
    holds: Option<(Str<'a>, Str<'a>)>,
    /// That of the fence, and its text.
    mode: Option<(Str<'a>, Str<'a>)>,
    /// The one that is deleted.
    gone: Option<Str<'a>>,
    /// Whether another hold ends: events and replicas see the lock deleted before.
    ends: bool,
}

/// `heard` says that someone may get what is propagated.
fn write_hold(
    ctx: *mut RedisModuleCtx,
    heard: bool,
    open: &Open,
    fields: &Fields,
    deadline: Option<Deadline>,
) {
    let name = open.name.lend();
    let has_fields = fields.holds.is_some() || fields.mode.is_some();
    if has_fields {
        open.key.set(fields.holds, fields.mode, fields.gone);
        if fields.ends {
            let class = raw::REDISMODULE_NOTIFY_GENERIC;
            deleted(ctx, heard, name, class, c"del");
        }
        if heard {
            replicate_fields(ctx, name, fields.holds, fields.mode);
        }
    }
    if let Some(deadline) = deadline {
        open.key.set_deadline(deadline);
        if heard {
            // A string costs the server one allocation, a number two.
            let at = OwnedStr::number(deadline.0);
            replicate(ctx, c"PEXPIREAT", &[name, at.lend()]);
        }
    }
    if has_fields || deadline.is_some() {
        signal(ctx, name);
    }
    if has_fields {
        event(ctx, name, raw::REDISMODULE_NOTIFY_HASH, c"hset");
    }
    if deadline.is_some() {
        event(ctx, name, raw::REDISMODULE_NOTIFY_GENERIC, c"expire");
    }
}

fn deleted(ctx: *mut RedisModuleCtx, heard: bool, name: Str, class: c_int, name_of_event: &CStr) {
    if heard {
        replicate(ctx, c"DEL", &[name]);
    }
    signal(ctx, name);
    event(ctx, name, class, name_of_event);
}

fn replicate_fields(
    ctx: *mut RedisModuleCtx,
    name: Str,
    first: Option<(Str, Str)>,
    second: Option<(Str, Str)>,
) {
    match (first, second) {
        (Some((field, value)), Some((field2, value2))) => {
            replicate(ctx, c"HSET", &[name, field, value, field2, value2]);
        }
        (Some((field, value)), None) | (None, Some((field, value))) => {
            replicate(ctx, c"HSET", &[name, field, value]);
        }
        (None, None) => (),
    }
}

/// Signals the change to clients that WATCH the key or track it.
fn signal(ctx: *mut RedisModuleCtx, name: Str) {
    let signal = api!(RedisModule_SignalModifiedKey);
    // SAFETY: the context is this call's, the name lives.
    unsafe { signal(ctx, name.raw()) };
}

fn event(ctx: *mut RedisModuleCtx, name: Str, class: c_int, name_of_event: &CStr) {
    let notify = api!(RedisModule_NotifyKeyspaceEvent);
    OURS.store(true, Relaxed);
    // SAFETY: the name of the event is a constant.
    unsafe { notify(ctx, class, name_of_event.as_ptr(), name.raw()) };
    OURS.store(false, Relaxed);
}
