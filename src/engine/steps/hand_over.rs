//! Hands a lock over to the first in its queue.

use crate::engine::deadlock::Holding;
use crate::engine::effects::{Answer, Watch};
use crate::engine::loss::Loss;
use crate::engine::planted::PlantedFault;
use crate::engine::port::{Server, UserName};
use crate::engine::session::{Connection, NewHold};
use crate::engine::step::Step;
use crate::engine::wait::{grant_all, Granted, HoldLevel, Waiter, WaiterId};
use crate::lock::{Change, Grant, Hold, KeyRef, LockKey, Millis, View};
use std::sync::Arc;

impl<S: Server> Step<'_, S> {
    /// Hands a lock that becomes free over to the first in its queue: it still has the fields of the owner
    /// `ends`, or is absent. False if nobody got it.
    pub(super) fn hand_over(&mut self, key: KeyRef, ends: Option<&[u8]>) -> bool {
        // In a grace period nobody gets it yet.
        if !self.engine.queues.is_waited_for(key) || self.grace_left().is_some() {
            return false;
        }
        while let Some(waits) = self.take_first(key) {
            let Some((_, first)) = waits.first() else {
                continue; // none of them has the right to it any more
            };
            let free = View::Free { lapsed: false };
            if self.grant(key, &waits, free, ends) {
                self.engine.counters.handed_over += 1;
                let holding = Holding {
                    owner: first.owner.clone(),
                    client: None, // bound when the reply is delivered, and the client does not wait then
                };
                self.refuse_cycles(&first.key, holding);
                return true;
            }
        }
        false
    }

    /// Removes all waits of the owner that is first in the queue, and returns those whose users may still acquire
    /// the lock. The others are refused. None if nobody waits.
    pub(super) fn take_first(&mut self, key: KeyRef) -> Option<Vec<(WaiterId, Waiter)>> {
        let waits = match self.engine.has_planted(PlantedFault::LastFirst) {
            true => self.take_last(key),
            false => self.engine.queues.take_first(key),
        };
        (!waits.is_empty()).then(|| self.refuse_without_rights(key, waits))
    }

    /// Removes all waits of an owner, as [`Step::take_first`] does of the first.
    pub(super) fn take_waits_of(
        &mut self,
        owner: &Arc<[u8]>,
        key: KeyRef,
    ) -> Vec<(WaiterId, Waiter)> {
        let waits = self.engine.queues.take_of(owner, &key.to_owned());
        self.refuse_without_rights(key, waits)
    }

    /// Refuses those waits of an owner whose users may not acquire the lock any more, and returns the others.
    fn refuse_without_rights(
        &mut self,
        key: KeyRef,
        mut waits: Vec<(WaiterId, Waiter)>,
    ) -> Vec<(WaiterId, Waiter)> {
        // All these waits are for one owner: the user that was asked about last, and its right.
        let mut last: Option<(UserName, bool)> = None;
        waits.retain(|(id, waiter)| {
            let may = self.may_have(key, waiter, &mut last);
            if !may {
                self.engine.counters.waits_cancelled += 1;
                let text = "NOPERM the user may no longer acquire this lock";
                self.answer(*id, Answer::Error(text.to_owned()));
            }
            may
        });
        waits
    }

    /// Whether a client is still the user that it was when it began to wait, and that user may still acquire the
    /// lock.
    fn may_have(
        &mut self,
        key: KeyRef,
        waiter: &Waiter,
        last: &mut Option<(UserName, bool)>,
    ) -> bool {
        let Some(user) = &waiter.user else {
            return true;
        };
        if self.engine.has_planted(PlantedFault::IgnoresRights) {
            return true;
        }
        if !self.server.is_user(waiter.client, user) {
            return false;
        }
        match last {
            Some((last, may)) if last == user => *may,
            _ => {
                let may = self.server.may_acquire(user, key, &waiter.owner);
                last.insert((user.clone(), may)).1
            }
        }
    }

    /// Grants one owner's waits, which have left the queue of their lock. False if none got it.
    pub(super) fn grant(
        &mut self,
        key: KeyRef,
        waits: &[(WaiterId, Waiter)],
        view: View,
        ends: Option<&[u8]>,
    ) -> bool {
        let Some((_, Waiter { owner, .. })) = waits.first() else {
            return false;
        };
        let now = self.server.now();
        let limits = self.engine.settings.limits();
        let (hold, outcomes) = grant_all(waits, view, now, &limits, &mut self.engine.tokens);
        if let Some(hold) = &hold {
            self.write_granted(key, owner, hold, ends);
        }
        for ((_, waiter), (id, outcome)) in waits.iter().zip(outcomes) {
            let answer = match outcome {
                Ok(grant) => {
                    self.granted(id, waiter, &grant);
                    Answer::Grant(grant)
                }
                Err(refusal) => Answer::Error(refusal.to_string()),
            };
            self.answer(id, answer);
        }
        hold.is_some()
    }

    /// Writes the hold that an owner got by its waits.
    ///
    /// Events and replicas see the old hold deleted and the new one made; in the data only the fields change,
    /// which is half the work.
    fn write_granted(&mut self, key: KeyRef, owner: &[u8], hold: &Hold, ends: Option<&[u8]>) {
        let Some(fence) = hold.fence else { return };
        let (holds, deadline) = (hold.holds, hold.deadline);
        let change = Change::Take {
            lapsed: false,
            holds,
            fence,
            deadline,
        };
        self.observe(key, &change);
        let fields = (Some(holds), Some(fence));
        self.write_hold(key, owner, ends, fields, Some(deadline));
    }

    /// Notes a grant to one waiter, whose reply is to be delivered.
    fn granted(&mut self, id: WaiterId, waiter: &Waiter, grant: &Grant) {
        let Some(fence) = grant.fence else { return };
        let tick = self.server.tick();
        let waited = Millis(tick.0 - waiter.since.0);
        if let Some(times) = &mut self.engine.wait_times {
            times.record(waited);
        }
        let (token, holds) = (fence.token, grant.holds);
        let granted = Granted {
            client: waiter.client,
            key: waiter.key.clone(),
            level: HoldLevel { token, holds },
        };
        self.engine.undelivered.granted(id, granted);
        if let Some(options) = waiter.session {
            let connection = Connection {
                client: waiter.client,
                user: waiter.user.clone(),
                options,
            };
            self.reserve(&waiter.key, &waiter.owner, grant, connection);
        }
    }

    /// Has a hold bound to a connection when the grant is delivered.
    pub(super) fn reserve(
        &mut self,
        key: &LockKey,
        owner: &Arc<[u8]>,
        grant: &Grant,
        connection: Connection,
    ) {
        let Some(fence) = grant.fence else { return };
        self.watch(Watch::Changes);
        self.check_slots_later();
        // What the holder is told is rounded down.
        let hold = NewHold {
            owner,
            fence,
            holds: grant.holds,
            lease_end: self.tick_after(Millis(grant.ttl.0 + 1)),
        };
        let lost = self.engine.sessions.reserve(key, &hold, connection);
        if let Some(lost) = lost {
            let key = key.borrowed();
            self.engine
                .session_lost(key, &lost, Loss::Other, self.effects);
        }
    }
}
