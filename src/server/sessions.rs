//! Sessions: renews their leases, frees their locks when the connection closes, and closes the
//! connection when the lock is lost.

use super::clock;
use super::closing::{close_soon, is_connected};
use super::deadlocks;
use super::events;
use super::grace;
use super::key::Kind;
use super::log;
use super::open::{read_lock, with_lock, Lock};
use super::permit::{self, Permit};
use super::state::STATE;
use super::string::{OwnedStr, Str};
use super::timer::{self, RETRY};
use super::user::User;
use super::wait::client_id;
use crate::command::Error;
use crate::escape::Escaped;
use crate::lock::{extend, set_ttl, Change, Deadline, Grant, Millis, Now, Update};
use crate::queue::{Holding, Place, Tick};
use crate::session::{compare, Claim, Found, Session};
use crate::settings::SessionLoss;
use redis_module::raw::{self, RedisModuleCtx};
use std::rc::Rc;

/// Renewals that are due within so many ms are done together.
const SLACK: i64 = 50;

/// How many renewals are done at once; clients are served before the next ones.
const BATCH: usize = 100;

/// Checks that the call came from a connection that a session can be bound to.
pub fn check_connection(ctx: *mut RedisModuleCtx) -> Result<(), Error> {
    let flags = api!(RedisModule_GetContextFlags);
    // SAFETY: the context is this call's.
    let flags = unsafe { flags(ctx) } as u32;
    let called = flags & raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING != 0
        && flags & raw::REDISMODULE_CTX_FLAGS_MULTI == 0;
    if called || flags & raw::REDISMODULE_CTX_FLAGS_LUA != 0 {
        return Err(Error::NoConnection);
    }
    // A call by another module may have a client of its own that the server does not find by its id.
    match is_connected(client_id(ctx)) {
        true => Ok(()),
        false => Err(Error::NoConnection),
    }
}

/// Binds a hold to the connection of the client that was just granted it.
pub fn bind(ctx: *mut RedisModuleCtx, place: &Place, owner: &[u8], grant: &Grant, claim: Claim) {
    let client = claim.client;
    ask(ctx, place, &Rc::from(owner), grant, claim);
    let Some(token) = grant.token() else { return };
    let tick = clock::tick();
    STATE.with(|state| state.sessions.told(place, token, client, tick));
    timer::set(ctx);
}

/// Prepares to bind a hold to a client's connection when its grant is delivered.
pub fn ask(ctx: *mut RedisModuleCtx, place: &Place, owner: &Rc<[u8]>, grant: &Grant, claim: Claim) {
    let Some(fence) = grant.fence else { return };
    events::watch_keys(ctx, events::CHANGES);
    // What the holder is told is rounded down.
    let lease_end = tick_after(Millis(grant.ttl.0 + 1));
    let lost = STATE.with(|state| {
        let sessions = &mut state.sessions;
        sessions.ask(place, owner, fence, grant.holds, claim, lease_end)
    });
    if let Some(lost) = lost {
        tell_of_loss(ctx, place, &lost);
    }
}

/// A client's connection has closed. This may be in the middle of a script: nothing is written here.
pub fn closed(ctx: *mut RedisModuleCtx, client: u64) {
    STATE.with(|state| state.waiting.closing.remove(&client));
    if STATE.with(|state| state.sessions.closed(client)) {
        timer::set(ctx);
    }
}

