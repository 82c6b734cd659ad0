//! The iterations of the server's event loop, if the server reports them early enough.
//!
//! Redis 7.0 computes how long it may sleep, then may run commands, and only then sleeps. A timer that
//! is set in between fires late. But 7.0 also reports when it is about to unblock clients: that is the
//! end of an iteration, and needs no timer. 7.2, which computes last, reports it too late for that.
//!
//! Each report costs the server as much as a small command, so it is asked for only while there is something to do.

use super::schedule;
use crate::module::ffi::call::{config, has_dry_run};
use crate::module::ffi::gil::Gil;
use crate::module::ffi::guard::guard;
use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent};
use std::ffi::c_void;
use std::ptr::null_mut;

/// What is known of the current iteration.
static ITERATION: Gil<Iteration> = Gil::new(Iteration::new());

struct Iteration {
    /// Whether the server is to report the end of each: while there is something to do.
    is_useful: bool,
    /// It reports them.
    is_reported: bool,
    /// Nothing was to be done since the server's cron has run.
    is_quiet: bool,
    /// It has reported the end of this one, and does not sleep yet.
    is_over: bool,
    /// It runs commands before it sleeps, and before it reports.
    reads_late: bool,
    /// It will not sleep.
    is_woken: bool,
}

impl Iteration {
    const fn new() -> Iteration {
        Iteration {
            is_useful: false,
            is_reported: false,
            is_quiet: false,
            is_over: false,
            reads_late: false,
            is_woken: false,
        }
    }
}

/// Forgets what was known, when the module is loaded.
pub fn restart() {
    ITERATION.with(|iteration| *iteration = Iteration::new());
}

/// Whether the server sleeps too long if a timer is set just before it sleeps: after it has unblocked
/// clients, it runs what they have sent meanwhile. Redis 7.0 has computed the time to sleep before
/// that; 7.2, which has not, also brought the dry run.
fn oversleeps() -> bool {
    !has_dry_run()
}

/// Has the end of iterations reported from now on when there is something to do, if that is useful.
pub fn watch(ctx: *mut RedisModuleCtx) {
    if !oversleeps() {
        return;
    }
    let is = |name, value| config(ctx, name).is_some_and(|is| is == value);
    let reads_late = is("io-threads-do-reads", "yes") || !is("tls-port", "0");
    ITERATION.with(|iteration| {
        iteration.is_useful = true;
        iteration.reads_late = reads_late;
    });
}

/// There is something to do: has the end of iterations reported. Whether it is.
fn subscribe(ctx: *mut RedisModuleCtx) -> bool {
    let (is_useful, is_reported) = ITERATION.with(|iteration| {
        iteration.is_quiet = false;
        (iteration.is_useful, iteration.is_reported)
    });
    if is_reported || !is_useful {
        return is_reported;
    }
    let is_reported = set_callback(ctx, Some(iteration));
    ITERATION.with(|iteration| {
        iteration.is_reported = is_reported;
        iteration.is_over = false;
    });
    if is_reported {
        wake(); // the end of this iteration may have passed already
    }
    is_reported
}

/// Whether nothing was to be done since this was asked last, though the end of iterations is reported. It is asked by the
/// server's cron.
pub fn is_quiet() -> bool {
    ITERATION.with(|it| std::mem::replace(&mut it.is_quiet, true) && it.is_reported)
}

/// Has the end of iterations not reported any more, if nothing is to be done. Not while the server reports an event: it
/// walks the list of subscriptions.
pub fn unsubscribe(ctx: *mut RedisModuleCtx) {
    let is_quiet = |it: &mut Iteration| it.is_quiet && it.is_reported;
    if ITERATION.with(is_quiet) && set_callback(ctx, None) {
        ITERATION.with(|iteration| iteration.is_reported = false);
    }
}

fn set_callback(ctx: *mut RedisModuleCtx, callback: raw::RedisModuleEventCallback) -> bool {
    let subscribe = api!(RedisModule_SubscribeToServerEvent);
    let event = RedisModuleEvent {
        id: raw::REDISMODULE_EVENT_EVENTLOOP,
        dataver: 1,
    };
    // SAFETY: a callback for the life of the module.
    unsafe { subscribe(ctx, event, callback) == raw::REDISMODULE_OK as i32 }
}

/// Whether replies are delivered at the end of the iteration without a timer.
pub fn is_reported(ctx: *mut RedisModuleCtx) -> bool {
    let is_reported = subscribe(ctx);
    if is_reported && ITERATION.with(|iteration| iteration.is_over) {
        wake(); // the next iteration begins at once
    }
    is_reported
}

/// A timer was set: makes sure that the server does not oversleep.
pub fn timer_was_set(ctx: *mut RedisModuleCtx) {
    subscribe(ctx);
    let is_late = |it: &mut Iteration| it.is_reported && (it.is_over || it.reads_late);
    if ITERATION.with(is_late) {
        wake();
    }
}

/// Whether the server still has to call back: the module must not be unloaded yet.
pub fn is_woken() -> bool {
    ITERATION.with(|iteration| iteration.is_woken)
}

fn wake() {
    if ITERATION.with(|iteration| std::mem::replace(&mut iteration.is_woken, true)) {
        return;
    }
    let add = api!(RedisModule_EventLoopAddOneShot);
    // SAFETY: a callback that needs no data. Until it was called, the module is not unloaded.
    unsafe { add(Some(woken), null_mut()) };
}

extern "C" fn woken(_data: *mut c_void) {
    // All that it does, and it cannot panic.
    ITERATION.try_change(|iteration| iteration.is_woken = false);
}

extern "C" fn iteration(ctx: *mut RedisModuleCtx, _: RedisModuleEvent, sub: u64, _: *mut c_void) {
    guard(ctx, "an iteration", || {
        let is_over = sub == raw::REDISMODULE_SUBEVENT_EVENTLOOP_BEFORE_SLEEP;
        ITERATION.with(|iteration| iteration.is_over = is_over);
        if is_over {
            schedule::end_iteration(ctx);
        }
        // It was set after the timers of this iteration.
        if is_over && schedule::is_for_this_iteration() {
            wake();
        }
    });
}
