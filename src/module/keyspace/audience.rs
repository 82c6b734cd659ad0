//! Whether anyone gets what is propagated.
//!
//! `RM_Replicate` looks its command up and builds the arguments before it sees that nobody gets them: a quarter of an
//! acquire and a release on a server that is alone. So it is left out for as long as it is certain that nobody does.
//!
//! It is certain where a master has no replica, no replication backlog and no AOF, and no child that writes a snapshot.
//! From then on whoever comes gets a snapshot first, which a child writes, and the server tells of each fork before it
//! runs another command. So what was written before is in the snapshot, and what is written after that is propagated.

use crate::lock::Tick;
use crate::module::ffi::context::flags;
use crate::module::ffi::gil::Gil;
use crate::module::ffi::server_info::info;
use redis_module::raw::{self, RedisModuleCtx};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether it is certain that nobody gets what is propagated.
static NOBODY: AtomicBool = AtomicBool::new(false);

/// When to look again, as looking costs the server some microseconds.
static NEXT_LOOK: Gil<Tick> = Gil::new(Tick(0));

/// How many ms pass between two looks.
const PAUSE: i64 = 500;

/// With any of these someone may listen. In a cluster a slot may be on its way to another node.
const SOMEBODY: u32 = raw::REDISMODULE_CTX_FLAGS_AOF
    | raw::REDISMODULE_CTX_FLAGS_CLUSTER
    | raw::REDISMODULE_CTX_FLAGS_SLAVE
    | raw::REDISMODULE_CTX_FLAGS_LOADING
    | raw::REDISMODULE_CTX_FLAGS_ACTIVE_CHILD;

/// Whether someone may get what is propagated.
pub fn may_listen() -> bool {
    !NOBODY.load(Relaxed)
}

/// Someone may listen from now on: a child was forked, the server's role has changed, the module was loaded.
pub fn may_have_come() {
    NOBODY.store(false, Relaxed);
}

/// Looks whether anyone listens, if that is not certain and some time has passed.
pub fn look(ctx: *mut RedisModuleCtx, tick: Tick) {
    let is_time = || NEXT_LOOK.with(|next| *next <= tick);
    if may_listen() && is_time() {
        NEXT_LOOK.with(|next| *next = Tick(tick.0 + PAUSE));
        let is_none = |field| info("replication", field).is_some_and(|value| value == "0");
        let nobody = flags(ctx) & SOMEBODY == 0
            && is_none("connected_slaves")
            && is_none("repl_backlog_active");
        NOBODY.store(nobody, Relaxed);
    }
}