/// Records a change that is about to be written.
pub fn follow(lock: &Lock, change: &Change) {
    if STATE.with(|state| state.sessions.is_empty()) {
        return;
    }
    let (db, name) = (lock.db(), lock.name.bytes());
    if let Change::Take { deadline, .. }
    | Change::Update(Update {
        deadline: Some(deadline),
        ..
    }) = change
    {
        let end = tick_of(*deadline);
        STATE.with(|state| state.sessions.set_lease(db, name, end));
    }
    let ended = STATE.with(|state| state.sessions.any_ended())
        && STATE.with(|state| state.sessions.has_ended(&lock.place()));
    let lost = STATE.with(|state| {
        let sessions = &mut state.sessions;
        match change {
            // The connection has closed, but its owner calls on another one and gets the reply that it holds
            // the lock: the hold goes on without a session.
            Change::Update(_) if ended => {
                sessions.end(db, name);
                None
            }
            Change::Take { fence, holds, .. } => {
                let lost = sessions.replace(db, name, fence.token);
                sessions.set_holds(db, name, *holds);
                lost
            }
            Change::Update(Update { holds, .. }) => {
                holds.map(|holds| sessions.set_holds(db, name, holds));
                None
            }
            Change::Free => {
                sessions.end(db, name);
                None
            }
            Change::Force => sessions.end(db, name),
        }
    });
    if let Some(lost) = lost {
        tell_of_loss(lock.ctx, &lock.place(), &lost);
    }
}

/// When a deadline will have passed, by the monotonic clock.
fn tick_of(deadline: Deadline) -> Tick {
    tick_after(deadline.wait(clock::now()))
}

/// When a span from now will be over. One more, since the present tick has begun already.
fn tick_after(span: Millis) -> Tick {
    Tick(clock::tick().0.saturating_add(span.0 + 1))
}

/// Checks the session of a lock, if it has one. True if its lease had run out and was written
/// again.
pub fn keep(lock: &Lock) -> bool {
    if STATE.with(|state| state.sessions.is_empty()) {
        return false;
    }
    let place = lock.place();
    let (db, name) = (place.db, &place.name);
    let session = STATE.with(|state| state.sessions.get(db, name).cloned());
    let Some(session) = session else {
        return false;
    };
    let ended = STATE.with(|state| state.sessions.has_ended(&place));
    match (found(lock, &session), session.bound()) {
        (Found::Held(hold), _) => {
            STATE.with(|state| state.sessions.seen(db, name, hold.holds));
            false
        }
        (Found::Lapsed, _) if grace::left().is_some_and(|grace| grace.complete) => false,
        // The old master may have granted the lock meanwhile.
        (Found::Lapsed, _) if grace::left().is_some() => {
            lose(lock.ctx, &place);
            false
        }
        (Found::Lapsed, Some(claim)) if !ended => {
            let owner = OwnedStr::new(&session.owner);
            let may_go_on = may_renew(lock, claim, owner.lend());
            match lease_again(&session, claim, clock::now()) {
                Some(deadline) if may_go_on => {
                    restore(lock, &session, deadline);
                    return true;
                }
                Some(_) => lose(lock.ctx, &place),
                None => lose_for_good(lock.ctx, &place),
            }
            false
        }
        // Its connection has closed, or its grant was not delivered yet: nobody relies on it.
        (Found::Lapsed, _) => {
            STATE.with(|state| {
                state.counters.sessions_ended += u64::from(ended);
                state.sessions.end(db, name)
            });
            false
        }
        (Found::Lost, _) => {
            lose(lock.ctx, &place);
            false
        }
    }
}

fn found(lock: &Lock, session: &Session) -> Found {
    let owner = OwnedStr::new(&session.owner);
    compare(session, lock.view(owner.lend(), clock::now()))
}

/// The lease that a session gets after its lease is over; none if its hold may not last any longer.
fn lease_again(session: &Session, claim: &Claim, now: Now) -> Option<Deadline> {
    let limits = STATE.with(|state| state.settings.limits());
    let deadline = limits.deadline(claim.ttl, session.fence.start, None, now);
    (!deadline.has_passed(now)).then_some(deadline)
}

/// Writes again a lease that ran out while its connection was open: same token, same count.
fn restore(lock: &Lock, session: &Session, deadline: Deadline) {
    let change = Change::Take {
        lapsed: !matches!(lock.key.kind(), Kind::Empty),
        holds: session.holds,
        fence: session.fence,
        deadline,
    };
    lock.apply(OwnedStr::new(&session.owner).lend(), &change);
    let place = lock.place();
    begin_anew(&place, deadline);
    STATE.with(|state| state.counters.sessions_renewed += 1);
    // Calls that began to wait meanwhile saw a free lock.
    let holding = Holding {
        owner: session.owner.clone(),
        client: session.bound().map(|claim| claim.client),
    };
    deadlocks::refuse_cycles(lock.ctx, &place, holding);
}

