//! The grace period of this server.

use super::clock;
use super::health::config;
use super::log;
use super::state::STATE;
use crate::grace::{held_back, Left};
use crate::lock::Millis;
use redis_module::raw::RedisModuleCtx;

/// It begins, if one is configured: this server was promoted, or has just started.
pub fn begin(ctx: *mut RedisModuleCtx) {
    let (tick, span) = (clock::tick(), cut_off(ctx));
    STATE.with(|state| {
        state.grace.turns(tick);
        state.grace.begin(tick, span);
    });
    note_end();
}

/// Looks whether this server has stood still for so long that it may have been replaced. To be
/// called before anything is granted: what has come in meanwhile is run before the server looks for
/// its replicas.
pub fn look(ctx: *mut RedisModuleCtx) {
    if STATE.with(|state| state.settings.grace_period.0 == 0) {
        return;
    }
    let tick = clock::tick();
    let Some(still) = STATE.with(|state| state.grace.stood_still(tick)) else {
        return;
    };
    let span = cut_off(ctx);
    STATE.with(|state| {
        state.grace.turns(tick);
        state.grace.go_on(tick, span);
    });
    if span.0 > 0 {
        let text = format!(
            "stood still for {} ms, and may have been replaced: grants no free lock for {} ms",
            still.0, span.0
        );
        log::warning(ctx, &text);
    }
}

/// The event loop turns.
pub fn turn(ctx: *mut RedisModuleCtx) {
    look(ctx);
    let tick = clock::tick();
    STATE.with(|state| state.grace.turns(tick));
}

/// For how long a master with this server's settings may still grant when it is cut off.
fn cut_off(ctx: *mut RedisModuleCtx) -> Millis {
    let number = |name| config(ctx, name).and_then(|value| value.parse().ok());
    let cluster = STATE.with(|state| state.cluster);
    let timeout = cluster.then(|| number("cluster-node-timeout").unwrap_or(DEFAULT_TIMEOUT));
    let replicas = number("min-replicas-to-write").unwrap_or_default();
    let lag = number("min-replicas-max-lag").unwrap_or(DEFAULT_LAG);
    held_back(timeout, replicas, lag)
}

/// The server's own defaults, should `CONFIG` have another name.
const DEFAULT_TIMEOUT: i64 = 15_000;
const DEFAULT_LAG: i64 = 10;

/// What is left of it.
pub fn left() -> Option<Left> {
    STATE.with(|state| match state.grace.has_begun() {
        true => state.grace.left(clock::tick(), state.settings.grace_period),
        false => None,
    })
}

/// Takes note that it is over, where it is: those who wait are to be served.
pub fn note_end() {
    let tick = clock::tick();
    STATE.with(|state| {
        if state.grace.end(tick, state.settings.grace_period) {
            let places = state.waiting.lines.places(None);
            state.waiting.touched.extend(places);
        }
    });
}
