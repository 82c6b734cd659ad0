//! One open key: reads its fields and expiry, and writes them.

use super::guard::check_may_open_key;
use super::string::{OwnedStr, Str};
use crate::lock::Deadline;
use redis_module::raw::{self, RedisModuleString};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

const READ: c_int = raw::REDISMODULE_READ as c_int;
const WRITE: c_int = raw::REDISMODULE_WRITE as c_int;
const NONE: c_int = raw::REDISMODULE_HASH_NONE as c_int;

/// As the value of a field: deletes the field.
const DELETE: *mut RedisModuleString = std::ptr::without_provenance_mut(1);

/// An open key, closed when dropped. It is null if it was opened to read and is absent.
pub struct Key {
    raw: *mut raw::RedisModuleKey,
}

/// What kind of value a key holds.
#[derive(PartialEq, Eq)]
pub enum Kind {
    /// None: it is absent.
    Empty,
    /// A hash.
    Hash,
    /// Anything else.
    Other,
}

impl Key {
    /// Opens the key, to read or also to write. A key past its expiry is absent.
    ///
    /// # Safety
    /// Only where the server is not walking its own tables: see `keyspace::Data::new`.
    pub unsafe fn open(ctx: *mut raw::RedisModuleCtx, name: Str, write: bool) -> Key {
        check_may_open_key();
        let open = api!(RedisModule_OpenKey);
        let mode = if write { READ | WRITE } else { READ };
        // SAFETY: the context is the one that the server gave to this call, the name lives.
        let raw = unsafe { open(ctx, name.raw(), mode) };
        Key { raw }
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        let kind = api!(RedisModule_KeyType);
        // SAFETY: the key is open, or null, which the function takes for an absent one.
        match unsafe { kind(self.raw) } as isize {
            raw::REDISMODULE_KEYTYPE_EMPTY => Kind::Empty,
            raw::REDISMODULE_KEYTYPE_HASH => Kind::Hash,
            _ => Kind::Other,
        }
    }

    /// How many fields the hash has.
    pub fn fields(&self) -> usize {
        let length = api!(RedisModule_ValueLength);
        // SAFETY: the key is open.
        unsafe { length(self.raw) }
    }

    /// The values of two fields of the hash.
    pub fn get(&self, first: Str, second: Str) -> (Option<OwnedStr>, Option<OwnedStr>) {
        let get = api!(RedisModule_HashGet);
        let mut values: [*mut raw::RedisModuleString; 2] = [null_mut(); 2];
        let [one, two] = &mut values;
        let (one, two): (*mut _, *mut _) = (one, two);
        let end: *mut c_void = null_mut();
        // SAFETY: pairs of a field and where to put its value, and a null, as the function wants.
        unsafe { get(self.raw, NONE, first.raw(), one, second.raw(), two, end) };
        let [one, two] = values.map(OwnedStr::of_any);
        (one, two)
    }

    /// Sets fields of the hash, which is created if the key is absent. A field that is `None` stays
    /// as it is. Then deletes the field `gone`.
    pub fn set(&self, first: Option<(Str, Str)>, second: Option<(Str, Str)>, gone: Option<Str>) {
        let set = api!(RedisModule_HashSet);
        let end: *mut RedisModuleString = null_mut();
        let pair = |(field, value): (Str, Str)| (field.raw(), value.raw());
        let gone = gone.map(|field| (field.raw(), DELETE));
        let mut pairs = [first.map(pair), second.map(pair), gone]
            .into_iter()
            .flatten();
        let Some((field, value)) = pairs.next() else {
            return;
        };
        // Arguments after the null are not read.
        let (field2, value2) = pairs.next().unwrap_or((end, end));
        let (field3, value3) = pairs.next().unwrap_or((end, end));
        let key = self.raw;
        // SAFETY: pairs of a field and its value, and a null, as the function wants.
        unsafe { set(key, NONE, field, value, field2, value2, field3, value3, end) };
    }

    /// Deletes the key. It stays open, as an absent one.
    pub fn delete(&self) {
        let delete = api!(RedisModule_DeleteKey);
        // SAFETY: the key is open to write.
        unsafe { delete(self.raw) };
    }

    /// When the key expires.
    pub fn deadline(&self) -> Option<Deadline> {
        if matches!(self.kind(), Kind::Empty) {
            return None; // servers dereference the null of an absent key, and 8.2 that of an absent value
        }
        let expiry = api!(RedisModule_GetAbsExpire);
        // SAFETY: the key is open.
        let at = unsafe { expiry(self.raw) };
        (at != NO_EXPIRE).then_some(Deadline(at))
    }

    /// Sets when the key expires.
    pub fn set_deadline(&self, deadline: Deadline) {
        let expire = api!(RedisModule_SetAbsExpire);
        // SAFETY: the key is open to write.
        unsafe { expire(self.raw, deadline.0) };
    }

    /// All fields of the hash, and their values.
    pub fn all(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Pairs::default();
        self.scan(&mut pairs);
        pairs.0
    }

    fn scan(&self, pairs: &mut Pairs) {
        let create = api!(RedisModule_ScanCursorCreate);
        let destroy = api!(RedisModule_ScanCursorDestroy);
        let scan = api!(RedisModule_ScanKey);
        // SAFETY: no arguments.
        let cursor = unsafe { create() };
        let data: *mut Pairs = pairs;
        // SAFETY: the key is open, the cursor is new, `data` outlives the loop.
        while unsafe { scan(self.raw, cursor, Some(collect), data.cast()) } != 0 {}
        // SAFETY: this is its last use.
        unsafe { destroy(cursor) };
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let close = api!(RedisModule_CloseKey);
        // SAFETY: this is the last use; a null is ignored.
        unsafe { close(self.raw) };
    }
}

#[derive(Default)]
struct Pairs(Vec<(Vec<u8>, Vec<u8>)>);

extern "C" fn collect(
    _key: *mut raw::RedisModuleKey,
    field: *mut raw::RedisModuleString,
    value: *mut raw::RedisModuleString,
    pairs: *mut c_void,
) {
    super::guard::guard(null_mut(), "a scan", || {
        // SAFETY: `scan` gave the pointer to its own `pairs`.
        let pairs = unsafe { &mut *pairs.cast::<Pairs>() };
        // SAFETY: the server lends both strings for this call.
        let [field, value] = [field, value].map(|raw| unsafe { Str::new(raw) }.bytes().to_vec());
        pairs.0.push((field, value));
    });
}

const NO_EXPIRE: i64 = raw::REDISMODULE_NO_EXPIRE as i64;