/// Records that a lease was renewed, also for those who wait for its end.
fn begin_anew(place: &Place, deadline: Deadline) {
    let tick = clock::tick();
    STATE.with(|state| {
        state.sessions.renewed(place, tick);
        state.waiting.lines.set_lease(place, Some(deadline));
    });
}

/// Frees the locks of connections that have closed. Only while this server may write.
pub fn end_closed(ctx: *mut RedisModuleCtx, tick: Tick) {
    let ended = STATE.with(|state| state.sessions.ended());
    each(ctx, tick, ended, end);
}

/// Renews the leases that are due. Only while this server may write.
pub fn renew_due(ctx: *mut RedisModuleCtx, tick: Tick) {
    let due = STATE.with(
        |state| match state.grace.left(tick, state.settings.grace_period) {
            Some(grace) if grace.held_back.0 > 0 => Vec::new(),
            _ => state.sessions.due(Tick(tick.0 + SLACK), BATCH),
        },
    );
    each(ctx, tick, due, renew);
}

fn each(ctx: *mut RedisModuleCtx, tick: Tick, places: Vec<Place>, step: fn(&Lock)) {
    let cluster = STATE.with(|state| state.cluster);
    let mut known = None;
    for place in places {
        // Outside a cluster the result is the same for every key.
        let permit = match known {
            Some(permit) if !cluster => permit,
            _ => permit::may_write_to(ctx, &place),
        };
        known = Some(permit);
        match permit {
            Permit::Given => with_lock(ctx, &place, step),
            Permit::Elsewhere => {
                lose_elsewhere(ctx, &place);
                retry_later(tick);
            }
            Permit::NotNow => {
                lose_overdue(ctx, tick);
                retry_later(tick);
            }
        }
    }
}

fn retry_later(tick: Tick) {
    let then = Some(Tick(tick.0 + RETRY));
    STATE.with(|state| state.waiting.timer.not_before = then);
}

/// Ends the sessions whose leases are over because this server refuses to renew them: it is short of
/// replicas, for example, and may have been replaced. Their holders only learn of it when they are
/// disconnected.
pub fn lose_overdue(ctx: *mut RedisModuleCtx, tick: Tick) {
    let now = clock::now();
    for place in STATE.with(|state| state.sessions.overdue(tick)) {
        let session = STATE.with(|state| state.sessions.get(place.db, &place.name).cloned());
        let claim = session.as_ref().and_then(|s| Some((s, s.bound()?)));
        match claim.map(|(session, claim)| lease_again(session, claim, now)) {
            Some(None) => lose_for_good(ctx, &place),
            _ => lose(ctx, &place),
        }
    }
}

/// Ends the session of a lock whose slot belongs to another node, unless the lock is here: then the
/// slot is being moved here.
pub fn lose_elsewhere(ctx: *mut RedisModuleCtx, place: &Place) {
    let session = STATE.with(|state| state.sessions.get(place.db, &place.name).cloned());
    let Some(session) = session else { return };
    let found = read_lock(ctx, place, |lock| found(lock, &session));
    if !matches!(found, Found::Held(_)) {
        lose(ctx, place);
    }
}

/// Frees a lock whose connection has closed, or begins its linger.
fn end(lock: &Lock) {
    let place = lock.place();
    let session = STATE.with(|state| state.sessions.get(place.db, &place.name).cloned());
    let Some(session) = session else { return };
    let Some(claim) = session.bound() else { return };
    if session.is_asked() {
        return; // another connection of the owner was granted it, and gets its reply in this iteration
    }
    let found = found(lock, &session);
    if let Found::Lost = found {
        return lose(lock.ctx, &place);
    }
    STATE.with(|state| {
        state.sessions.end(place.db, &place.name);
        state.counters.sessions_ended += 1;
    });
    let owner = OwnedStr::new(&session.owner);
    match (found, claim.linger) {
        (Found::Held(_), Millis(0)) => lock.apply(owner.lend(), &Change::Free),
        (Found::Held(hold), linger) => {
            let now = clock::now();
            let held_back = grace::left().is_some_and(|grace| grace.held_back.0 > 0);
            let left = hold.deadline.left(now);
            let linger = if held_back { linger.min(left) } else { linger };
            let update = set_ttl(&hold, linger, now, &STATE.with(|s| s.settings.limits()));
            lock.apply(owner.lend(), &Change::Update(update));
            let deadline = Some(update.deadline.unwrap_or(hold.deadline));
            STATE.with(|state| state.waiting.lines.set_lease(&place, deadline));
        }
        _ => drop(super::serve::settle(lock)),
    }
}

