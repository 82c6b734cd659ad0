//! Runs the engine, and has the server call again when more is to be done: by a timer for the engine's next wakeup, one
//! at the end of an iteration of the event loop in which replies were recorded, and one that closes connections in
//! the next iteration.

use super::closing;
use super::core::{self, read};
use super::deliver::deliver_all;
use super::event_loop;
use super::events;
use super::state::{Host, HOST};
use crate::engine::{Event, Settings, Step};
use crate::lock::Tick;
use crate::module::ffi::clock::{clock, tick};
use crate::module::ffi::gil::Gil;
use crate::module::ffi::guard::guard;
use crate::module::keyspace::{audience, rights, Arguments, Data};
use redis_module::raw::{RedisModuleCtx, RedisModuleTimerID};
use std::ffi::c_void;
use std::ptr::null_mut;

/// The longest time the timer is set for, in ms. For later times it is set again then: servers compute
/// the time of a timer that is set again in 32-bit microseconds, and spin if 36 minutes or more
/// overflow.
const FARTHEST: i64 = 1_000_000;

/// After so many ms a timer counts as late.
const LATE: i64 = 20;

/// The timers that are set.
static TIMERS: Gil<Timers> = Gil::new(Timers {
    wakeup: None,
    is_waking: false,
    at_end: None,
    closes: None,
});

struct Timers {
    /// For the next wakeup.
    wakeup: Option<Set>,
    /// The callback of the wakeup is running. Afterwards the timer is set again, and replies are delivered.
    is_waking: bool,
    /// For the end of this iteration of the event loop.
    at_end: Option<RedisModuleTimerID>,
    /// To close connections in the next iteration of the event loop.
    closes: Option<RedisModuleTimerID>,
}

#[derive(Clone, Copy)]
struct Set {
    id: RedisModuleTimerID,
    at: Tick,
    /// It fires in this iteration of the event loop. Any other may fire more than a millisecond late.
    this_iteration: bool,
}

/// Notes what has happened. This is all that a callback can do: it gets no access to keys.
pub fn note(ctx: *mut RedisModuleCtx, event: Event) {
    core::note(ctx, event);
    schedule(ctx);
}

/// Runs one step of the engine with the data.
pub fn step<R>(ctx: *mut RedisModuleCtx, data: Data, work: impl FnOnce(Step<'_, Data>) -> R) -> R {
    let (result, is_idle) = core::step(ctx, data, work);
    // On the path of every command: a look suffices if there is nothing to do.
    let is_set = || TIMERS.with(|timers| timers.wakeup.is_some());
    if !is_idle || is_set() || HOST.with(|host| host.has_to_deliver()) {
        schedule(ctx);
    }
    result
}

/// Has the server call again when something is to be done. Without anything due the timer is stopped: while one is
/// set, the module cannot be unloaded.
pub fn schedule(ctx: *mut RedisModuleCtx) {
    let (is_set, is_waking) = TIMERS.with(|timers| (timers.wakeup.is_some(), timers.is_waking));
    if is_waking || core::is_in_use() {
        return; // it is done when that is over
    }
    if HOST.with(|host| host.has_to_deliver()) {
        deliver_at_end(ctx);
    }
    if is_set || !read(|engine| engine.is_idle()) {
        events::watch_keys(ctx);
        schedule_next(ctx, true);
    }
}

/// While a timer's callback runs, the server starts a new timer at least a millisecond late: what is
/// due at once would not be done in this iteration.
fn schedule_next(ctx: *mut RedisModuleCtx, may_be_at_once: bool) {
    let clock = clock();
    let tick = clock.tick;
    let next = read(|engine| engine.next_wakeup(clock));
    let next = next.map(|at| at.min(Tick(tick.0 + FARTHEST)));
    let set = TIMERS.with(|timers| timers.wakeup);
    let early_enough = match (set, next) {
        (Some(set), Some(next)) => set.at <= next && (set.this_iteration || next > tick),
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
        id: create(ctx, at.0 - tick.0, wake_up),
        at,
        this_iteration: may_be_at_once && at <= tick,
    });
    TIMERS.with(|timers| timers.wakeup = set);
}

/// Has replies delivered when the commands of this iteration of the event loop are done.
fn deliver_at_end(ctx: *mut RedisModuleCtx) {
    let is_set = TIMERS.with(|timers| timers.at_end.is_some());
    if !event_loop::is_reported(ctx) && !is_set {
        // It fires in this iteration, after the commands.
        let timer = create(ctx, 0, deliver);
        TIMERS.with(|timers| timers.at_end = Some(timer));
    }
}

