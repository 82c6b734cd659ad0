//! One lock of the data set, open to be read or written.

use super::api;
use super::key::{Key, Kind};
use super::state::{Words, STATE};
use super::string::{OwnedStr, Str};
use crate::command::Holder;
use crate::lock::{Error, Fields, Now, View};
use crate::queue::Place;
use redis_module::raw::RedisModuleCtx;

/// An open lock.
pub struct Lock<'a> {
    /// The context of the call.
    pub ctx: *mut RedisModuleCtx,
    /// Its name.
    pub name: Str<'a>,
    /// The key.
    pub key: Key,
    /// The strings made once.
    pub words: Words,
}

impl<'a> Lock<'a> {
    /// Opens the lock of that name in the database that is selected.
    pub fn open(ctx: *mut RedisModuleCtx, name: Str<'a>, write: bool, words: Words) -> Lock<'a> {
        let key = Key::open(ctx, name, write);
        Lock {
            ctx,
            name,
            key,
            words,
        }
    }

    /// The number of the database that is selected.
    pub fn db(&self) -> i32 {
        let db = api!(RedisModule_GetSelectedDb);
        // SAFETY: the context is this call's.
        unsafe { db(self.ctx) }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        Place {
            db: self.db(),
            name: self.name.bytes().into(),
        }
    }

    /// The lock as this owner sees it.
    pub fn view(&self, owner: Str, now: Now) -> Result<View, Error> {
        let key = &self.key;
        match key.kind() {
            Kind::Empty => return Ok(View::Free { lapsed: false }),
            Kind::Other => return Err(Error::WrongType),
            Kind::Hash => (),
        }
        let (holds, mode) = key.get(owner, self.words.mode_field);
        let fields = Fields {
            count: key.fields(),
            owner: holds.as_ref().map(OwnedStr::bytes),
            mode: mode.as_ref().map(OwnedStr::bytes),
            deadline: key.deadline(),
        };
        STATE.with(|state| fields.as_lock(now, &mut state.tokens))
    }

    /// The holder of the lock, whoever it is; none if it is free.
    pub fn holder(&self, now: Now) -> Result<Option<Holder>, Error> {
        let (stored, learned) = self.stored(now)?;
        learned?;
        Ok(stored.filter(|holder| !holder.hold.deadline.has_passed(now)))
    }

    /// The holder of the lock, also if its token is so far ahead of the clock that all other commands
    /// refuse the lock.
    pub fn holder_to_free(&self, now: Now) -> Result<Option<Holder>, Error> {
        let (stored, _) = self.stored(now)?;
        Ok(stored.filter(|holder| !holder.hold.deadline.has_passed(now)))
    }

    /// The stored holder, whether or not its lease is over and its token is valid.
    fn stored(&self, now: Now) -> Result<(Option<Holder>, Result<(), Error>), Error> {
        match self.key.kind() {
            Kind::Empty => return Ok((None, Ok(()))),
            Kind::Other => return Err(Error::WrongType),
            Kind::Hash => (),
        }
        let holder = self.key.holder()?;
        let learn = |token| STATE.with(|state| state.tokens.learn(token, now));
        let learned = holder.hold.token().map_or(Ok(()), learn);
        Ok((Some(holder), learned))
    }
}

/// Runs with a lock of any database, open to be written.
pub fn with_lock<R>(ctx: *mut RedisModuleCtx, place: &Place, work: impl FnOnce(&Lock) -> R) -> R {
    open_lock(ctx, place, true, work)
}

/// Runs with a lock of any database, open to be read.
pub fn read_lock<R>(ctx: *mut RedisModuleCtx, place: &Place, work: impl FnOnce(&Lock) -> R) -> R {
    open_lock(ctx, place, false, work)
}

/// Opens a lock of any database, and then selects the previous database again.
fn open_lock<R>(
    ctx: *mut RedisModuleCtx,
    place: &Place,
    write: bool,
    work: impl FnOnce(&Lock) -> R,
) -> R {
    let words = STATE.with(|state| state.words);
    let words = words.unwrap_or_else(|| api::missing("loaded module"));
    let name = OwnedStr::new(&place.name);
    api::select_db(ctx, place.db, || {
        work(&Lock::open(ctx, name.lend(), write, words))
    })
}
