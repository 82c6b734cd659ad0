//! The data set and the caller of one command or timer, as the engine's port.

use super::open::Open;
use super::rights;
use super::shared_strings::SharedStrings;
use crate::engine::{ClientId, Server, UserName, Write, WriteCheck};
use crate::lock::{Deadline, Error, Holder, KeyRef, Now, Stored, Tick};
use crate::module::ffi::api::missing;
use crate::module::ffi::call::{is_paused, DryRun};
use crate::module::ffi::string::{AnyStr, OwnedStr, Str};
use crate::module::ffi::user::{self, User};
use crate::module::ffi::{clock, context};
use redis_module::raw::{self, RedisModuleCtx};
use std::sync::Arc;

/// The arguments of a command that are server strings already, with their bytes: they need not be copied.
#[derive(Clone, Copy, Default)]
pub struct Arguments<'a> {
    /// The first one: the name of the lock, if the command takes one.
    pub name: Option<(&'a [u8], Str<'a>)>,
    /// The second one: the owner, if the command takes one.
    pub owner: Option<(&'a [u8], Str<'a>)>,
}

/// What the engine can read and write while one command or timer is run.
pub struct Data<'a> {
    pub(super) ctx: *mut RedisModuleCtx,
    pub(super) strings: SharedStrings,
    pub(super) arguments: Arguments<'a>,
    /// Whether locks are opened to be written.
    writes: bool,
    now: Option<Now>,
    tick: Option<Tick>,
    /// The database that was selected at the beginning, and the one that is.
    home: i32,
    selected: i32,
    open: Option<Open<'a>>,
}

impl<'a> Data<'a> {
    /// For one command or timer.
    ///
    /// # Safety
    /// Only where the server is not walking its own tables: opening a key, even to read it, deletes the key if it
    /// has expired, and so may free what the server's expiry cycle, slot clean-up or flush points to. So in no
    /// callback of an event, of a key event, or of the end of a client.
    pub unsafe fn new(
        ctx: *mut RedisModuleCtx,
        arguments: Arguments<'a>,
        writes: bool,
    ) -> Data<'a> {
        let home = context::selected_db(ctx);
        Data {
            ctx,
            strings: SharedStrings::get(),
            arguments,
            writes,
            now: None,
            tick: None,
            home,
            selected: home,
            open: None,
        }
    }

    /// The key, open.
    pub(super) fn open(&mut self, key: KeyRef, write: bool) -> &Open<'a> {
        let argument = match self.arguments.name {
            Some((same, argument)) if std::ptr::eq(same, key.name) => Some(argument),
            _ => None,
        };
        let is_open = match &self.open {
            Some(open) => open.is(key, argument.is_some(), write),
            None => false,
        };
        if !is_open {
            self.reopen(key, argument, write);
        }
        match &self.open {
            Some(open) => open,
            None => missing("open key"),
        }
    }

    fn reopen(&mut self, key: KeyRef, argument: Option<Str<'a>>, write: bool) {
        self.open = None;
        self.select(key.db);
        let name = match argument {
            Some(argument) => AnyStr::Lent(argument),
            None => AnyStr::Own(OwnedStr::new(key.name)),
        };
        // SAFETY: as was promised when this was made.
        self.open = Some(unsafe { Open::new(self.ctx, key.db, name, write) });
    }

    /// Closes the key that is open, if one is. Returns its name.
    pub(super) fn close(&mut self) -> Option<AnyStr<'a>> {
        self.open.take().map(|open| open.name)
    }

    fn select(&mut self, db: i32) {
        if self.selected != db {
            context::select_db(self.ctx, db);
            self.selected = db;
        }
    }

    /// An owner as a server string: the argument itself, if it is that.
    pub(super) fn owner(&self, owner: &[u8]) -> AnyStr<'a> {
        string(self.arguments.owner, owner)
    }

    /// A name as a server string: the argument itself, if it is that.
    pub(super) fn name(&self, name: &[u8]) -> AnyStr<'a> {
        string(self.arguments.name, name)
    }
}

/// Bytes as a server string: the argument itself, if they are that.
fn string<'a>(argument: Option<(&'a [u8], Str<'a>)>, bytes: &[u8]) -> AnyStr<'a> {
    match argument {
        Some((same, argument)) if std::ptr::eq(same, bytes) => AnyStr::Lent(argument),
        _ => AnyStr::Own(OwnedStr::new(bytes)),
    }
}

impl Drop for Data<'_> {
    fn drop(&mut self) {
        self.open = None;
        self.select(self.home);
    }
}

impl Server for Data<'_> {
    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(clock::now)
    }

    fn tick(&mut self) -> Tick {
        *self.tick.get_or_insert_with(clock::tick)
    }

    fn own_name(&self) -> Option<&[u8]> {
        self.arguments.name.map(|(name, _)| name)
    }

    fn read(&mut self, key: KeyRef, owner: &[u8]) -> Result<Option<Stored>, Error> {
        let (owner, strings, writes) = (self.owner(owner), self.strings, self.writes);
        self.open(key, writes).read(owner.lend(), &strings)
    }

    fn read_holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        self.open(key, self.writes).read_holder()
    }

    fn expiry(&mut self, key: KeyRef) -> Option<Deadline> {
        self.open(key, self.writes).key.deadline()
    }

    fn write(&mut self, key: KeyRef, write: &Write) {
        self.write_to(key, write);
    }

    fn accepts_writes(&mut self) -> bool {
        let flags = context::flags(self.ctx);
        let is_master = flags & raw::REDISMODULE_CTX_FLAGS_MASTER != 0;
        let is_loading = flags & raw::REDISMODULE_CTX_FLAGS_LOADING != 0;
        is_master && !is_loading && !is_paused()
    }

    fn check_write(&mut self, key: KeyRef) -> WriteCheck {
        // In a cluster the server also looks for the key: what it does to one that has expired is its own affair.
        self.open = None;
        self.select(key.db);
        match DryRun::new(self.ctx).of_write(self.name(key.name).lend()) {
            Ok(()) => WriteCheck::Accepted,
            Err(libc::EPERM) => WriteCheck::Elsewhere,
            Err(_) => WriteCheck::NotNow,
        }
    }

    fn is_user(&mut self, client: ClientId, user: &[u8]) -> bool {
        user::is_still(self.ctx, client.0, Some(user))
    }

    fn may_acquire(&mut self, user: &[u8], key: KeyRef, owner: &[u8]) -> bool {
        let (user, name, owner) = (OwnedStr::new(user), self.name(key.name), self.owner(owner));
        let call = [self.strings.acquire, name.lend(), owner.lend()];
        User::named(user.lend()).is_some_and(|user| user.may_call(key.db, call))
    }

    fn caller(&mut self) -> ClientId {
        ClientId(context::client_id(self.ctx))
    }

    fn caller_user(&mut self) -> Option<UserName> {
        rights::user_name(self.ctx, context::client_id(self.ctx))
    }

    fn may_block(&mut self) -> bool {
        let denied = raw::REDISMODULE_CTX_FLAGS_MULTI
            | raw::REDISMODULE_CTX_FLAGS_LUA
            | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
        context::flags(self.ctx) & denied == 0
    }

    fn has_connection(&mut self) -> bool {
        rights::has_connection(self.ctx)
    }

    fn readable(&mut self, names: Vec<Arc<[u8]>>, most: usize) -> Vec<Arc<[u8]>> {
        let Some(user) = User::of(self.ctx) else {
            return Vec::new();
        };
        let names = names.into_iter().filter(|name| user.may_read(name));
        names.take(most).collect()
    }

    fn selected_db(&mut self) -> i32 {
        self.home
    }
}
