//! The border to C: no panic crosses it.

use super::log;
use redis_module::raw::RedisModuleCtx;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs an entry point. A panic is logged, and none is returned.
pub fn guard<R>(ctx: *mut RedisModuleCtx, what: &str, work: impl FnOnce() -> R) -> Option<R> {
    // What a panic leaves half done is no memory that safe code could misuse; the next command
    // reads the key anew.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            log::warning(ctx, &format!("internal error in {what}: {text}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_at_the_border() {
        let none = std::ptr::null_mut();
        assert_eq!(guard(none, "a test", || 7), Some(7));
        assert_eq!(guard(none, "a test", || panic!("told")), None::<()>);
    }
}
