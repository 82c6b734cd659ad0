//! The server's strings.

use redis_module::raw::{RedisModuleCtx, RedisModuleString};
use std::ffi::{c_char, CString};
use std::ptr::null_mut;

/// A string that the server keeps for as long as `'a`.
#[derive(Clone, Copy)]
pub struct Str<'a> {
    raw: *mut RedisModuleString,
    life: std::marker::PhantomData<&'a ()>,
}

impl<'a> Str<'a> {
    /// Wraps a server string.
    ///
    /// # Safety
    /// It must live, and not be changed, for `'a`.
    pub unsafe fn new(raw: *mut RedisModuleString) -> Str<'a> {
        Str {
            raw,
            life: std::marker::PhantomData,
        }
    }

    /// The server's pointer.
    pub fn raw(self) -> *mut RedisModuleString {
        self.raw
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        let pointer_and_len = api!(RedisModule_StringPtrLen);
        let mut len = 0;
        // SAFETY: the string lives for 'a.
        let start = unsafe { pointer_and_len(self.raw, &mut len) };
        // SAFETY: the server says that so many bytes start there; they live as long as the string.
        unsafe { std::slice::from_raw_parts(start.cast(), len) }
    }
}

/// A string of our own, freed at the end.
pub struct OwnedStr(Str<'static>);

impl OwnedStr {
    /// A copy of these bytes.
    pub fn new(bytes: &[u8]) -> OwnedStr {
        let create = api!(RedisModule_CreateString);
        // SAFETY: without a context the string is ours alone; the bytes are copied.
        let raw = unsafe { create(null_mut(), bytes.as_ptr().cast(), bytes.len()) };
        OwnedStr::of(raw)
    }

    /// The decimal form of a number.
    pub fn number(number: i64) -> OwnedStr {
        let create = api!(RedisModule_CreateStringFromLongLong);
        // SAFETY: without a context the string is ours alone.
        let raw = unsafe { create(null_mut(), number) };
        OwnedStr::of(raw)
    }

    /// A string that the server handed over.
    pub fn of(raw: *mut RedisModuleString) -> OwnedStr {
        // SAFETY: it lives until it is dropped, and is not lent for longer: see `deref`.
        OwnedStr(unsafe { Str::new(raw) })
    }

    /// The string that the server handed over, if it is not null.
    pub fn of_any(raw: *mut RedisModuleString) -> Option<OwnedStr> {
        (!raw.is_null()).then(|| OwnedStr::of(raw))
    }

    /// Keeps it, so that it is never freed.
    pub fn leak(self) -> Str<'static> {
        let lasting = self.0;
        std::mem::forget(self);
        lasting
    }

    /// Lends it.
    pub fn lend(&self) -> Str<'_> {
        self.0
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Drop for OwnedStr {
    fn drop(&mut self) {
        let free = api!(RedisModule_FreeString);
        // SAFETY: it is ours, and this is the last use.
        unsafe { free(null_mut::<RedisModuleCtx>(), self.0.raw) };
    }
}

/// A string that is either lent or our own.
pub enum AnyStr<'a> {
    /// Lent.
    Lent(Str<'a>),
    /// Our own.
    Own(OwnedStr),
}

impl AnyStr<'_> {
    /// Lends it.
    pub fn lend(&self) -> Str<'_> {
        match self {
            AnyStr::Lent(lent) => *lent,
            AnyStr::Own(own) => own.lend(),
        }
    }
}

/// Texts as C has them, kept for as long as this lives. For calls of which the server copies what it is given.
#[derive(Default)]
pub struct Texts(Vec<CString>);

impl Texts {
    /// The text, up to its first NUL if it has one.
    pub fn add(&mut self, text: &str) -> *const c_char {
        let text = text.split('\0').next().unwrap_or_default();
        let text = CString::new(text).unwrap_or_default();
        let start = text.as_ptr();
        self.0.push(text);
        start
    }
}
