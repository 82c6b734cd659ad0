//! Panics and leaks that tests plant in callbacks, and counts of their runs. Only the feature `planted-faults` has them,
//! which only tests enable.

#[cfg(feature = "planted-faults")]
pub use enabled::{begin, panic_at};

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

/// Nothing is planted in a release, nor counted.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub fn begin(_what: &'static str) {}

#[cfg(feature = "planted-faults")]
mod enabled {
    use super::super::log;
    use super::Place;
    use std::collections::BTreeMap;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
    use std::sync::{Mutex, OnceLock};

    /// The place and the callback: `begin a wakeup` or `end a wakeup`.
    const VARIABLE: &str = "LOCK_PLANTED_PANIC";

    /// The callback which loses a block of 16 bytes each time that it runs.
    const LEAK: &str = "LOCK_PLANTED_LEAK";

    /// If it is set, runs are counted.
    const COUNT: &str = "LOCK_COUNT_RUNS";

    static PLANTED: OnceLock<Option<(String, Place)>> = OnceLock::new();
    static COUNTING: OnceLock<bool> = OnceLock::new();
    static RUNS: Mutex<BTreeMap<&str, u64>> = Mutex::new(BTreeMap::new());
    static LEAKING: OnceLock<Option<String>> = OnceLock::new();
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

    /// A callback begins: loses a block if that was planted in it, and counts the run. The counts are logged, those of
    /// the time since the last ones, when the module is unloaded.
    pub fn begin(what: &'static str) {
        let leaking = LEAKING.get_or_init(|| std::env::var(LEAK).ok());
        if leaking.as_deref() == Some(what) {
            let block = Box::new([0_u8; 16]);
            std::mem::forget(std::hint::black_box(block));
        }
        let is_counting = *COUNTING.get_or_init(|| std::env::var_os(COUNT).is_some());
        let Some(mut runs) = is_counting.then(|| RUNS.lock().ok()).flatten() else {
            return;
        };
        *runs.entry(what).or_default() += 1;
        if what == "unloading" {
            for (what, count) in std::mem::take(&mut *runs) {
                log::warning(null_mut(), &format!("{count} runs of {what}"));
            }
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
