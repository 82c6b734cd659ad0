//! Serves the queues: the first waiter gets the lock as soon as it is free.

use super::clock;
use super::deadlocks;
use super::grace;
use super::open::{read_lock, with_lock, Lock};
use super::permit::{self, Permit};
use super::sessions;
use super::slots;
use super::state::STATE;
use super::string::{OwnedStr, Str};
use super::tell::{answer, busy, Answer};
use super::timer::{self, RETRY};
use super::user::{self, User};
use crate::lock::{release, Deadline, Millis, Now, Release, Token, View};
use crate::queue::{hand_over, turned, Holding, Place, Tick, Turned, Waiter, WaiterId};
use redis_module::raw::RedisModuleCtx;
use std::rc::Rc;

/// Hands a lock that is being freed over to the first in its queue: it still has the fields of `from`,
/// or is already deleted. False if nobody got it.
pub fn pass_on(lock: &Lock, from: Option<Str>) -> bool {
    // In a grace period nobody gets it yet.
    if nobody_waits() || grace::left().is_some() {
        return false;
    }
    let now = clock::now();
    loop {
        let Some(waits) = take_first(lock) else {
            return false;
        };
        let Some((_, first)) = waits.first() else {
            continue; // none of them has the right to it any more
        };
        let (owner, place) = (&first.owner, &first.place);
        let free = View::Free { lapsed: false };
        if grant(lock, from, owner, place, &waits, free, now) {
            STATE.with(|state| state.counters.handed_over += 1);
            let holding = Holding {
                owner: owner.clone(),
                client: None, // bound when the reply is delivered, and the client does not wait then
            };
            deadlocks::refuse_cycles(lock.ctx, place, holding);
            timer::set(lock.ctx);
            return true;
        }
    }
}

/// Removes all waits of the owner that is first in the queue, and returns those whose users may still acquire the
/// lock. The others are refused. None if nobody waits.
fn take_first(lock: &Lock) -> Option<Vec<(WaiterId, Waiter)>> {
    let (db, name) = (lock.db(), lock.name.bytes());
    let mut waits = STATE.with(|state| state.waiting.lines.take_first(db, name));
    let (_, first) = waits.first()?;
    let owner = OwnedStr::new(&first.owner);
    let mut last = None;
    waits.retain(|(id, _)| {
        let may = may_have(lock, *id, owner.lend(), &mut last);
        if !may {
            STATE.with(|state| state.counters.waits_cancelled += 1);
            let text = "NOPERM the user may no longer acquire this lock";
            answer(lock.ctx, *id, Answer::Error(text.to_owned()));
        }
        may
    });
    Some(waits)
}

/// Whether a client is still the user that it was when it began to wait, and that user may still acquire the lock.
/// All these waits are for one owner: `last` is the user that was asked about last, and its right.
fn may_have(lock: &Lock, id: WaiterId, owner: Str, last: &mut Option<(Rc<[u8]>, bool)>) -> bool {
    let client = STATE.with(|state| {
        let client = state.waiting.clients.get(&id)?;
        Some((client.id, client.user.clone()?))
    });
    let Some((client, before)) = client else {
        return true; // it is gone, and what it is granted will be undone; or it has no user
    };
    let is_same = user::of_client(lock.ctx, client).filter(|now| *now.bytes() == *before);
    let Some(name) = is_same else {
        return false;
    };
    match last {
        Some((last, may)) if *last == before => *may,
        _ => {
            let user = User::named(name.lend());
            let may = user.is_some_and(|user| user.may_acquire(lock, owner));
            last.insert((before, may)).1
        }
    }
}

/// Whether someone waits for this lock.
pub fn is_waited_for(lock: &Lock) -> bool {
    let (db, name) = (lock.db(), lock.name.bytes());
    STATE.with(|state| state.waiting.lines.is_waited_for(db, name))
}

