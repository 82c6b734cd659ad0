//! Writes a change: to the key, to replicas and the AOF, to events and messages.

use super::open::Lock;
use super::serve;
use super::sessions;
use super::state::STATE;
use super::string::{AnyStr, OwnedStr, Str};
use crate::lock::{Change, Channel, Deadline, Fence, Hold, Update};
use crate::settings::Notify;
use redis_module::raw;
use std::ffi::{c_int, CStr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a key event comes from the module's own change, which needs no check.
pub static OURS: AtomicBool = AtomicBool::new(false);

impl Lock<'_> {
    /// Writes the change of that owner's hold. It is propagated as the outcome, with absolute times,
    /// so that replicas and AOF readers do not need the module.
    pub fn apply(&self, owner: Str, change: &Change) {
        sessions::follow(self, change);
        match change {
            Change::Take {
                lapsed,
                holds,
                fence,
                deadline,
            } => {
                if *lapsed {
                    self.expire();
                }
                let fields = (Some(*holds), Some(*fence));
                self.hold(None, owner, fields, Some(*deadline));
            }
            Change::Update(Update {
                holds,
                fence,
                deadline,
                shortened,
            }) => {
                self.hold(None, owner, (*holds, *fence), *deadline);
                // Clients that sleep until the old end have to ask again.
                if *shortened {
                    self.tell();
                }
            }
            Change::Free | Change::Force => {
                if serve::pass_on(self, Some(owner)) {
                    return;
                }
                self.delete(raw::REDISMODULE_NOTIFY_GENERIC, c"del");
                // It may be kept for the waiters.
                if !serve::is_waited_for(self) {
                    self.tell();
                }
            }
        }
    }

    /// Hands the lock over to the first in its queue. It still has the fields of `from`, or is free.
    ///
    /// Events and replicas see the old hold deleted and the new one made; here only the fields change,
    /// which is half the work.
    pub fn hand_on(&self, from: Option<Str>, to: Str, hold: &Hold) {
        let Some(fence) = hold.fence else { return };
        let (holds, deadline) = (hold.holds, hold.deadline);
        let change = Change::Take {
            lapsed: false,
            holds,
            fence,
            deadline,
        };
        sessions::follow(self, &change);
        self.hold(from, to, (Some(holds), Some(fence)), Some(deadline));
    }

    /// Deletes a lock whose lease is over, as the server would do a little later.
    pub fn expire(&self) {
        self.delete(raw::REDISMODULE_NOTIFY_EXPIRED, c"expired");
    }

    fn hold(
        &self,
        from: Option<Str>,
        owner: Str,
        (holds, fence): (Option<u32>, Option<Fence>),
        deadline: Option<Deadline>,
    ) {
        let holds = holds.map(|holds| match holds {
            1 => AnyStr::Lent(self.words.one),
            _ => AnyStr::Own(OwnedStr::number(i64::from(holds))),
        });
        let mode = fence.map(|fence| OwnedStr::new(fence.text().as_bytes()));
        let holds = holds.as_ref().map(|holds| (owner, holds.lend()));
        let mode = mode
            .as_ref()
            .map(|mode| (self.words.mode_field, mode.lend()));
        if holds.is_some() || mode.is_some() {
            let gone = from.filter(|from| from.bytes() != owner.bytes());
            self.key.set(holds, mode, gone);
            if from.is_some() {
                self.is_deleted(raw::REDISMODULE_NOTIFY_GENERIC, c"del");
            }
            self.replicate_fields(holds, mode);
        }
        if let Some(deadline) = deadline {
            self.key.set_deadline(deadline);
            self.replicate_deadline(deadline);
        }
        if holds.is_some() || mode.is_some() || deadline.is_some() {
            self.signal();
        }
        if holds.is_some() || mode.is_some() {
            self.event(raw::REDISMODULE_NOTIFY_HASH, c"hset");
        }
        if deadline.is_some() {
            self.event(raw::REDISMODULE_NOTIFY_GENERIC, c"expire");
        }
    }

    /// Deletes the key, with its keyspace event.
    fn delete(&self, class: c_int, event: &CStr) {
        self.key.delete();
        self.is_deleted(class, event);
    }

    fn is_deleted(&self, class: c_int, event: &CStr) {
        let replicate = api!(RedisModule_Replicate);
        // SAFETY: one string, as the format says.
        unsafe { replicate(self.ctx, c"DEL".as_ptr(), c"s".as_ptr(), self.name.raw()) };
        self.signal();
        self.event(class, event);
    }

    fn replicate_fields(&self, first: Option<(Str, Str)>, second: Option<(Str, Str)>) {
        let replicate = api!(RedisModule_Replicate);
        let (ctx, hset, key) = (self.ctx, c"HSET".as_ptr(), self.name.raw());
        let (one, two) = match (first, second) {
            (Some(one), two) => (one, two),
            (None, Some(two)) => (two, None),
            (None, None) => return,
        };
        let (field, value) = (one.0.raw(), one.1.raw());
        match two {
            // SAFETY: five strings, as the format says.
            Some((field2, value2)) => unsafe {
                let (field2, value2) = (field2.raw(), value2.raw());
                replicate(
                    ctx,
                    hset,
                    c"sssss".as_ptr(),
                    key,
                    field,
                    value,
                    field2,
                    value2,
                )
            },
            // SAFETY: three strings, as the format says.
            None => unsafe { replicate(ctx, hset, c"sss".as_ptr(), key, field, value) },
        };
    }

    fn replicate_deadline(&self, deadline: Deadline) {
        let replicate = api!(RedisModule_Replicate);
        let (ctx, command, key) = (self.ctx, c"PEXPIREAT".as_ptr(), self.name.raw());
        // A string costs the server one allocation, a number two.
        let at = OwnedStr::number(deadline.0);
        // SAFETY: two strings, as the format says.
        unsafe { replicate(ctx, command, c"ss".as_ptr(), key, at.lend().raw()) };
    }

    /// Signals the change to clients that WATCH the key or track it.
    fn signal(&self) {
        let signal = api!(RedisModule_SignalModifiedKey);
        // SAFETY: the context is this call's, the name lives.
        unsafe { signal(self.ctx, self.name.raw()) };
    }

    fn event(&self, class: c_int, event: &CStr) {
        let notify = api!(RedisModule_NotifyKeyspaceEvent);
        OURS.store(true, Relaxed);
        // SAFETY: the name of the event is a constant.
        unsafe { notify(self.ctx, class, event.as_ptr(), self.name.raw()) };
        OURS.store(false, Relaxed);
    }

    /// Publishes the message that makes clients ask for the lock again, as Redisson does when it frees a lock. In cluster
    /// mode the bus carries it to replicas too; otherwise they get it as a command, which is not written to the AOF.
    fn tell(&self) {
        let (channel, sharded, cluster) = STATE.with(|state| {
            let settings = &state.settings;
            let sharded = match settings.notify {
                Notify::Auto => state.cluster,
                Notify::Publish => false,
                Notify::SPublish => true,
                Notify::Off => return (None, false, false),
            };
            let channel = Channel::of(&settings.channel_prefix, self.name.bytes());
            (
                Some(OwnedStr::new(channel.as_bytes())),
                sharded,
                state.cluster,
            )
        });
        let Some(channel) = channel else { return };
        let (publish, command) = match sharded {
            true => (api!(RedisModule_PublishMessageShard), c"SPUBLISH"),
            false => (api!(RedisModule_PublishMessage), c"PUBLISH"),
        };
        let (ctx, zero) = (self.ctx, self.words.zero.raw());
        let channel = channel.lend().raw();
        // SAFETY: both strings live.
        unsafe { publish(ctx, channel, zero) };
        if !cluster {
            let replicate = api!(RedisModule_Replicate);
            let to_replicas = c"Ass".as_ptr();
            // SAFETY: two strings, as the format says; the A keeps it out of the AOF.
            unsafe { replicate(ctx, command.as_ptr(), to_replicas, channel, zero) };
        }
    }
}
