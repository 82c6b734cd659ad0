//! The one timer of all lines: it rings when the next wait or the next lease ends, and at the end of
//! a turn of the event loop in which someone was answered.

use super::clock;
use super::guard::guard;
use super::serve;
use super::state::STATE;
use super::wait;
use crate::queue::Tick;
use redis_module::raw::{RedisModuleCtx, RedisModuleTimerID};
use std::ffi::c_void;
use std::ptr::null_mut;

/// How long writes that were refused are left alone, in ms.
pub const RETRY: i64 = 100;

/// How long it is between two looks at the slots of a cluster, in ms.
pub const SLOTS: i64 = 1000;

/// The timer, and when it rings.
pub struct Timer {
    set: Option<(RedisModuleTimerID, Tick)>,
    /// It rings now, and is set when it is done.
    rings: bool,
    /// When to look next whether slots have moved away; only in a cluster, while someone waits.
    pub slots_at: Option<Tick>,
    /// What is due has to wait until then: the server refuses writes for now.
    pub not_before: Option<Tick>,
}

impl Timer {
    /// It is not set.
    pub const fn new() -> Timer {
        Timer {
            set: None,
            rings: false,
            slots_at: None,
            not_before: None,
        }
    }
}

/// Sets the timer for what comes next.
pub fn set(ctx: *mut RedisModuleCtx) {
    if STATE.with(|state| state.waiting.timer.rings) {
        return;
    }
    let (now, tick) = (clock::now(), clock::tick());
    let (set, next) = STATE.with(|state| {
        if state.has_slots_to_look_at() {
            let slots_at = &mut state.waiting.timer.slots_at;
            *slots_at = slots_at.or(Some(Tick(tick.0 + SLOTS)));
        }
        let waiting = &state.waiting;
        let lease = waiting
            .lines
            .next_lease()
            .map(|(end, _)| Tick(tick.0 + end.left(now).0));
        let work =
            !waiting.touched.is_empty() || !waiting.undo.is_empty() || state.sessions.any_ended();
        let renewal = state.sessions.next_due();
        let writes = [lease, renewal, work.then_some(tick)];
        let writes = writes.into_iter().flatten().min();
        let writes = writes.map(|at| waiting.timer.not_before.map_or(at, |not| at.max(not)));
        let slots = state.waiting.timer.slots_at;
        let news = waiting.has_news().then_some(tick);
        let next = [news, writes, slots, waiting.lines.next_timeout()]
            .into_iter()
            .flatten()
            .min();
        (waiting.timer.set, next)
    });
    if set.map(|(_, at)| at) == next || matches!((set, next), (Some((_, at)), Some(n)) if at <= n) {
        return; // it rings early enough, and is set anew then
    }
    if let Some((id, _)) = set {
        let stop = api!(RedisModule_StopTimer);
        // SAFETY: the timer is set, and no longer used after this.
        unsafe { stop(ctx, id, null_mut()) };
    }
    let set = next.map(|at| {
        let create = api!(RedisModule_CreateTimer);
        let after = (at.0 - tick.0).max(0);
        // SAFETY: a callback for as long as the timer is set.
        (unsafe { create(ctx, after, Some(ring), null_mut()) }, at)
    });
    STATE.with(|state| state.waiting.timer.set = set);
}

/// Stops the timer, when the module goes.
pub fn stop(ctx: *mut RedisModuleCtx) {
    if let Some((id, _)) = STATE.with(|state| state.waiting.timer.set.take()) {
        let stop = api!(RedisModule_StopTimer);
        // SAFETY: the timer is set, and no longer used after this.
        unsafe { stop(ctx, id, null_mut()) };
    }
}

extern "C" fn ring(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    let rings = |rings| STATE.with(|state| state.waiting.timer.rings = rings);
    guard(ctx, "a timer", || {
        STATE.with(|state| state.waiting.timer.set = None);
        rings(true);
        serve::work(ctx);
    });
    guard(ctx, "a timer", || wait::tell_all(ctx));
    guard(ctx, "a timer", || {
        rings(false);
        set(ctx);
    });
}
