//! Asks the server whether anyone gets what is propagated. `RM_Replicate` looks its command up and builds the arguments
//! before it sees that nobody does: a quarter of an acquire and a release on a server that is alone.

use crate::engine::Audience;
use crate::lock::Tick;
use crate::module::ffi::context::flags;
use crate::module::ffi::gil::Gil;
use crate::module::ffi::server_info::info;
use redis_module::raw::{self, RedisModuleCtx};

/// Not a part of the engine, which is in use while it writes.
static AUDIENCE: Gil<Audience> = Gil::new(Audience::new());

/// With any of these the server may not be alone. In a cluster a slot may be on its way to another node.
const SOMEBODY: u32 = raw::REDISMODULE_CTX_FLAGS_AOF
    | raw::REDISMODULE_CTX_FLAGS_CLUSTER
    | raw::REDISMODULE_CTX_FLAGS_SLAVE
    | raw::REDISMODULE_CTX_FLAGS_LOADING
    | raw::REDISMODULE_CTX_FLAGS_ACTIVE_CHILD;

/// Whether someone may get what is propagated.
pub fn may_listen() -> bool {
    AUDIENCE.with(|audience| audience.may_listen())
}

/// Someone may listen from now on: a child was forked, the server's role has changed, the module was loaded.
pub fn may_have_come() {
    AUDIENCE.with(Audience::may_have_come);
}

/// Looks whether anyone listens, from time to time.
pub fn check(ctx: *mut RedisModuleCtx, tick: Tick) {
    AUDIENCE.with(|audience| audience.check(tick, || is_alone(ctx)));
}

fn is_alone(ctx: *mut RedisModuleCtx) -> bool {
    let is_none = |field| info("replication", field).is_some_and(|value| value == "0");
    flags(ctx) & SOMEBODY == 0 && is_none("connected_slaves") && is_none("repl_backlog_active")
}