/// Grants an owner's waits, which have left the queue. False if none got the lock.
fn grant(
    lock: &Lock,
    from: Option<Str>,
    owner: &Rc<[u8]>,
    place: &Place,
    waits: &[(WaiterId, Waiter)],
    view: View,
    now: Now,
) -> bool {
    let (hold, answers) = STATE.with(|state| {
        let limits = state.settings.limits();
        hand_over(waits, view, now, &limits, &mut state.tokens)
    });
    let tick = clock::tick();
    for ((_, waiter), (_, outcome)) in waits.iter().zip(&answers) {
        if outcome.is_ok() {
            let waited = Millis(tick.0 - waiter.since.0);
            STATE.with(|state| state.times.as_mut().map(|times| times.record(waited)));
        }
    }
    if let Some(hold) = hold {
        lock.hand_on(from, OwnedStr::new(owner).lend(), &hold);
        STATE.with(|state| state.waiting.lines.set_lease(place, Some(hold.deadline)));
    }
    for ((_, waiter), (id, outcome)) in waits.iter().zip(answers) {
        let told = match outcome {
            Ok(grant) => {
                if let Some(token) = grant.token() {
                    STATE.with(|state| {
                        let pending = &mut state.waiting.pending;
                        pending.granted(id, place.clone(), token, grant.holds);
                    });
                    if let Some(claim) = waiter.session.clone() {
                        sessions::ask(lock.ctx, place, owner, &grant, claim);
                    }
                }
                Answer::Grant(grant)
            }
            Err(refusal) => Answer::Error(refusal.to_string()),
        };
        answer(lock.ctx, id, told);
    }
    hold.is_some()
}

/// Checks a lock that may have become free while someone waits for it. True if that changed it.
pub fn settle(lock: &Lock) -> bool {
    if sessions::keep(lock) {
        return true;
    }
    if nobody_waits() {
        return false;
    }
    let (db, now) = (lock.db(), clock::now());
    let name = lock.name.bytes();
    let first = STATE.with(|state| {
        let (_, first) = state.waiting.lines.in_line(db, name).next()?;
        Some(first.clone())
    });
    let Some(Waiter { owner, place, .. }) = first else {
        return false;
    };
    let owner_name = OwnedStr::new(&owner);
    match lock.view(owner_name.lend(), now) {
        Ok(View::Theirs(deadline)) => {
            STATE.with(|state| state.waiting.lines.set_lease(&place, Some(deadline)));
            // Foreign commands may have given it another holder.
            deadlocks::refuse_cycles_of(lock, &place);
            false
        }
        Ok(View::Free { lapsed }) => {
            if lapsed {
                lock.expire();
            }
            // The server may have deleted it already.
            let lease = STATE.with(|state| state.waiting.lines.lease(&place));
            if lease.is_some_and(|end| end.has_passed(now)) {
                STATE.with(|state| state.counters.expired_while_waited_for += 1);
            }
            // In a grace period nobody gets it yet.
            grace::left().is_none() && pass_on(lock, None)
        }
        // The data may be incomplete, and the wait asks for a new hold.
        Ok(View::Mine(_)) if grace::left().is_some() => false,
        // It has taken the lock otherwise, by Redisson's script: its waits are reentries.
        Ok(view @ View::Mine(_)) => {
            let waits = take_first(lock).unwrap_or_default();
            let granted = !waits.is_empty() && grant(lock, None, &owner, &place, &waits, view, now);
            deadlocks::refuse_cycles_of(lock, &place);
            granted
        }
        Err(refusal) => {
            let lease = STATE.with(|state| state.waiting.lines.lease(&place));
            match turned(lease, lock.key.deadline(), now) {
                Turned::Keep => (),
                Turned::LookAt(then) => {
                    STATE.with(|state| state.waiting.lines.set_lease(&place, Some(then)));
                }
                Turned::Refuse => {
                    let waits = STATE.with(|state| state.waiting.lines.take_all(db, name));
                    for (id, _) in waits {
                        answer(lock.ctx, id, Answer::Error(refusal.to_string()));
                    }
                }
            }
            false
        }
    }
}

/// The work of the timer: locks that others changed, leases that ended, grants that could not be
/// delivered, and waits whose timeout has passed.
pub fn work(ctx: *mut RedisModuleCtx) {
    let tick = clock::tick();
    deadlocks::begin();
    grace::look(ctx);
    grace::note_end();
    slots::look(ctx, tick);
    let due = writes_are_due(tick);
    let refused = due && !permit::may_write(ctx);
    STATE.with(|state| {
        state.waiting.timer.not_before = refused.then_some(Tick(tick.0 + RETRY));
    });
    if due && !refused {
        undo(ctx);
        sessions::end_closed(ctx, tick);
        look_at_due(ctx);
        sessions::renew_due(ctx, tick);
    }
    while let Some((id, waiter)) = STATE.with(|state| state.waiting.lines.take_late(tick)) {
        STATE.with(|state| state.counters.waits_timed_out += 1);
        let ttl = time_left(ctx, &waiter.place);
        answer(ctx, id, Answer::Grant(busy(ttl)));
    }
}

