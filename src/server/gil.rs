//! What the module remembers, guarded by the server's own lock.

use std::cell::RefCell;

/// A value that is only touched while the server runs one of our callbacks.
pub struct Gil<T>(RefCell<T>);

// SAFETY: the server calls a module only while its global lock is held, mostly on its main thread,
// or on the thread of another module that has taken that lock. We start no threads.
unsafe impl<T> Sync for Gil<T> {}

impl<T> Gil<T> {
    /// Guards `value`.
    pub const fn new(value: T) -> Gil<T> {
        Gil(RefCell::new(value))
    }

    /// Works with the value. Nothing that may call back into the module belongs inside.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.borrow_mut())
    }

    /// The same, where nobody is at it already: a crash report may come at any moment.
    pub fn try_with<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_borrow().ok().map(|value| work(&value))
    }
}
