//! What planted faults do to a step: see [`crate::engine::planted`]. Without one, nothing.

use crate::engine::planted::PlantedFault;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::engine::wait::{Waiter, WaiterId};
use crate::lock::{Acquire, Change, Grant, KeyRef, Millis, Token, Update, View};

/// With [`PlantedFault::TokenTwice`], tokens are rounded down to this: ten seconds.
const WHOLE: i64 = 10_000_000;

impl<S: Server> Step<'_, S> {
    /// What [`PlantedFault::CountsRepeats`] makes of a request.
    pub(super) fn spoil_request(&self, request: &mut Acquire, view: &View) {
        if self.engine.has_planted(PlantedFault::CountsRepeats) && matches!(view, View::Mine(_)) {
            request.holds = None;
        }
    }

    /// What [`PlantedFault::LateTimeouts`] makes of a timeout.
    pub(super) fn spoil_timeout(&self, timeout: Millis) -> Millis {
        match self.engine.has_planted(PlantedFault::LateTimeouts) && timeout.0 > 0 {
            true => Millis(timeout.0 + 1000),
            false => timeout,
        }
    }

    /// What [`PlantedFault::ShortRenewal`] makes of a renewal.
    pub(super) fn spoil_renewal(&self, change: &mut Change) {
        if let Change::Update(Update {
            deadline: Some(deadline),
            ..
        }) = change
        {
            if self.engine.has_planted(PlantedFault::ShortRenewal) {
                deadline.0 -= 500;
            }
        }
    }

    /// What [`PlantedFault::TokenTwice`], [`PlantedFault::TokenBelow`] and [`PlantedFault::ShortLease`] make of a new
    /// hold.
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
        let token = fence.token.get();
        let spoilt = match () {
            () if self.engine.has_planted(PlantedFault::TokenTwice) => token / WHOLE * WHOLE,
            () if self.engine.has_planted(PlantedFault::TokenBelow) && token % 2 == 0 => {
                token - WHOLE
            }
            () => return,
        };
        fence.token = Token::new(spoilt).unwrap_or(fence.token);
        grant.fence = Some(*fence);
    }

    /// What [`PlantedFault::LastFirst`] takes from a queue.
    pub(super) fn take_last(&mut self, key: KeyRef) -> Vec<(WaiterId, Waiter)> {
        let last = self.engine.queues.waiters_of(key).last();
        let last = last.map(|(id, _)| id);
        let taken = last.and_then(|id| Some((id, self.engine.queues.remove(id)?)));
        taken.into_iter().collect()
    }
}
