//! Whether the server would accept a write now that no client has sent.
//!
//! The server checks a client's write when it dispatches the command, and checks nothing when a timer writes. Such a
//! write would crash a server whose clients are paused, or make a replica diverge.

use super::api::{has_dry_run, last_error, select_db};
use super::state::STATE;
use super::string::OwnedStr;
use crate::queue::Place;
use redis_module::raw::{self, RedisModuleCtx};

/// Whether this server writes at all now: it is a master, has its data, and is not paused.
/// Other reasons to refuse writes are checked for each key, by [`may_write_to`].
pub fn may_write(ctx: *mut RedisModuleCtx) -> bool {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    if flags & raw::REDISMODULE_CTX_FLAGS_MASTER == 0
        || flags & raw::REDISMODULE_CTX_FLAGS_LOADING != 0
    {
        return false;
    }
    let paused = api!(RedisModule_AvoidReplicaTraffic);
    // SAFETY: no arguments.
    unsafe { paused() == 0 }
}

/// Whether a key may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Given,
    /// Not now: too few replicas, a failing disk, a cluster that is down.
    NotNow,
    /// Not here: its slot belongs to another node, or is moving and the key is absent here.
    Elsewhere,
}

/// Whether this server would accept a write to this key from a client.
///
/// The server is asked by a call that it checks like a script's (`S`) and does not run (`D`). Redis 7.0 has no dry
/// run: there the call is run, and fails before it reads the key, since its time is not a number. So the check
/// changes nothing and raises no event, whatever the key holds. (On 7.0 it counts as a failed call in `INFO
/// commandstats`.)
pub fn may_write_to(ctx: *mut RedisModuleCtx, place: &Place) -> Permit {
    let call = api!(RedisModule_Call);
    let name = OwnedStr::new(&place.name);
    let format = if has_dry_run() { c"SDsc" } else { c"Ssc" };
    let (command, key, time) = (c"PEXPIREAT".as_ptr(), name.lend().raw(), c"never".as_ptr());
    // In a cluster the server also asks whether the key is there.
    let (reply, error) = select_db(ctx, place.db, || {
        last_error::clear();
        // SAFETY: a string and a constant, as the format says.
        let reply = unsafe { call(ctx, command, format.as_ptr(), key, time) };
        (reply, last_error::get())
    });
    let is_refused = match has_dry_run() {
        // Some servers return a reply if they refuse, some if they would have run the call.
        true => error != 0,
        // If it was run, it has failed by itself.
        false => reply.is_null(),
    };
    if !reply.is_null() {
        let free = api!(RedisModule_FreeCallReply);
        // SAFETY: this is its last use.
        unsafe { free(reply) };
    }
    match (is_refused, error) {
        (false, _) => Permit::Given,
        (true, libc::EPERM) => Permit::Elsewhere,
        (true, _) => Permit::NotNow,
    }
}

/// Whether this server is a master, by its last role event. A command asks for this on its hot path, where the
/// context's flags would cost too much.
pub fn is_master() -> bool {
    STATE.with(|state| state.master)
}
