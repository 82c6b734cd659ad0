//! Makes clients wait, and answers them.

use super::circles::refuse_circle;
use super::closing::{is_closing, is_default_user};
use super::events;
use super::guard::guard;
use super::leave::{disconnect, time_out};
use super::open::Lock;
use super::reply::{send, send_error};
use super::state::STATE;
use super::{clock, timer};
use crate::command::{Binding, Error, Reply};
use crate::lock::{Acquire, Grant, Millis};
use crate::queue::{by_number, take, ByNumber, Lines, Pending, Place, Tick, Waiter, WaiterId};
use redis_module::raw::{self, RedisModuleBlockedClient, RedisModuleCtx, RedisModuleString};
use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::rc::Rc;

const OK: c_int = raw::REDISMODULE_OK as c_int;
/// How many are remembered of those who just stopped waiting.
const MOST_JUST_TOLD: usize = 1000;
/// What is replied where an answer is missing.
pub const INTERNAL: &str = "ERR internal error";

/// Everything about those who wait.
pub struct Waiting {
    /// The lines.
    pub lines: Lines,
    /// Grants that their clients were not told of yet.
    pub pending: Pending,
    /// The client of each that waits or is to be answered.
    pub clients: ByNumber<WaiterId, Client>,
    ids: ByNumber<*mut RedisModuleBlockedClient, WaiterId>,
    /// Those who were answered, and whom the server has not been asked to tell yet. It is at the
    /// end of this turn of its event loop.
    pub to_tell: BTreeSet<WaiterId>,
    /// Clients that stopped waiting since the last timer rang, where nobody
    /// knows whether the server is on its way to sleep.
    pub just_told: BTreeSet<u64>,
    /// Clients that nobody can say of whether they were told. They are to be closed.
    pub doubtful: Vec<u64>,
    /// Locks that someone else changed, and are to be looked at.
    pub touched: Vec<Place>,
    /// The classes of events by which the server tells of changes of keys.
    pub watched: c_int,
    /// The timer.
    pub timer: timer::Timer,
}

/// A client that waits.
pub struct Client {
    handle: *mut RedisModuleBlockedClient,
    /// Its id.
    pub id: u64,
    was_default: bool,
    /// What it is to be answered, once it has left the line.
    answer: Option<Answer>,
}

/// What a waiter is answered.
pub enum Answer {
    /// Four integers.
    Grant(Grant),
    /// An error.
    Error(String),
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
            just_told: BTreeSet::new(),
            doubtful: Vec::new(),
            touched: Vec::new(),
            watched: 0,
            timer: timer::Timer::new(),
        }
    }

    /// Whether the end of a turn has to be acted on.
    pub fn has_to_tell(&self) -> bool {
        !(self.to_tell.is_empty() && self.doubtful.is_empty())
    }
}

/// Whether this call may wait. In `MULTI`, in scripts, and where the caller denies it, it may not.
pub fn may_block(ctx: *mut RedisModuleCtx) -> bool {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    let denied = raw::REDISMODULE_CTX_FLAGS_MULTI
        | raw::REDISMODULE_CTX_FLAGS_LUA
        | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    flags & denied == 0
}

/// Puts the call at the end of the line for an open lock that someone else holds.
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
    refuse_circle(ctx, &owner, &place)?;
    events::watch_keys(ctx, events::FREES);
    let since = clock::tick();
    let client = client_id(ctx);
    let waiter = Waiter {
        owner,
        place: place.clone(),
        request,
        session: session.map(|session| session.of(client)),
        since,
        until: (wait.0 > 0).then_some(Tick(since.0 + wait.0)),
    };
    let block = api!(RedisModule_BlockClient);
    // The server's own timeouts come up to 100 ms late, so it is given none.
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
        was_default: is_default_user(ctx, client),
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

/// Answers a waiter that has left its line.
///
/// It is told by the timer, at the end of this turn of the event loop, and counts as one who waits
/// until then. So what ends its wait in this very turn finds the answer: `CLIENT UNBLOCK` comes as
/// a timeout or a disconnect like any other. (Once `RM_UnblockClient` was called, servers up to 7.2
/// let the client go and tell it nothing, and 7.2 itself even stops.)
pub fn answer(ctx: *mut RedisModuleCtx, id: WaiterId, answer: Answer) {
    let now = STATE.with(|state| {
        let waiting = &mut state.waiting;
        let client = waiting.clients.get_mut(&id)?;
        client.answer = Some(answer);
        if !waiting.just_told.is_empty() && waiting.just_told.remove(&client_id(ctx)) {
            return Some(client.handle);
        }
        waiting.to_tell.insert(id);
        None
    });
    match now {
        // Only this wakes the server, should it be on its way to sleep.
        Some(handle) => unblock_client(handle, id),
        None => timer::tell_at_end(ctx),
    }
}

