//! One call of a command: its arguments, the key it works on, and its reply.

use super::api;
use super::clock;
use super::deadlocks;
use super::guard::guard;
use super::open::{read_lock, Lock};
use super::permit::is_master;
use super::reply::{send, send_error};
use super::serve;
use super::sessions;
use super::state::{Words, STATE};
use super::string::{AnyStr, OwnedStr, Str};
use super::timer;
use super::user::User;
use super::wait::{client_id, may_block, user_of, wait_in_line};
use crate::command::{
    Access, Binding, Command, Counters, Error, Holder, Line, LineOf, Reply, Store,
};
use crate::grace;
use crate::lock::{self, Change, Grant, Millis, Now, Tokens, View};
use crate::settings::Settings;
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::c_int;

/// More arguments than any command takes: the size of the array that they are read into.
const MOST_ARGS: usize = 16;

/// What the server calls for the command `C`.
pub extern "C" fn entry<C: Command>(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    let name = C::SPEC.name;
    let result = guard(ctx, name, || {
        // SAFETY: the server passes `argc` strings, which live as long as the call.
        let argv = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
        match run::<C>(ctx, argv) {
            Ok(reply) => send(ctx, &reply),
            Err(error) => send_error(ctx, &error.to_string()),
        }
    });
    if result.is_none() {
        let text = format!("ERR internal error in {name}, see the server's log");
        guard(ctx, name, || send_error(ctx, &text));
    }
    raw::REDISMODULE_OK as c_int
}

fn run<C: Command>(
    ctx: *mut RedisModuleCtx,
    argv: &[*mut RedisModuleString],
) -> Result<Reply, Error> {
    if argv.len() < usize::from(C::SPEC.min_args) || argv.len() > MOST_ARGS {
        return Err(Error::Arity(C::SPEC.name));
    }
    // SAFETY: the arguments live as long as the call.
    let str_at = |at: usize| unsafe { Str::new(argv[at]) };
    let mut args: [&[u8]; MOST_ARGS] = [b""; MOST_ARGS];
    for (at, arg) in args.iter_mut().enumerate().take(argv.len()) {
        *arg = str_at(at).bytes();
    }
    let mut call = Call {
        ctx,
        name: (argv.len() > 1).then(|| str_at(1)),
        owner: (argv.len() > 2).then(|| (args[2], str_at(2))),
        lock: None,
        writes: matches!(C::SPEC.access, Access::Update | Access::Release),
        words: STATE
            .with(|state| state.words)
            .unwrap_or_else(|| api::missing("loaded module")),
        now: clock::now(),
    };
    if call.writes && !is_master() {
        return Err(Error::OnReplica);
    }
    deadlocks::begin();
    super::grace::look(ctx);
    // A grant that could not be delivered is undone first: this command may be run before the timer
    // that would do it.
    if call.writes && STATE.with(|state| state.waiting.pending.has_undo()) {
        serve::undo(ctx);
    }
    let result = C::run(&args[..argv.len()], &mut call);
    timer::stop_if_idle(ctx);
    result
}

struct Call<'a> {
    ctx: *mut RedisModuleCtx,
    /// The first argument: the name of the lock, if the command takes one.
    name: Option<Str<'a>>,
    /// The owner, if the command takes one: its bytes, and the argument.
    owner: Option<(&'a [u8], Str<'a>)>,
    lock: Option<Lock<'a>>,
    writes: bool,
    words: Words,
    now: Now,
}

impl<'a> Call<'a> {
    fn lock(&mut self) -> &Lock<'a> {
        let (ctx, writes, words) = (self.ctx, self.writes, self.words);
        let name = self.name.unwrap_or_else(|| api::missing("name of a lock"));
        self.lock
            .get_or_insert_with(|| Lock::open(ctx, name, writes, words))
    }

    /// The owner as a server string: the argument itself, if it is that.
    fn string(&self, owner: &[u8]) -> AnyStr<'a> {
        match self.owner {
            Some((bytes, argument)) if std::ptr::eq(bytes, owner) => AnyStr::Lent(argument),
            _ => AnyStr::Own(OwnedStr::new(owner)),
        }
    }
}

