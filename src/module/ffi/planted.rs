//! Panics that tests plant in callbacks. Only the feature `planted-faults` has them, which only tests enable.

#[cfg(feature = "planted-faults")]
pub use enabled::panic_at;

/// Where in a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before it has done anything.
    Begin,
    /// After it has done everything.
    End,
}

/// Nothing is planted in a release.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub fn panic_at(_what: &str, _place: Place) {}

#[cfg(feature = "planted-faults")]
mod enabled {
    use super::Place;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
    use std::sync::OnceLock;

    /// The place and the callback: `begin a wakeup` or `end a wakeup`.
    const VARIABLE: &str = "LOCK_PLANTED_PANIC";

    static PLANTED: OnceLock<Option<(String, Place)>> = OnceLock::new();
    static IS_LOADED: AtomicBool = AtomicBool::new(false);
    /// A few times: what comes after has to work again.
    static LEFT: AtomicI32 = AtomicI32::new(3);

    /// Panics if that was planted here.
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
        if callback == what && *at == place && LEFT.fetch_sub(1, Relaxed) > 0 {
            panic!("planted");
        }
        if is_loading && place == Place::End {
            IS_LOADED.store(true, Relaxed);
        }
    }

    fn read() -> Option<(String, Place)> {
        let text = std::env::var(VARIABLE).ok()?;
        let (place, callback) = text.split_once(' ')?;
        let place = match place {
            "begin" => Place::Begin,
            _ => Place::End,
        };
        Some((callback.to_owned(), place))
    }
}
