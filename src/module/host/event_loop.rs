//! The iterations of the server's event loop, if the server reports them early enough.
//!
//! Redis 7.0 computes how long it may sleep, then may run commands, and only then sleeps. A timer that
//! is set in between fires late. But 7.0 also reports when it is about to unblock clients: that is the
//! end of an iteration, and needs no timer. 7.2, which computes last, reports it too late for that.

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
    /// The server reports the end of each.
    is_reported: bool,
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
            is_reported: false,
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

/// Subscribes to the end of iterations, if that is useful.
pub fn watch(ctx: *mut RedisModuleCtx) {
    if !oversleeps() {
        return;
    }
    let subscribe = api!(RedisModule_SubscribeToServerEvent);
    let event = RedisModuleEvent {
        id: raw::REDISMODULE_EVENT_EVENTLOOP,
        dataver: 1,
    };
    // SAFETY: a callback for the life of the module.
    let is_reported =
        unsafe { subscribe(ctx, event, Some(iteration)) == raw::REDISMODULE_OK as i32 };
    let is = |name, value| config(ctx, name).is_some_and(|is| is == value);
    let reads_late = is("io-threads-do-reads", "yes") || !is("tls-port", "0");
    ITERATION.with(|iteration| {
        iteration.is_reported = is_reported;
        iteration.reads_late = reads_late;
    });
}

/// Whether replies are delivered at the end of the iteration without a timer.
pub fn is_reported() -> bool {
    let (is_reported, is_over) =
        ITERATION.with(|iteration| (iteration.is_reported, iteration.is_over));
    if is_reported && is_over {
        wake(); // the next iteration begins at once
    }
    is_reported
}

/// A timer was set: makes sure that the server does not oversleep.
pub fn timer_was_set() {
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
    guard(null_mut(), "a wake", || {
        ITERATION.with(|iteration| iteration.is_woken = false);
    });
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
