//! The module's state, guarded by the server's global lock.

use std::cell::RefCell;

/// A value that is only used while the server runs one of the module's callbacks.
pub struct Gil<T>(RefCell<T>);

// SAFETY: the server calls a module only while its global lock is held, mostly on its main thread,
// or on the thread of another module that has taken that lock. We start no threads.
unsafe impl<T> Sync for Gil<T> {}

impl<T> Gil<T> {
    /// Guards `value`.
    pub const fn new(value: T) -> Gil<T> {
        Gil(RefCell::new(value))
    }

    /// Runs with the value. Panics if it is in use already: the server has called back in the middle.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.borrow_mut())
    }

    /// The same, unless the value is in use: a crash report may be written at any moment.
    pub fn try_with<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_borrow().ok().map(|value| work(&value))
    }

    /// Changes the value, unless it is in use. Cannot panic itself: for what has to be done even if the rest of a callback
    /// does panic.
    pub fn try_change(&self, change: impl FnOnce(&mut T)) {
        if let Ok(mut value) = self.0.try_borrow_mut() {
            change(&mut value);
        }
    }

    /// Whether the value is not in use.
    pub fn is_free(&self) -> bool {
        self.0.try_borrow_mut().is_ok()
    }
}
