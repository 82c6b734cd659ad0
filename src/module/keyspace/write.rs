//! Writes to a lock: to the key, to replicas and the AOF, to key events.

use super::audience;
use super::data::Data;
use super::open::Open;
use crate::engine::Write;
use crate::lock::{Deadline, KeyRef};
use crate::module::ffi::api::missing;
use crate::module::ffi::replicate::{count_change, replicate};
use crate::module::ffi::string::{AnyStr, OwnedStr, Str};
use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::{c_char, c_int, CStr};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The name of the key event that is being raised for the module's own write, or null.
static OURS: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

/// Whether this key event comes from the module's own write, which the engine knows of. The server hands on the name that
/// it was given, so the address tells: another module that is told of our event may change keys, which raises events of
/// the same names.
pub fn is_ours(event: *const c_char) -> bool {
    OURS.load(Relaxed).cast_const() == event
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
        let told = match *write {
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
                write_hold(ctx, heard, self.open(key, true), &fields, deadline)
            }
            Write::Delete => delete(ctx, heard, self.open(key, true), GENERIC, c"del"),
            Write::Expire => {
                let class = raw::REDISMODULE_NOTIFY_EXPIRED;
                delete(ctx, heard, self.open(key, true), class, c"expired")
            }
        };
        // Closed before: other modules are told, and may delete the key.
        let name = self.close().unwrap_or_else(|| missing("open key"));
        told.tell(ctx, name.lend());
    }
}

const GENERIC: c_int = raw::REDISMODULE_NOTIFY_GENERIC;

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

/// What others are told of a write.
#[derive(Default)]
struct Told {
    /// That the key is gone: the class and the name of the event.
    gone: Option<(c_int, &'static CStr)>,
    /// That fields were set.
    set: bool,
    /// That the expiry was set.
    expiry: bool,
}

impl Told {
    /// Tells clients that WATCH the key or track it, and those who listen to key events.
    fn tell(self, ctx: *mut RedisModuleCtx, name: Str) {
        if self.gone.is_none() && !self.set && !self.expiry {
            return;
        }
        signal(ctx, name);
        if let Some((class, name_of_event)) = self.gone {
            event(ctx, name, class, name_of_event);
        }
        if self.set {
            event(ctx, name, raw::REDISMODULE_NOTIFY_HASH, c"hset");
        }
        if self.expiry {
            event(ctx, name, GENERIC, c"expire");
        }
    }
}

/// `heard` says that someone may get what is propagated.
fn write_hold(
    ctx: *mut RedisModuleCtx,
    heard: bool,
    open: &Open,
    fields: &Fields,
    deadline: Option<Deadline>,
) -> Told {
    let name = open.name.lend();
    let mut told = Told::default();
    if fields.holds.is_some() || fields.mode.is_some() {
        open.key.set(fields.holds, fields.mode, fields.gone);
        told.set = true;
        if fields.ends {
            told.gone = Some((GENERIC, c"del"));
        }
        if heard {
            if fields.ends {
                replicate(ctx, c"DEL", &[name]);
            }
            replicate_fields(ctx, name, fields.holds, fields.mode);
        }
    }
    if let Some(deadline) = deadline {
        open.key.set_deadline(deadline);
        told.expiry = true;
        if heard {
            // A string costs the server one allocation, a number two.
            let at = OwnedStr::number(deadline.0);
            replicate(ctx, c"PEXPIREAT", &[name, at.lend()]);
        }
    }
    told
}

fn delete(
    ctx: *mut RedisModuleCtx,
    heard: bool,
    open: &Open,
    class: c_int,
    name_of_event: &'static CStr,
) -> Told {
    open.key.delete();
    if heard {
        replicate(ctx, c"DEL", &[open.name.lend()]);
    }
    Told {
        gone: Some((class, name_of_event)),
        ..Told::default()
    }
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
    OURS.store(name_of_event.as_ptr().cast_mut(), Relaxed);
    // SAFETY: the name of the event is a constant.
    unsafe { notify(ctx, class, name_of_event.as_ptr(), name.raw()) };
    OURS.store(null_mut(), Relaxed);
}
