//! Refuses waits that would never end: circles of owners who wait for one another.

use super::clock;
use super::log;
use super::open::read_lock;
use super::state::STATE;
use super::tell::{answer, Answer};
use crate::command::Error;
use crate::escape::Escaped;
use crate::queue::{Place, Search, Step};
use redis_module::raw::RedisModuleCtx;
use std::rc::Rc;

/// Refuses a wait that would close a circle.
pub fn refuse_circle(
    ctx: *mut RedisModuleCtx,
    owner: &Rc<[u8]>,
    place: &Place,
) -> Result<(), Error> {
    let first = Step {
        owner: owner.clone(),
        place: place.clone(),
        id: None,
    };
    match circle(ctx, first) {
        None => Ok(()),
        Some(circle) => Err(deadlock(ctx, &circle, &place.name)),
    }
}

/// Where the new holder of a lock still waits elsewhere, circles may be closed by that: the
/// youngest wait of each is refused.
pub fn refuse_circles_of(ctx: *mut RedisModuleCtx, owner: &Rc<[u8]>) {
    loop {
        let waits: Vec<Step> = STATE.with(|state| {
            let waits = state.waiting.lines.waits_of(owner);
            waits
                .map(|(id, wait)| Step {
                    owner: owner.clone(),
                    place: wait.place.clone(),
                    id: Some(id),
                })
                .collect()
        });
        let Some(circle) = waits.into_iter().find_map(|wait| circle(ctx, wait)) else {
            return;
        };
        let Some(youngest) = circle.iter().filter_map(|step| step.id).max() else {
            return;
        };
        let Some(refused) = STATE.with(|state| state.waiting.lines.leave(youngest)) else {
            return;
        };
        let error = deadlock(ctx, &circle, &refused.place.name);
        answer(ctx, youngest, Answer::Error(error.to_string()));
    }
}

fn circle(ctx: *mut RedisModuleCtx, first: Step) -> Option<Vec<Step>> {
    let now = clock::now();
    let mut search = Search::from(first);
    while let Some(place) = search.next_place() {
        let holder = read_lock(ctx, &place, |lock| lock.holder(now).ok().flatten());
        let holder = holder.map(|holder| holder.owner.into());
        let found = STATE.with(|state| search.go_on(&state.waiting.lines, holder));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Logs a circle: owners are names that not every user may see, so the error says only how many.
fn deadlock(ctx: *mut RedisModuleCtx, circle: &[Step], lock: &[u8]) -> Error {
    STATE.with(|state| state.counters.deadlocks_refused += 1);
    let steps = circle.iter().map(|step| {
        let (owner, lock) = (Escaped(&step.owner), Escaped(&step.place.name));
        format!("{owner} waits for {lock} (db {})", step.place.db)
    });
    let steps = steps.collect::<Vec<_>>().join(", ");
    log::warning(ctx, &format!("deadlock refused: {steps}"));
    Error::Deadlock {
        owners: circle.len(),
        lock: lock.to_vec(),
    }
}
