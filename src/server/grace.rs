//! The grace period of this server.

use super::clock;
use super::health::config;
use super::state::STATE;
use crate::grace::{held_back, Left};
use redis_module::raw::RedisModuleCtx;

/// It begins, if one is configured: this server was promoted, or has just started.
pub fn begin(ctx: *mut RedisModuleCtx) {
    let number = |name| config(ctx, name).and_then(|value| value.parse().ok());
    let cluster = STATE.with(|state| state.cluster);
    let timeout = cluster.then(|| number("cluster-node-timeout").unwrap_or(DEFAULT_TIMEOUT));
    let replicas = number("min-replicas-to-write").unwrap_or_default();
    let lag = number("min-replicas-max-lag").unwrap_or(DEFAULT_LAG);
    let tick = clock::tick();
    STATE.with(|state| state.grace.begin(tick, held_back(timeout, replicas, lag)));
    note_end();
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
