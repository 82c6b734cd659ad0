//! The one key that is open at a time.

use super::shared_strings::SharedStrings;
use crate::lock::{Error, Fields, Holder, KeyRef, Stored};
use crate::module::ffi::key::{Key, Kind};
use crate::module::ffi::string::{AnyStr, OwnedStr, Str};
use redis_module::raw::RedisModuleCtx;

/// An open key.
pub struct Open<'a> {
    /// The number of its database.
    pub db: i32,
    /// Its name.
    pub name: AnyStr<'a>,
    /// The key.
    pub key: Key,
    /// Whether it was opened to be written.
    writable: bool,
}

impl<'a> Open<'a> {
    /// Opens the key of that name in the database that is selected.
    ///
    /// # Safety
    /// As for [`Key::open`].
    pub unsafe fn new(
        ctx: *mut RedisModuleCtx,
        db: i32,
        name: AnyStr<'a>,
        writable: bool,
    ) -> Open<'a> {
        // SAFETY: the caller's promise is passed on.
        let key = unsafe { Key::open(ctx, name.lend(), writable) };
        Open {
            db,
            key,
            name,
            writable,
        }
    }

    /// Whether it is that key, and may be written if that is asked for. `argument` says that the key is the
    /// argument of the command, as it is the only name that is lent.
    pub fn is(&self, key: KeyRef, argument: bool, write: bool) -> bool {
        let is_argument = argument && matches!(self.name, AnyStr::Lent(_));
        let is_same = || is_argument || self.name.lend().bytes() == key.name;
        self.db == key.db && (self.writable || !write) && is_same()
    }

    /// The lock as it is stored, read for this owner.
    pub fn read(&self, owner: Str, strings: &SharedStrings) -> Result<Option<Stored>, Error> {
        match self.key.kind() {
            Kind::Empty => return Ok(None),
            Kind::Other => return Err(Error::WrongType),
            Kind::Hash => (),
        }
        let (holds, mode) = self.key.get(owner, strings.mode_field);
        let fields = Fields {
            count: self.key.fields(),
            owner: holds.as_ref().map(OwnedStr::bytes),
            mode: mode.as_ref().map(OwnedStr::bytes),
            deadline: self.key.deadline(),
        };
        fields.parse().map(Some)
    }

    /// The holder of the lock as it is stored.
    pub fn read_holder(&self) -> Result<Option<Holder>, Error> {
        match self.key.kind() {
            Kind::Empty => Ok(None),
            // Larger hashes are not read.
            Kind::Hash if self.key.fields() <= Holder::MOST_FIELDS => {
                Holder::parse(self.key.all(), self.key.deadline()).map(Some)
            }
            _ => Err(Error::WrongType),
        }
    }
}