/// Whether the user that acquired a session's lock may still acquire it. A user without a name cannot be checked.
fn may_renew(lock: &Lock, claim: &Claim, owner: Str) -> bool {
    let Some(name) = claim.user.as_deref().map(OwnedStr::new) else {
        return true;
    };
    User::named(name.lend()).is_some_and(|user| user.may_acquire(lock, owner))
}

fn renew(lock: &Lock) {
    let place = lock.place();
    let session = STATE.with(|state| state.sessions.get(place.db, &place.name).cloned());
    let Some(session) = session else { return };
    let Some(claim) = session.bound() else { return };
    let Found::Held(hold) = found(lock, &session) else {
        keep(lock);
        return;
    };
    let owner = OwnedStr::new(&session.owner);
    if !may_renew(lock, claim, owner.lend()) {
        return lose(lock.ctx, &place);
    }
    let limits = STATE.with(|state| state.settings.limits());
    let update = extend(&hold, claim.ttl, clock::now(), &limits);
    lock.apply(owner.lend(), &Change::Update(update));
    match update.deadline {
        Some(_) => STATE.with(|state| state.counters.sessions_renewed += 1),
        // The clocks may have come apart, where it may not be extended and is due at its end.
        None => {
            let end = tick_of(hold.deadline);
            STATE.with(|state| state.sessions.set_lease(place.db, &place.name, end));
        }
    }
    begin_anew(&place, update.deadline.unwrap_or(hold.deadline));
}

/// Ends the session of a lock that was lost, if it has one.
pub fn lose(ctx: *mut RedisModuleCtx, place: &Place) {
    if let Some(lost) = STATE.with(|state| state.sessions.end(place.db, &place.name)) {
        tell_of_loss(ctx, place, &lost);
    }
}

/// Ends the session of a lock that has reached `lock.max-hold`. Its connection is closed whatever
/// `lock.session-loss` says: its client probably hangs.
fn lose_for_good(ctx: *mut RedisModuleCtx, place: &Place) {
    if let Some(lost) = STATE.with(|state| state.sessions.end(place.db, &place.name)) {
        log_loss(ctx, place, &lost, ": lock.max-hold has passed");
        lost.clients().for_each(|client| close_soon(ctx, client));
    }
}

/// The server is not a master any more, or never was: ends all sessions.
pub fn lose_all(ctx: *mut RedisModuleCtx) {
    for place in STATE.with(|state| state.sessions.places(None)) {
        lose(ctx, &place);
    }
}

/// Closes the connection, so that the holder learns that it has lost the lock.
fn tell_of_loss(ctx: *mut RedisModuleCtx, place: &Place, lost: &Session) {
    log_loss(ctx, place, lost, "");
    if STATE.with(|state| state.settings.session_loss == SessionLoss::Close) {
        lost.clients().for_each(|client| close_soon(ctx, client));
    }
}

/// Counts and logs that a holder has lost its lock, with the reason if it is known.
fn log_loss(ctx: *mut RedisModuleCtx, place: &Place, lost: &Session, why: &str) {
    STATE.with(|state| state.counters.sessions_lost += 1);
    let (owner, lock) = (Escaped(&lost.owner), Escaped(&place.name));
    let text = format!(
        "session lost: {owner} no longer holds {lock} (db {}){why}",
        place.db
    );
    log::warning(ctx, &text);
}