impl Store for Call<'_> {
    fn now(&self) -> Now {
        self.now
    }

    fn settings<R>(&self, read: impl FnOnce(&Settings) -> R) -> R {
        STATE.with(|state| read(&state.settings))
    }

    fn grace(&self) -> Option<grace::Left> {
        super::grace::left()
    }

    fn view(&mut self, owner: &[u8]) -> Result<View, lock::Error> {
        let (now, writes, owner) = (self.now, self.writes, self.string(owner));
        let lock = self.lock();
        let view = lock.view(owner.lend(), now)?;
        // Nobody overtakes the queue: it is served before a command sees a free lock.
        if writes && matches!(view, View::Free { .. }) && serve::settle(lock) {
            return lock.view(owner.lend(), now);
        }
        Ok(view)
    }

    fn holder(&mut self) -> Result<Option<Holder>, lock::Error> {
        let now = self.now;
        self.lock().holder(now)
    }

    fn holder_to_free(&mut self) -> Result<Option<Holder>, lock::Error> {
        let now = self.now;
        let lock = self.lock();
        let holder = lock.holder_to_free(now)?;
        // A session whose lease ran out while its connection was open still holds the lock.
        if holder.is_none() && sessions::keep(lock) {
            return lock.holder_to_free(now);
        }
        Ok(holder)
    }

    fn tokens<R>(&mut self, work: impl FnOnce(&mut Tokens) -> R) -> R {
        STATE.with(|state| work(&mut state.tokens))
    }

    fn apply(&mut self, owner: &[u8], change: &Change) {
        let owner = self.string(owner);
        let lock = self.lock();
        lock.apply(owner.lend(), change);
        if let Change::Update(lock::Update {
            deadline: Some(_), ..
        }) = change
        {
            let (db, name) = (lock.db(), lock.name.bytes());
            if STATE.with(|state| state.waiting.lines.is_waited_for(db, name)) {
                let (place, deadline) = (lock.place(), lock.key.deadline());
                STATE.with(|state| state.waiting.lines.set_lease(&place, deadline));
                timer::set(self.ctx);
            }
        }
    }

    fn answered(&mut self, grant: &Grant) {
        if let Some(token) = grant.token() {
            STATE.with(|state| state.waiting.pending.answered(token, grant.holds));
        }
    }

    fn may_wait(&self) -> bool {
        may_block(self.ctx)
    }

    fn check_connection(&self) -> Result<(), Error> {
        sessions::check_connection(self.ctx)
    }

    fn bind(&mut self, owner: &[u8], grant: &Grant, session: Binding) {
        let (ctx, place) = (self.ctx, self.lock().place());
        let client = client_id(ctx);
        let claim = session.of(client, user_of(ctx, client));
        sessions::bind(ctx, &place, owner, grant, claim);
    }

    fn has_session(&mut self) -> bool {
        let lock = self.lock();
        has_session(lock.db(), lock.name.bytes())
    }

    fn set_session_ttl(&mut self, ttl: Millis) {
        let (place, tick) = (self.lock().place(), clock::tick());
        STATE.with(|state| state.sessions.set_ttl(&place, ttl, tick));
    }

    fn wait(
        &mut self,
        owner: &[u8],
        request: lock::Acquire,
        session: Option<Binding>,
        wait: Millis,
    ) -> Result<(), Error> {
        let ctx = self.ctx;
        wait_in_line(ctx, self.lock(), owner, request, session, wait)
    }

    fn line(&mut self) -> Line {
        let lock = self.lock();
        line_of(lock.db(), lock.name.bytes())
    }

    fn lines(&mut self, most: usize) -> Vec<LineOf> {
        let (ctx, now, user) = (self.ctx, self.now, User::of(self.ctx));
        let db = api!(RedisModule_GetSelectedDb);
        // SAFETY: the context is this call's.
        let db = unsafe { db(ctx) };
        let longest = STATE.with(|state| state.waiting.lines.longest(db));
        let shown = longest
            .into_iter()
            .filter(|place| user.as_ref().is_some_and(|user| user.may_read(&place.name)));
        shown
            .take(most)
            .map(|place| LineOf {
                lock: place.name.to_vec(),
                holder: read_lock(ctx, &place, |lock| lock.holder(now).ok().flatten()),
                session: has_session(db, &place.name),
                line: line_of(db, &place.name),
            })
            .collect()
    }

    fn count(&mut self, counter: fn(&mut Counters) -> &mut u64) {
        STATE.with(|state| *counter(&mut state.counters) += 1);
    }
}

/// How many waiters of a queue are shown.
const SHOWN: usize = 10;

fn has_session(db: i32, name: &[u8]) -> bool {
    STATE.with(|state| state.sessions.get(db, name).is_some())
}

fn line_of(db: i32, name: &[u8]) -> Line {
    let tick = clock::tick();
    STATE.with(|state| {
        let lines = &state.waiting.lines;
        let first = lines.in_line(db, name).take(SHOWN);
        let shown = first.map(|(_, w)| (w.owner.to_vec(), Millis(tick.0 - w.since.0)));
        Line {
            waiters: lines.len_of(db, name),
            queue: shown.collect(),
        }
    })
}
