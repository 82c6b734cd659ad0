//! Panics that tests plant in callbacks. Only the feature `planted-faults` has them, which only tests enable.

/// Where in a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before it has done anything.
    Begin,
    /// After it has done everything.
    End,
}

/// Panics if that was planted here.
#[cfg(feature = "planted-faults")]
#[allow(clippy::panic)]
pub fn panic_at(what: &str, place: Place) {
    let Some((callback, at)) = PLANTED.get_or_init(read) else {
        return;
    };
    // Settings are set while the module is loaded, which is refused if that fails.
    let is_loading = what == "loading";
    if !is_loading && !IS_LOADED.load(Relaxed) {
        return;
    }
    // A few times: what comes after has to work again.
    if callback == what && *at == place && LEFT.fetch_sub(1, Relaxed) > 0 {
        panic!("planted");
    }
    if is_loading && place == Place::End {
        IS_LOADED.store(true, Relaxed);
    }
}

/// Nothing is planted in a release.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub fn panic_at(_what: &str, _place: Place) {}

#[cfg(feature = "planted-faults")]
use std::sync::{
    atomic::{AtomicBool, AtomicI32, Ordering::Relaxed},
    OnceLock,
};

/// The callback and the place: `begin a wakeup` or `end a wakeup`.
#[cfg(feature = "planted-faults")]
const VARIABLE: &str = "LOCK_PLANTED_PANIC";

#[cfg(feature = "planted-faults")]
static PLANTED: OnceLock<Option<(String, Place)>> = OnceLock::new();

#[cfg(feature = "planted-faults")]
static IS_LOADED: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "planted-faults")]
static LEFT: AtomicI32 = AtomicI32::new(3);

#[cfg(feature = "planted-faults")]
fn read() -> Option<(String, Place)> {
    let text = std::env::var(VARIABLE).ok()?;
    let (place, callback) = text.split_once(' ')?;
    let place = match place {
        "begin" => Place::Begin,
        _ => Place::End,
    };
    Some((callback.to_owned(), place))
}
