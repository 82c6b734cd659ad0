//! What planted faults do to a step: see [`crate::engine::planted`]. Without one, nothing.

use crate::engine::planted::PlantedFault;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::engine::wait::{Waiter, WaiterId};
use crate::lock::{Acquire, Change, Grant, KeyRef, Token, View};

/// With [`PlantedFault::TokenTwice`], tokens are rounded down to this: ten seconds.
const WHOLE: i64 = 10_000_000;

impl<S: Server> Step<'_, S> {
    /// What [`PlantedFault::CountsRepeats`] makes of a request.
    pub(super) fn spoil_request(&self, request: &mut Acquire, view: &View) {
        if self.engine.has_planted(PlantedFault::CountsRepeats) && matches!(view, View::Mine(_)) {
            request.holds = None;
        }
    }

    /// What [`PlantedFault::TokenTwice`] and [`PlantedFault::ShortLease`] make of a new hold.
    pub(super) fn spoil_grant(&self, change: &mut Change, grant: &mut Grant) {
        let Change::Take {
            fence, deadline, ..
        } = change
        else {
            return;
        };
        if self.engine.has_planted(PlantedFault::ShortLease) {
            deadline.0 -= 500;
        }
        if self.engine.has_planted(PlantedFault::TokenTwice) {
            let token = Token::new(fence.token.get() / WHOLE * WHOLE);
            fence.token = token.unwrap_or(fence.token);
            grant.fence = Some(*fence);
        }
    }

    /// What [`PlantedFault::LastFirst`] takes from a queue.
    pub(super) fn take_last(&mut self, key: KeyRef) -> Vec<(WaiterId, Waiter)> {
        let last = self.engine.queues.waiters_of(key).last();
        let last = last.map(|(id, _)| id);
        let taken = last.and_then(|id| Some((id, self.engine.queues.remove(id)?)));
        taken.into_iter().collect()
    }
}
