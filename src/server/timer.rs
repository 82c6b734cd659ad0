//! The module's timers: one fires when the next wait or lease ends, another one at the end of an
//! iteration of the event loop in which replies were recorded.

use super::api::has_dry_run;
use super::clock;
use super::closing;
use super::guard::guard;
use super::serve;
use super::state::STATE;
use super::tell;
use super::turn;
use crate::lock::Millis;
use crate::queue::Tick;
use redis_module::raw::{RedisModuleCtx, RedisModuleTimerID};
use std::ffi::c_void;
use std::ptr::null_mut;

/// After how many ms writes that were refused are tried again.
pub const RETRY: i64 = 100;

/// The longest time the timer is set for, in ms. For later times it is set again then: servers compute
/// the time of a timer that is set again in 32-bit microseconds, and spin if 36 minutes or more
/// overflow.
const FARTHEST: i64 = 1_000_000;

/// The time between two checks of a cluster's slots, in ms.
pub const SLOTS: i64 = 1000;

/// The timer, and when it fires.
pub struct Timer {
    set: Option<Set>,
    /// Its callback is running. Afterwards it is set again, and replies are delivered.
    rings: bool,
    /// The timer for the end of this iteration of the event loop.
    at_end: Option<RedisModuleTimerID>,
    /// The timer that closes connections in the next iteration of the event loop.
    closes: Option<RedisModuleTimerID>,
    /// When to check next whether slots have moved away; only in a cluster, while calls wait.
    pub slots_at: Option<Tick>,
    /// When to try again, since the server refuses writes now.
    pub not_before: Option<Tick>,
}

#[derive(Clone, Copy)]
struct Set {
    id: RedisModuleTimerID,
    at: Tick,
    /// It fires in this iteration of the event loop. Any other may fire more than a millisecond late.
    this_turn: bool,
}

impl Timer {
    /// It is not set.
    pub const fn new() -> Timer {
        Timer {
            set: None,
            rings: false,
            at_end: None,
            closes: None,
            slots_at: None,
            not_before: None,
        }
    }

    /// Whether it is set to fire in this iteration of the event loop, and has not fired yet.
    pub fn is_for_this_turn(&self) -> bool {
        self.set.is_some_and(|set| set.this_turn)
    }
}

/// Sets the timer for what comes next.
pub fn set(ctx: *mut RedisModuleCtx) {
    if !STATE.with(|state| state.waiting.timer.rings) {
        set_for_next(ctx, true);
    }
}

/// Stops the timer if nothing is due any more: while it is set, the module cannot be unloaded.
pub fn stop_if_idle(ctx: *mut RedisModuleCtx) {
    let is_idle = STATE.with(|state| {
        let is_set = state.waiting.timer.set.is_some();
        is_set && state.sessions.is_empty() && state.waiting.lines.is_empty()
    });
    if is_idle {
        set(ctx);
    }
}

/// While a timer's callback runs, the server starts a new timer at least a millisecond late: what is
/// due at once would not be done in this iteration.
fn set_for_next(ctx: *mut RedisModuleCtx, may_be_at_once: bool) {
    let (now, tick) = (clock::now(), clock::tick());
    let (set, next) = STATE.with(|state| {
        let slots_at = match state.has_slots_to_look_at() {
            true => state.waiting.timer.slots_at.or(Some(Tick(tick.0 + SLOTS))),
            false => None,
        };
        state.waiting.timer.slots_at = slots_at;
        let waiting = &state.waiting;
        let lease = waiting
            .lines
            .next_lease()
            .map(|(end, _)| Tick(tick.0 + end.wait(now).0));
        let work =
            !waiting.touched.is_empty() || waiting.pending.has_undo() || state.sessions.any_ended();
        let grace = state.grace.left(tick, state.settings.grace_period);
        let from_now = |span: Millis| Tick(tick.0.saturating_add(span.0));
        let held_back = grace.map_or(tick, |grace| from_now(grace.held_back));
        let renewal = state.sessions.next_due().map(|at| at.max(held_back));
        let grace_end = state
            .grace
            .has_begun()
            .then(|| grace.map_or(tick, |grace| from_now(grace.end)));
        let writes = [lease, renewal, work.then_some(tick)];
        let writes = writes.into_iter().flatten().min();
        let writes = writes.map(|at| waiting.timer.not_before.map_or(at, |not| at.max(not)));
        let slots = state.waiting.timer.slots_at;
        let next = [writes, slots, grace_end, waiting.lines.next_timeout()]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.min(Tick(tick.0 + FARTHEST)));
        (waiting.timer.set, next)
    });
    let early_enough = match (set, next) {
        (Some(set), Some(next)) => set.at <= next && (set.this_turn || next > tick),
        (None, None) => true,
        _ => false,
    };
    if early_enough {
        return; // it is set again after its callback
    }
    if let Some(set) = set {
        stop_one(ctx, set.id);
    }
    let set = next.map(|at| Set {
        id: create(ctx, at.0 - tick.0, ring),
        at,
        this_turn: may_be_at_once && at <= tick,
    });
    STATE.with(|state| state.waiting.timer.set = set);
}

