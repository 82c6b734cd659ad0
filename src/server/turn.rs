//! The iterations of the server's event loop, if the server reports them early enough.
//!
//! Redis 7.0 computes how long it may sleep, then may run commands, and only then sleeps. A timer that
//! is set in between fires late. But 7.0 also reports when it is about to unblock clients: that is the
//! end of an iteration, and needs no timer. 7.2, which computes last, reports it too late for that.

use super::guard::guard;
use super::health::config;
use super::state::STATE;
use super::tell;
use super::timer;
use redis_module::raw::{self, RedisModuleCtx, RedisModuleEvent};
use std::ffi::c_void;
use std::ptr::null_mut;

/// What is known of the current iteration.
pub struct Turn {
    /// The server reports the end of each.
    is_told: bool,
    /// It has reported the end of this one, and does not sleep yet.
    is_over: bool,
    /// It runs commands before it sleeps, and before it reports.
    reads_late: bool,
    /// It will not sleep.
    is_woken: bool,
}

impl Turn {
    /// The server reports nothing.
    pub const fn new() -> Turn {
        Turn {
            is_told: false,
            is_over: false,
            reads_late: false,
            is_woken: false,
        }
    }
}

/// Subscribes to the end of iterations, if that is useful.
pub fn watch(ctx: *mut RedisModuleCtx) {
    if !timer::oversleeps() {
        return;
    }
    let subscribe = api!(RedisModule_SubscribeToServerEvent);
    let event = RedisModuleEvent {
        id: raw::REDISMODULE_EVENT_EVENTLOOP,
        dataver: 1,
    };
    // SAFETY: a callback for the life of the module.
    let is_told = unsafe { subscribe(ctx, event, Some(turn)) == raw::REDISMODULE_OK as i32 };
    let is = |name, value| config(ctx, name).is_some_and(|is| is == value);
    let reads_late = is("io-threads-do-reads", "yes") || !is("tls-port", "0");
    STATE.with(|state| {
        state.turn.is_told = is_told;
        state.turn.reads_late = reads_late;
    });
}

/// Whether replies are delivered at the end of the iteration without a timer.
pub fn is_told() -> bool {
    if !STATE.with(|state| state.turn.is_told) {
        return false;
    }
    if STATE.with(|state| state.turn.is_over) {
        wake(); // the next iteration begins at once
    }
    true
}

/// A timer was set: makes sure that the server does not oversleep.
pub fn timer_was_set() {
    let late = |turn: &Turn| turn.is_told && (turn.is_over || turn.reads_late);
    if STATE.with(|state| late(&state.turn)) {
        wake();
    }
}

/// Whether the server still has to call back: the module must not be unloaded yet.
pub fn is_woken() -> bool {
    STATE.with(|state| state.turn.is_woken)
}

fn wake() {
    if STATE.with(|state| std::mem::replace(&mut state.turn.is_woken, true)) {
        return;
    }
    let add = api!(RedisModule_EventLoopAddOneShot);
    // SAFETY: a callback that needs no data. Until it was called, the module is not unloaded.
    unsafe { add(Some(woken), null_mut()) };
}

extern "C" fn woken(_data: *mut c_void) {
    guard(null_mut(), "a wake", || {
        STATE.with(|state| state.turn.is_woken = false);
    });
}

extern "C" fn turn(ctx: *mut RedisModuleCtx, _: RedisModuleEvent, sub: u64, _: *mut c_void) {
    guard(ctx, "a turn", || {
        let is_over = sub == raw::REDISMODULE_SUBEVENT_EVENTLOOP_BEFORE_SLEEP;
        let (has_to_tell, late) = STATE.with(|state| {
            state.turn.is_over = is_over;
            let has_to_tell = is_over && state.waiting.has_to_tell();
            // It was set after the timers of this iteration.
            (
                has_to_tell,
                is_over && state.waiting.timer.is_for_this_turn(),
            )
        });
        if has_to_tell {
            tell::tell_all(ctx);
        }
        if late {
            wake();
        }
    });
}
