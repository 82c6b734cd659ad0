//! Refuses waits that would never end. See [`crate::queue::Search`].

use super::clock;
use super::log;
use super::open::{read_lock, Lock};
use super::state::STATE;
use super::tell::{answer, Answer};
use super::timer;
use crate::command::Error;
use crate::queue::{Budget, Cycle, Holding, Next, Place, Refused, Search, Waiter, WaiterId};
use redis_module::raw::RedisModuleCtx;
use std::rc::Rc;

/// How many cycles one command logs.
const LOGGED: usize = 10;

/// What one command, with all hand-overs that it causes, may still do about cycles.
pub struct Effort {
    budget: Budget,
    logged: usize,
}

impl Effort {
    /// What a command starts with.
    pub const fn full() -> Effort {
        Effort {
            budget: Budget::full(),
            logged: 0,
        }
    }
}

/// Begins a command, or the work of the timer.
pub fn begin() {
    STATE.with(|state| state.effort = Effort::full());
}

/// Refuses a wait that would close a cycle.
pub fn refuse_cycle(
    ctx: *mut RedisModuleCtx,
    owner: &Rc<[u8]>,
    client: u64,
    place: &Place,
) -> Result<(), Error> {
    let mut search = Search::of_wait(owner.clone(), client, place.clone());
    match next_cycle(ctx, &mut search) {
        None => Ok(()),
        Some(cycle) => {
            STATE.with(|state| state.counters.deadlocks_refused += 1);
            log_cycle(ctx, &cycle);
            Err(deadlock(&cycle, &place.name))
        }
    }
}

/// A foreign command may have given this open lock another holder: see [`refuse_cycles`].
pub fn refuse_cycles_of(lock: &Lock, place: &Place) {
    if is_waited_for(place) {
        if let Some(holding) = holding(lock) {
            refuse_cycles(lock.ctx, place, holding);
        }
    }
}

/// This lock has a new holder. Refuses waits until the lock is not part of a cycle any more.
pub fn refuse_cycles(ctx: *mut RedisModuleCtx, place: &Place, holding: Holding) {
    if !is_waited_for(place) {
        return;
    }
    let mut search =
        STATE.with(|state| Search::of_holder(place.clone(), holding, &state.waiting.lines));
    let mut has_refused = false;
    while let Some(cycle) = next_cycle(ctx, &mut search) {
        let refused = take(&cycle.refused);
        let Some((_, first)) = refused.first() else {
            break;
        };
        has_refused = true;
        log_cycle(ctx, &cycle);
        let text = deadlock(&cycle, &first.place.name).to_string();
        STATE.with(|state| state.counters.deadlocks_refused += refused.len() as u64);
        for (id, _) in refused {
            answer(ctx, id, Answer::Error(text.clone()));
        }
    }
    // There may be more. Other clients are served before.
    if has_refused && STATE.with(|state| state.effort.budget.is_spent()) {
        STATE.with(|state| state.waiting.touched.insert(place.clone()));
        timer::set(ctx);
    }
}

/// Takes those who are refused out of their queue.
fn take(refused: &Refused) -> Vec<(WaiterId, Waiter)> {
    STATE.with(|state| {
        let (lines, budget) = (&mut state.waiting.lines, &mut state.effort.budget);
        match refused {
            Refused::Group(owner, place) => {
                let most = budget.refuse(lines.count_of(owner, place));
                lines.take_youngest_of(owner, place, most)
            }
            Refused::One(id) => {
                budget.refuse(1);
                let wait = lines.leave(*id);
                wait.map(|wait| (*id, wait)).into_iter().collect()
            }
            Refused::New => Vec::new(),
        }
    })
}

/// Only a lock that is waited for can be part of a cycle.
fn is_waited_for(place: &Place) -> bool {
    STATE.with(|state| state.waiting.lines.is_waited_for(place.db, &place.name))
}

fn next_cycle(ctx: *mut RedisModuleCtx, search: &mut Search) -> Option<Cycle> {
    loop {
        let next = STATE.with(|state| {
            let lines = &state.waiting.lines;
            search.next(lines, &mut state.effort.budget)
        });
        match next {
            Next::Ask(place) => search.held(read_lock(ctx, &place, holding)),
            Next::Found(cycle) => return Some(cycle),
            Next::Done => return None,
        }
    }
}

/// The holder of an open lock, and the connection that the hold is bound to.
fn holding(lock: &Lock) -> Option<Holding> {
    let holder = lock.holder(clock::now()).ok().flatten()?;
    let (db, name) = (lock.db(), lock.name.bytes());
    let client = STATE.with(|state| {
        let session = state.sessions.get(db, name)?;
        // The session may be that of an earlier hold whose loss was not noticed yet.
        let is_its = Some(session.fence.token) == holder.hold.token();
        Some(session.bound().filter(|_| is_its)?.client)
    });
    Some(Holding {
        owner: holder.owner.into(),
        client,
    })
}

/// Logs a cycle. Not every user may see owners, so the error only says how many there are.
fn log_cycle(ctx: *mut RedisModuleCtx, cycle: &Cycle) {
    let logged = STATE.with(|state| {
        state.effort.logged += 1;
        state.effort.logged
    });
    let more = match logged {
        ..LOGGED => "",
        LOGGED => "; further deadlocks of this command are only counted",
        _ => return,
    };
    log::warning(ctx, &format!("deadlock refused: {cycle}{more}"));
}

fn deadlock(cycle: &Cycle, lock: &[u8]) -> Error {
    Error::Deadlock {
        owners: cycle.owners(),
        shares_connection: cycle.shares_connection(),
        lock: lock.to_vec(),
    }
}
