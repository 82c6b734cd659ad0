//! The boundary to C: no panic crosses it, and no key is opened while the server walks its own tables.

use super::{log, planted};
use planted::Place;
use redis_module::raw::RedisModuleCtx;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a callback is running that may only record what has happened.
static ONLY_NOTES: AtomicBool = AtomicBool::new(false);

/// Runs an entry point. If it panics, that is logged and `None` returned.
pub fn guard<R>(
    ctx: *mut RedisModuleCtx,
    what: &'static str,
    work: impl FnOnce() -> R,
) -> Option<R> {
    let work = || {
        planted::panic_at(what, Place::Begin);
        planted::begin(what);
        let result = work();
        planted::panic_at(what, Place::End);
        result
    };
    // A panic leaves no memory that safe code could misuse; the next command reads the key again.
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

/// Runs an entry point that the server may call while it walks its own tables: an event, the end of a
/// client. Such a callback only records; a timer, or the end of the event loop iteration, acts on it.
///
/// The server's expiry cycle, slot clean-up and flush keep pointers into their tables. Opening a key,
/// even to read it, deletes the key if it has expired, and so may free what these point to.
pub fn only_notes<R>(
    ctx: *mut RedisModuleCtx,
    what: &'static str,
    work: impl FnOnce() -> R,
) -> Option<R> {
    // It may be called inside another one.
    let before = ONLY_NOTES.swap(true, Relaxed);
    let result = guard(ctx, what, work);
    ONLY_NOTES.store(before, Relaxed);
    result
}

/// Refuses to open a key in a callback that may only record. It is checked in release builds too: it costs
/// one load, and a caught panic is better than a server that reads freed memory.
pub fn check_may_open_key() {
    if ONLY_NOTES.load(Relaxed) {
        opened_in_callback();
    }
}

#[cold]
#[allow(clippy::panic)]
fn opened_in_callback() -> ! {
    panic!("a callback that may only record tried to open a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_at_the_border() {
        let none = std::ptr::null_mut();
        assert_eq!(guard(none, "a test", || 7), Some(7));
        assert_eq!(guard(none, "a test", || panic!("caught")), None::<()>);
    }

    #[test]
    fn no_key_is_opened_in_a_callback_that_only_takes_note() {
        let none = std::ptr::null_mut();
        let open = || check_may_open_key();
        assert_eq!(only_notes(none, "a test", open), None);
        let nested = || {
            assert_eq!(only_notes(none, "inside", || ()), Some(()));
            check_may_open_key();
        };
        assert_eq!(only_notes(none, "a test", nested), None);
        assert_eq!(guard(none, "a test", open), Some(()));
    }
}