/// The commands of this iteration of the event loop are done: replies are delivered. Connections are closed in the
/// next iteration: the replies of this one are sent by then.
pub fn end_iteration(ctx: *mut RedisModuleCtx) {
    let is_set = TIMERS.with(|timers| timers.closes.is_some());
    if !is_set && HOST.with(|host| !host.closing.is_empty()) {
        let timer = create(ctx, 1, close);
        TIMERS.with(|timers| timers.closes = Some(timer));
    }
    deliver_all();
}

/// Whether the wakeup is set to be in this iteration of the event loop, and was not yet.
pub fn is_for_this_iteration() -> bool {
    TIMERS.with(|timers| timers.wakeup.is_some_and(|set| set.this_iteration))
}

/// Sets the timers that are to be set, whatever went wrong before. One that should have fired is set again: the server's
/// timers follow the wall clock, which may have been set back. If all is quiet, has the end of iterations not reported
/// any more. Called by the server's cron.
pub fn check(ctx: *mut RedisModuleCtx) {
    let tick = tick();
    let late = TIMERS.with(|timers| {
        let late = timers.wakeup.filter(|set| set.at.0 + LATE < tick.0)?;
        timers.wakeup = None;
        Some(late)
    });
    if let Some(late) = late {
        stop_one(ctx, late.id);
    }
    schedule(ctx);
    let is_set = TIMERS.with(|timers| timers.at_end.is_some());
    if event_loop::is_quiet() && !is_set {
        let timer = create_late(ctx, 0, deliver);
        TIMERS.with(|timers| timers.at_end = Some(timer));
    }
}

/// Begins anew, when the module is loaded: the library may have stayed in memory since an unload.
pub fn restart(settings: Settings, cluster: bool, master: bool) {
    HOST.with(|host| *host = Host::new());
    audience::may_have_come();
    core::restart(settings, cluster, master);
    event_loop::restart();
}

/// Stops the timers and gives memory back, when the module is unloaded: what statics hold would be lost with them.
pub fn stop(ctx: *mut RedisModuleCtx) {
    let (wakeup, at_end, closes) = TIMERS.with(|timers| {
        let wakeup = timers.wakeup.take();
        (wakeup, timers.at_end.take(), timers.closes.take())
    });
    let wakeup = wakeup.map(|set| set.id);
    for id in wakeup.into_iter().chain(at_end).chain(closes) {
        stop_one(ctx, id);
    }
    HOST.with(|host| *host = Host::new());
    core::forget();
    rights::forget();
}

type Ring = extern "C" fn(*mut RedisModuleCtx, *mut c_void);

fn create(ctx: *mut RedisModuleCtx, after: i64, ring: Ring) -> RedisModuleTimerID {
    let id = create_late(ctx, after, ring);
    event_loop::timer_was_set(ctx);
    id
}

/// The same, but the server may sleep beyond it.
fn create_late(ctx: *mut RedisModuleCtx, after: i64, ring: Ring) -> RedisModuleTimerID {
    let create = api!(RedisModule_CreateTimer);
    // SAFETY: a callback for as long as the timer is set.
    unsafe { create(ctx, after.max(0), Some(ring), null_mut()) }
}

fn stop_one(ctx: *mut RedisModuleCtx, id: RedisModuleTimerID) {
    let stop = api!(RedisModule_StopTimer);
    // SAFETY: the timer is set, and no longer used after this.
    unsafe { stop(ctx, id, null_mut()) };
}

// What a timer leaves behind is put right outside of what may panic: otherwise no timer might ever be set again.

extern "C" fn wake_up(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    TIMERS.try_change(|timers| {
        timers.wakeup = None;
        timers.is_waking = true;
    });
    guard(ctx, "a wakeup", || {
        // SAFETY: the server runs a timer, and does not walk its tables.
        let data = unsafe { Data::new(ctx, Arguments::default(), true) };
        core::step(ctx, data, |mut step| step.wake_up());
    });
    guard(ctx, "what follows a wakeup", || end_iteration(ctx));
    TIMERS.try_change(|timers| timers.is_waking = false);
    guard(ctx, "the end of a wakeup", || {
        events::watch_keys(ctx);
        schedule_next(ctx, false);
    });
}

extern "C" fn deliver(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    TIMERS.try_change(|timers| timers.at_end = None);
    guard(ctx, "a delivery", || {
        end_iteration(ctx);
        event_loop::unsubscribe(ctx);
    });
}

extern "C" fn close(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    TIMERS.try_change(|timers| timers.closes = None);
    guard(ctx, "a close", || closing::close_all(ctx));
}
