//! Server strings that are made once, and not for each call.

use crate::lock::MODE_FIELD;
use crate::module::ffi::gil::Gil;
use crate::module::ffi::string::{OwnedStr, Str};

/// The strings, from the time the module is loaded until it is unloaded.
pub static SHARED_STRINGS: Gil<Option<SharedStrings>> = Gil::new(None);

/// Server strings that are made once.
#[derive(Clone, Copy)]
pub struct SharedStrings {
    /// The field of the fence.
    pub mode_field: Str<'static>,
    /// `0`: the message that a lock is free.
    pub zero: Str<'static>,
    /// `1`: the count of a new hold.
    pub one: Str<'static>,
    /// The command whose rights are checked again.
    pub acquire: Str<'static>,
}

impl SharedStrings {
    /// Makes them. They last until they are freed.
    pub fn new() -> SharedStrings {
        SharedStrings {
            mode_field: OwnedStr::new(MODE_FIELD).leak(),
            zero: OwnedStr::new(b"0").leak(),
            one: OwnedStr::new(b"1").leak(),
            acquire: OwnedStr::new(b"LOCK.ACQUIRE").leak(),
        }
    }

    /// The strings of the loaded module.
    pub fn get() -> SharedStrings {
        let strings = SHARED_STRINGS.with(|strings| *strings);
        strings.unwrap_or_else(|| crate::module::ffi::api::missing("loaded module"))
    }

    /// Frees them, when the module is unloaded.
    pub fn free(self) {
        for word in [self.mode_field, self.zero, self.one, self.acquire] {
            drop(OwnedStr::of(word.raw()));
        }
    }
}
