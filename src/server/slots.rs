//! In a cluster: queues whose slot moves to another node.

use super::permit::{self, Permit};
use super::sessions;
use super::state::STATE;
use super::tell::{answer, Answer};
use super::timer;
use crate::queue::{slot_of, Place, Tick};
use redis_module::raw::RedisModuleCtx;
use std::collections::BTreeMap;

/// Replies to the waiters of a lock whose slot is no longer here, so that a cluster client calls again
/// and is redirected.
pub fn send_on(ctx: *mut RedisModuleCtx, place: &Place) {
    let waits = STATE.with(|state| state.waiting.lines.take_all(place.db, &place.name));
    for (id, _) in waits {
        STATE.with(|state| state.counters.waits_cancelled += 1);
        let text = "TRYAGAIN the slot of the lock is being moved, or has moved, to another node";
        answer(ctx, id, Answer::Error(text.to_owned()));
    }
}

/// Checks for slots that have moved away. Not all servers have an event for that.
pub fn look(ctx: *mut RedisModuleCtx, tick: Tick) {
    let due = STATE.with(|state| {
        let waits = state.has_slots_to_look_at();
        let timer = &mut state.waiting.timer;
        let due = timer.slots_at.is_some_and(|at| at <= tick);
        if due || !waits {
            timer.slots_at = waits.then_some(Tick(tick.0 + timer::SLOTS));
        }
        due && waits
    });
    if !due {
        return;
    }
    let mut slots: BTreeMap<u16, Vec<Place>> = BTreeMap::new();
    let places = STATE.with(|state| {
        let mut places = state.waiting.lines.places(None);
        places.extend(state.sessions.places(None));
        places
    });
    for place in places {
        slots.entry(slot_of(&place.name)).or_default().push(place);
    }
    let gone = |place: &Place| permit::may_write_to(ctx, place) == Permit::Elsewhere;
    for places in slots.values() {
        // One check per slot: if one of its locks is still here, the slot is.
        if places.first().is_some_and(gone) {
            let gone = places.iter().filter(|place| gone(place));
            gone.for_each(|place| {
                send_on(ctx, place);
                sessions::lose_elsewhere(ctx, place);
            });
        }
    }
}
