//! The section `lock` of `INFO`.

use crate::engine::WaitTimes;
use crate::module::ffi::clock;
use crate::module::ffi::guard::guard;
use crate::module::host::read_if_free;
use redis_module::raw::RedisModuleInfoCtx;
use std::ffi::{c_int, CStr};
use std::ptr::null_mut;

/// The server calls this for `INFO`. It allocates nothing, since the server also calls it while it
/// writes a crash report.
pub extern "C" fn report(ctx: *mut RedisModuleInfoCtx, _crashed: c_int) {
    guard(null_mut(), "INFO", || {
        let counted = read_if_free(|engine| {
            let within = |share| {
                let times = engine.wait_times.as_ref();
                times.map_or(0, |times: &WaitTimes| times.within(share).0)
            };
            let times = [0.5, 0.99, 0.999, 1.0].map(|share| within(share) as u64);
            (engine.counters, engine.gauges(clock::tick()), times)
        });
        let Some((counters, (waiters, queues, sessions, grace), [p50, p99, p999, max])) = counted
        else {
            return;
        };
        let section = api!(RedisModule_InfoAddSection);
        // SAFETY: an empty name stands for the module's.
        if unsafe { section(ctx, c"".as_ptr()) } != 0 {
            return; // not asked for
        }
        let fields: [(&CStr, u64); 24] = [
            (c"acquired", counters.acquired),
            (c"reentered", counters.reentered),
            (c"busy", counters.busy),
            (c"released", counters.released),
            (c"renewed", counters.renewed),
            (c"forced", counters.forced),
            (c"asserts_failed", counters.asserts_failed),
            (c"handed_over", counters.handed_over),
            (c"waits_started", counters.waits_started),
            (c"waits_timed_out", counters.waits_timed_out),
            (c"waits_cancelled", counters.waits_cancelled),
            (
                c"expired_while_waited_for",
                counters.expired_while_waited_for,
            ),
            (c"deadlocks_refused", counters.deadlocks_refused),
            (c"sessions_renewed", counters.sessions_renewed),
            (c"sessions_ended", counters.sessions_ended),
            (c"sessions_lost", counters.sessions_lost),
            (c"sessions", sessions as u64),
            (c"waiters", waiters as u64),
            (c"lines", queues as u64),
            (c"grace_ms_left", grace.0 as u64),
            (c"wait_ms_p50", p50),
            (c"wait_ms_p99", p99),
            (c"wait_ms_p999", p999),
            (c"wait_ms_max", max),
        ];
        let field = api!(RedisModule_InfoAddFieldULongLong);
        for (name, value) in fields {
            // SAFETY: the name is a constant.
            unsafe { field(ctx, name.as_ptr(), value) };
        }
    });
}