/// Has the server tell those who were answered: it does so before it sleeps.
pub fn tell_all(ctx: *mut RedisModuleCtx) {
    let to_tell = STATE.with(|state| {
        state.waiting.just_told.clear();
        std::mem::take(&mut state.waiting.to_tell)
    });
    for id in to_tell {
        let handle = STATE.with(|state| Some(state.waiting.clients.get(&id)?.handle));
        if let Some(handle) = handle {
            unblock_client(handle, id);
        }
    }
    for client in STATE.with(|state| std::mem::take(&mut state.waiting.doubtful)) {
        let close = api!(RedisModule_DeauthenticateAndCloseClient);
        // SAFETY: the context is this call's. The client may be gone.
        unsafe { close(ctx, client) };
    }
}

/// The number of the client that a call came from.
pub fn client_id(ctx: *mut RedisModuleCtx) -> u64 {
    let id = api!(RedisModule_GetClientId);
    // SAFETY: the context is this call's.
    unsafe { id(ctx) }
}

/// Tells the server that we are done with a client.
pub fn unblock_client(handle: *mut RedisModuleBlockedClient, id: WaiterId) {
    let unblock = api!(RedisModule_UnblockClient);
    // SAFETY: the handle is of a client that was blocked and not yet unblocked; the data is a
    // number, not a pointer.
    unsafe { unblock(handle, id.0 as *mut c_void) };
}

/// Forgets a waiter that the server has done with.
fn forget(id: WaiterId) -> Option<Answer> {
    STATE.with(|state| {
        let waiting = &mut state.waiting;
        let client = take(&mut waiting.clients, &id)?;
        take(&mut waiting.ids, &client.handle);
        // What it has sent already is run next.
        if state.turn.is_unknown() {
            if waiting.just_told.len() == MOST_JUST_TOLD {
                waiting.just_told.clear();
            }
            waiting.just_told.insert(client.id);
        }
        client.answer
    })
}

/// The waiter that the server has this handle of.
pub fn id_of(handle: *mut RedisModuleBlockedClient) -> Option<WaiterId> {
    STATE.with(|state| state.waiting.ids.get(&handle).copied())
}

/// Sends a client its answer.
extern "C" fn reply(
    ctx: *mut RedisModuleCtx,
    _argv: *mut *mut RedisModuleString,
    _argc: c_int,
) -> c_int {
    guard(ctx, "a reply", || {
        let data = api!(RedisModule_GetBlockedClientPrivateData);
        // SAFETY: the context is that of a reply.
        let id = WaiterId(unsafe { data(ctx) } as u64);
        let client = STATE.with(|state| {
            let client = state.waiting.clients.get(&id)?;
            Some((client.id, client.was_default))
        });
        // It would hear nothing. As it was not told, `free` takes back what it was granted.
        if client.is_some_and(|(client, was_default)| is_closing(ctx, client, was_default)) {
            return;
        }
        tell(ctx, id);
    });
    OK
}

/// Sends the client of this context what it is to be answered.
pub fn tell(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let answer = STATE.with(|state| {
        let waiting = &mut state.waiting;
        let granted = waiting.pending.told(id);
        let client = waiting.clients.get_mut(&id)?;
        if let Some((place, token)) = granted {
            let tick = clock::tick();
            state.sessions.told(&place, token, client.id, tick);
        }
        client.answer.take()
    });
    match answer {
        Some(Answer::Grant(grant)) => send(ctx, &Reply::Grant(grant)),
        Some(Answer::Error(text)) => send_error(ctx, &text),
        None => send_error(ctx, INTERNAL),
    }
}

/// The server is done with a client that was answered. If it was not told, it is gone.
extern "C" fn free(ctx: *mut RedisModuleCtx, data: *mut c_void) {
    guard(ctx, "an end of a wait", || {
        let id = WaiterId(data as u64);
        take_back(ctx, id);
        if forget(id).is_some() {
            STATE.with(|state| state.counters.waits_cancelled += 1);
        }
    });
}

/// A client is gone. What it was granted, and was not told, is taken back: not here, since this may
/// be no time to write.
pub fn take_back(ctx: *mut RedisModuleCtx, id: WaiterId) {
    let undo = STATE.with(|state| {
        let client = state.waiting.clients.get(&id).map(|client| client.id);
        let granted = state.waiting.pending.gone(id);
        if let (Some((place, token)), Some(client)) = (granted, client) {
            state.sessions.untold(&place, token, client);
        }
        state.waiting.pending.has_undo()
    });
    if undo {
        timer::set(ctx);
    }
}

/// The answer to one who did not get the lock.
pub fn busy(ttl: Millis) -> Grant {
    Grant {
        holds: 0,
        token: None,
        ttl,
    }
}
