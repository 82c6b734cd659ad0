//! The grace period of this server.

use super::clock;
use super::health::config;
use super::log;
use super::state::STATE;
use crate::grace::{held_back, Left};
use crate::lock::Millis;
use redis_module::raw::RedisModuleCtx;

/// Begins it, if one is configured: this server was promoted, or has just started.
pub fn begin(ctx: *mut RedisModuleCtx) {
    let (tick, span) = (clock::tick(), cut_off(ctx));
    STATE.with(|state| {
        state.grace.turns(tick);
        state.grace.begin(tick, span);
    });
    note_end();
}

/// Checks whether this server was at a standstill for so long that it may have been replaced. Has to
/// be called before anything is granted: commands that came in meanwhile are run before the server
/// checks its replicas.
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
            "the event loop did not run for {} ms, so this server may have been replaced: it grants no free lock for {} ms",
            still.0, span.0
        );
        log::warning(ctx, &text);
    }
}

/// Records that the event loop runs.
pub fn turn(ctx: *mut RedisModuleCtx) {
    look(ctx);
    let tick = clock::tick();
    STATE.with(|state| state.grace.turns(tick));
}

/// For how long a master with this server's settings may still grant after it was cut off.
fn cut_off(ctx: *mut RedisModuleCtx) -> Millis {
    let number = |name| config(ctx, name).and_then(|value| value.parse().ok());
    let cluster = STATE.with(|state| state.cluster);
    let timeout = cluster.then(|| number("cluster-node-timeout").unwrap_or(DEFAULT_TIMEOUT));
    let replicas = number("min-replicas-to-write").unwrap_or_default();
    let lag = number("min-replicas-max-lag").unwrap_or(DEFAULT_LAG);
    held_back(timeout, replicas, lag)
}

/// The server's defaults, in case `CONFIG` is renamed.
const DEFAULT_TIMEOUT: i64 = 15_000;
const DEFAULT_LAG: i64 = 10;

/// What is left of it.
pub fn left() -> Option<Left> {
    STATE.with(|state| match state.grace.has_begun() {
        true => state.grace.left(clock::tick(), state.settings.grace_period),
        false => None,
    })
}

/// Records that it is over, if it is: the queues have to be served then.
pub fn note_end() {
    let tick = clock::tick();
    STATE.with(|state| {
        if state.grace.end(tick, state.settings.grace_period) {
            let places = state.waiting.lines.places(None);
            state.waiting.touched.extend(places);
        }
    });
}
