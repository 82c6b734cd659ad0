//! Blocks clients.

use super::deadlocks::refuse_cycle;
use super::events;
use super::leave::{disconnect, time_out};
use super::open::Lock;
use super::state::STATE;
use super::tell::{free, reply, Answer};
use super::{clock, timer, user};
use crate::command::{Binding, Error};
use crate::lock::{Acquire, Millis};
use crate::queue::{by_number, ByNumber, Lines, Pending, Place, Tick, Waiter, WaiterId};
use redis_module::raw::{self, RedisModuleBlockedClient, RedisModuleCtx};
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::rc::Rc;

/// Everything about waiters.
pub struct Waiting {
    /// The queues.
    pub lines: Lines,
    /// Undelivered grants.
    pub pending: Pending,
    /// The client of each waiter, until its reply is delivered.
    pub clients: ByNumber<WaiterId, Client>,
    /// By the server's handle.
    pub ids: ByNumber<*mut RedisModuleBlockedClient, WaiterId>,
    /// Waiters whose reply is recorded, and that the server will be asked to unblock at the end of this
    /// iteration of the event loop.
    pub to_tell: BTreeSet<WaiterId>,
    /// The name of the user that waited, or took a session, last.
    pub last_user: Option<Rc<[u8]>>,
    /// Clients that we are about to close.
    pub closing: BTreeSet<u64>,
    /// Locks that others changed and that have to be checked.
    pub touched: BTreeSet<Place>,
    /// The classes of keyspace events that are subscribed to.
    pub watched: c_int,
    /// The timer.
    pub timer: timer::Timer,
}

/// A client that waits.
pub struct Client {
    /// The server's handle.
    pub handle: *mut RedisModuleBlockedClient,
    /// Its id.
    pub id: u64,
    /// Its user when it began to wait.
    pub user: Option<Rc<[u8]>>,
    /// Its reply, once it has left the queue.
    pub answer: Option<Answer>,
}

impl Waiting {
    /// Nobody waits.
    pub const fn new() -> Waiting {
        Waiting {
            lines: Lines::new(),
            pending: Pending::new(),
            clients: by_number(),
            ids: by_number(),
            to_tell: BTreeSet::new(),
            closing: BTreeSet::new(),
            last_user: None,
            touched: BTreeSet::new(),
            watched: 0,
            timer: timer::Timer::new(),
        }
    }

    /// Whether there is something to do at the end of this iteration of the event loop.
    pub fn has_to_tell(&self) -> bool {
        !(self.to_tell.is_empty() && self.closing.is_empty())
    }
}

/// Whether this call can be blocked. Not in `MULTI`, in scripts, or if the caller denies it.
pub fn may_block(ctx: *mut RedisModuleCtx) -> bool {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    let denied = raw::REDISMODULE_CTX_FLAGS_MULTI
        | raw::REDISMODULE_CTX_FLAGS_LUA
        | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    flags & denied == 0
}

/// Puts the call at the end of the queue of an open lock that another owner holds.
pub fn wait_in_line(
    ctx: *mut RedisModuleCtx,
    lock: &Lock,
    owner: &[u8],
    request: Acquire,
    session: Option<Binding>,
    wait: Millis,
) -> Result<(), Error> {
    let place = lock.place();
    let (waiting, most) = STATE.with(|state| {
        let waiting = state.waiting.lines.waiters();
        (waiting as i64, state.settings.max_waiters)
    });
    if waiting >= most {
        return Err(Error::TooManyWaiters(most));
    }
    let owner: Rc<[u8]> = owner.into();
    let client = client_id(ctx);
    refuse_cycle(ctx, &owner, client, &place)?;
    events::watch_keys(ctx, events::FREES);
    let since = clock::tick();
    let user = user_of(ctx, client);
    let waiter = Waiter {
        owner,
        place: place.clone(),
        client,
        request,
        session: session.map(|session| session.of(client, user.clone())),
        since,
        until: (wait.0 > 0).then_some(Tick(since.0 + wait.0)),
    };
    let block = api!(RedisModule_BlockClient);
    // The server's own timeouts fire up to 100 ms late, so none is set.
    // SAFETY: callbacks for the life of the module, which stays while clients are blocked.
    let handle = unsafe { block(ctx, Some(reply), Some(time_out), Some(free), 0) };
    if handle.is_null() {
        return Err(Error::NotNow);
    }
    let on_disconnect = api!(RedisModule_SetDisconnectCallback);
    // SAFETY: the handle is new.
    unsafe { on_disconnect(handle, Some(disconnect)) };
    let deadline = lock.key.deadline();
    let client = Client {
        handle,
        id: client,
        user: user.clone(),
        answer: None,
    };
    STATE.with(|state| {
        let id = state.waiting.lines.join(waiter);
        state.waiting.clients.insert(id, client);
        state.waiting.ids.insert(handle, id);
        state.waiting.lines.set_lease(&place, deadline);
        state.counters.waits_started += 1;
    });
    timer::set(ctx);
    Ok(())
}

/// The id of the client that a call came from.
pub fn client_id(ctx: *mut RedisModuleCtx) -> u64 {
    let id = api!(RedisModule_GetClientId);
    // SAFETY: the context is this call's.
    unsafe { id(ctx) }
}

/// The name of a client's user, kept until its rights are checked again.
pub fn user_of(ctx: *mut RedisModuleCtx, client: u64) -> Option<Rc<[u8]>> {
    let name = user::of_client(ctx, client)?;
    STATE.with(|state| {
        // Most calls come from the same user: its name is kept once.
        let last = &mut state.waiting.last_user;
        if last.as_deref() != Some(name.bytes()) {
            *last = Some(name.bytes().into());
        }
        last.clone()
    })
}

/// The waiter with this handle.
pub fn id_of(handle: *mut RedisModuleBlockedClient) -> Option<WaiterId> {
    STATE.with(|state| state.waiting.ids.get(&handle).copied())
}
