//! The server's settings by which a master that is cut off learns of it.

use super::core::note;
use crate::engine::{CutOffSettings, Event};
use crate::module::ffi::call::config;
use crate::module::ffi::context::has_flags;
use redis_module::raw::{self, RedisModuleCtx};

/// The server's defaults, in case `CONFIG` is renamed.
const DEFAULT_TIMEOUT: i64 = 15_000;
const DEFAULT_LAG: i64 = 10;

/// Whether a setting is one of them.
pub fn is_one(name: &[u8]) -> bool {
    let names: [&[u8]; 5] = [
        b"cluster-node-timeout",
        b"min-replicas-to-write",
        b"min-replicas-max-lag",
        b"min-slaves-to-write",
        b"min-slaves-max-lag",
    ];
    names.contains(&name)
}

/// Notes what they are now.
pub fn note_settings(ctx: *mut RedisModuleCtx) {
    let number = |name| config(ctx, name).and_then(|value| value.parse().ok());
    let cluster = has_flags(ctx, raw::REDISMODULE_CTX_FLAGS_CLUSTER);
    let timeout = cluster.then(|| number("cluster-node-timeout").unwrap_or(DEFAULT_TIMEOUT));
    let settings = CutOffSettings {
        cluster_node_timeout: timeout,
        min_replicas: number("min-replicas-to-write").unwrap_or_default(),
        max_lag: number("min-replicas-max-lag").unwrap_or(DEFAULT_LAG),
    };
    note(ctx, Event::CutOffSettings(settings));
}