/// Has replies delivered when the commands of this iteration of the event loop are done.
pub fn tell_at_end(ctx: *mut RedisModuleCtx) {
    let will_ring = STATE.with(|state| {
        let timer = &state.waiting.timer;
        timer.rings || timer.at_end.is_some()
    });
    if !will_ring && !turn::is_told() {
        // It fires in this iteration, after the commands.
        let timer = create(ctx, 0, ring_at_end);
        STATE.with(|state| state.waiting.timer.at_end = Some(timer));
    }
}

/// Has connections closed in the next iteration of the event loop: the replies of this one are sent by then.
pub fn close_next(ctx: *mut RedisModuleCtx) {
    let due = STATE.with(|state| {
        let waiting = &state.waiting;
        !waiting.closing.is_empty() && waiting.timer.closes.is_none()
    });
    if due {
        let timer = create(ctx, 1, ring_to_close);
        STATE.with(|state| state.waiting.timer.closes = Some(timer));
    }
}

/// Whether the server sleeps too long if a timer is set just before it sleeps: after it has unblocked
/// clients, it runs what they have sent meanwhile. Redis 7.0 has computed the time to sleep before
/// that; 7.2, which has not, also brought the dry run.
pub fn oversleeps() -> bool {
    !has_dry_run()
}

type Ring = extern "C" fn(*mut RedisModuleCtx, *mut c_void);

fn create(ctx: *mut RedisModuleCtx, after: i64, ring: Ring) -> RedisModuleTimerID {
    let create = api!(RedisModule_CreateTimer);
    // SAFETY: a callback for as long as the timer is set.
    let id = unsafe { create(ctx, after.max(0), Some(ring), null_mut()) };
    turn::timer_was_set();
    id
}

fn stop_one(ctx: *mut RedisModuleCtx, id: RedisModuleTimerID) {
    let stop = api!(RedisModule_StopTimer);
    // SAFETY: the timer is set, and no longer used after this.
    unsafe { stop(ctx, id, null_mut()) };
}

/// Sets the timer again if it should have fired: the server's timers follow the wall clock, which may
/// have been set back.
pub fn check(ctx: *mut RedisModuleCtx) {
    let tick = clock::tick();
    let late = STATE.with(|state| {
        let timer = &mut state.waiting.timer;
        let late = timer.set.filter(|set| set.at.0 + LATE < tick.0)?;
        timer.set = None;
        Some(late)
    });
    if let Some(late) = late {
        stop_one(ctx, late.id);
        set(ctx);
    }
}

/// After so many ms a timer counts as late.
const LATE: i64 = 20;

/// Stops the timers, when the module is unloaded.
pub fn stop(ctx: *mut RedisModuleCtx) {
    let (set, at_end, closes) = STATE.with(|state| {
        let timer = &mut state.waiting.timer;
        (timer.set.take(), timer.at_end.take(), timer.closes.take())
    });
    for id in set
        .map(|set| set.id)
        .into_iter()
        .chain(at_end)
        .chain(closes)
    {
        stop_one(ctx, id);
    }
}

extern "C" fn ring(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    let rings = |rings| STATE.with(|state| state.waiting.timer.rings = rings);
    guard(ctx, "a timer", || {
        STATE.with(|state| state.waiting.timer.set = None);
        rings(true);
        serve::work(ctx);
    });
    guard(ctx, "a timer", || tell::tell_all(ctx));
    guard(ctx, "a timer", || {
        rings(false);
        set_for_next(ctx, false);
    });
}

extern "C" fn ring_at_end(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    guard(ctx, "a timer", || {
        STATE.with(|state| state.waiting.timer.at_end = None);
        tell::tell_all(ctx);
    });
}

extern "C" fn ring_to_close(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    guard(ctx, "a timer", || {
        STATE.with(|state| state.waiting.timer.closes = None);
        closing::close_all(ctx);
    });
}