/// Whether something may have to be written. Only then the server is asked whether it accepts writes.
fn writes_are_due(tick: Tick) -> bool {
    let now = clock::now();
    STATE.with(|state| {
        let waiting = &state.waiting;
        let lease = waiting.lines.next_lease();
        waiting.pending.has_undo()
            || !waiting.touched.is_empty()
            || lease.is_some_and(|(end, _)| end.has_passed(now))
            || state.sessions.any_ended()
            || state.sessions.next_due().is_some_and(|at| at <= tick)
    })
}

fn look_at_due(ctx: *mut RedisModuleCtx) {
    let now = clock::now();
    let mut due = STATE.with(|state| {
        let waiting = &mut state.waiting;
        let mut due: Vec<_> = std::mem::take(&mut waiting.touched).into_iter().collect();
        while let Some((end, place)) = waiting.lines.next_lease().cloned() {
            if !end.has_passed(now) {
                break;
            }
            // Checked below, where it is set again if the lock is still held.
            due.push(place.clone());
            waiting.lines.forget_lease(&place);
        }
        due
    });
    due.sort();
    due.dedup();
    for place in due {
        match permit::may_write_to(ctx, &place) {
            Permit::Given => drop(with_lock(ctx, &place, settle)),
            Permit::Elsewhere => {
                slots::send_on(ctx, &place);
                sessions::lose_elsewhere(ctx, &place);
            }
            Permit::NotNow => STATE.with(|state| {
                state.waiting.touched.insert(place);
                let later = Tick(clock::tick().0 + RETRY);
                state.waiting.timer.not_before = Some(later);
            }),
        }
    }
}

/// Undoes holds that were granted to clients that disconnected before the reply was delivered.
pub fn undo(ctx: *mut RedisModuleCtx) {
    let mut later = Vec::new();
    while let Some((place, level)) = STATE.with(|state| state.waiting.pending.take_undo()) {
        match permit::may_write_to(ctx, &place) {
            Permit::Given => with_lock(ctx, &place, |lock| undo_one(lock, level.token)),
            // The lock moves with its slot, and its lease ends there.
            Permit::Elsewhere => (),
            Permit::NotNow => later.push((place, level)),
        }
    }
    if !later.is_empty() {
        let then = Tick(clock::tick().0 + RETRY);
        STATE.with(|state| {
            state.waiting.timer.not_before = Some(then);
            state.waiting.pending.put_back(later);
        });
    }
}

fn undo_one(lock: &Lock, token: Token) {
    let now = clock::now();
    let Ok(Some(holder)) = lock.holder(now) else {
        return;
    };
    let request = Release {
        holds: None,
        token: Some(token),
    };
    if let Ok((change, _)) = release(&View::Mine(holder.hold), &request) {
        lock.apply(OwnedStr::new(&holder.owner).lend(), &change);
    }
}

/// How long the lock is still held, whoever holds it.
pub fn time_left(ctx: *mut RedisModuleCtx, place: &Place) -> Millis {
    let now = clock::now();
    let left = |lock: &Lock| lock.key.deadline().map(|end: Deadline| end.wait(now));
    read_lock(ctx, place, left).unwrap_or(Millis(0))
}

/// Replies the same error to all waiters.
pub fn answer_all(ctx: *mut RedisModuleCtx, text: &str) {
    for id in STATE.with(|state| state.waiting.lines.everyone()) {
        let left = STATE.with(|state| state.waiting.lines.leave(id));
        if left.is_some() {
            STATE.with(|state| state.counters.waits_cancelled += 1);
            answer(ctx, id, Answer::Error(text.to_owned()));
        }
    }
}

fn nobody_waits() -> bool {
    STATE.with(|state| state.waiting.lines.is_empty())
}
