//! Brings a lock up to date that others have changed, or whose lease has ended.

use crate::engine::effects::Answer;
use crate::engine::planted::PlantedFault;
use crate::engine::port::{Server, Write};
use crate::engine::step::Step;
use crate::engine::wait::{on_foreign_value, ForeignValue};
use crate::lock::{Error, Hold, KeyRef, LockKey, View};
use std::sync::Arc;

impl<S: Server> Step<'_, S> {
    /// Brings a lock up to date: its session is compared with the data, and its queue served if the lock is free.
    /// True if the lock was written.
    pub(in crate::engine) fn bring_up_to_date(&mut self, key: KeyRef) -> bool {
        self.reconcile(key) || self.serve(key)
    }

    /// A session's lease was written again. Its owner may wait for it: it saw that no lock was granted while this server
    /// was in doubt. Its waits are reentries, wherever they stand in the queue.
    pub(super) fn serve_restored(&mut self, key: KeyRef, owner: &Arc<[u8]>) {
        if !self.engine.queues.is_waited_for(key) {
            return;
        }
        if let Ok(view @ View::Mine(_)) = self.view(key, owner) {
            let waits = self.take_waits_of(owner, key);
            self.grant(key, &waits, view, None);
        }
    }

    /// Serves the queue of a lock. True if the lock was granted.
    pub(super) fn serve(&mut self, key: KeyRef) -> bool {
        let first = self.engine.queues.waiters_of(key).next();
        let Some((owner, key)) = first.map(|(_, w)| (w.owner.clone(), w.key.clone())) else {
            return false;
        };
        match self.view(key.borrowed(), &owner) {
            Ok(View::Theirs(deadline)) => {
                self.engine.queues.set_lease(key.borrowed(), Some(deadline));
                // Foreign commands may have given it another holder.
                self.refuse_cycles_of(&key);
                false
            }
            Ok(View::Free { lapsed }) => self.serve_free(&key, lapsed),
            Ok(View::Mine(hold)) => self.serve_holder(&key, hold),
            Err(refusal) => {
                self.serve_foreign(&key, refusal);
                false
            }
        }
    }

    fn serve_free(&mut self, key: &LockKey, lapsed: bool) -> bool {
        if self.engine.has_planted(PlantedFault::NeverServes) {
            return false;
        }
        let key = key.borrowed();
        if lapsed {
            self.server.write(key, &Write::Expire);
        }
        // The server may have deleted it already.
        let now = self.server.now();
        let lease = self.engine.queues.lease(key);
        if lease.is_some_and(|end| end.has_passed(now)) {
            self.engine.counters.expired_while_waited_for += 1;
        }
        self.hand_over(key, None)
    }

    /// The first in the queue has taken the lock otherwise, by Redisson's script: its waits are reentries.
    fn serve_holder(&mut self, key: &LockKey, hold: Hold) -> bool {
        // For those behind it, if its waits do not fit the hold.
        let queues = &mut self.engine.queues;
        queues.set_lease(key.borrowed(), Some(hold.deadline));
        // The data may be incomplete, and the wait asks for a new hold.
        if self.grace_left().is_some() {
            return false;
        }
        let waits = self.take_first(key.borrowed()).unwrap_or_default();
        let granted = self.grant(key.borrowed(), &waits, View::Mine(hold), None);
        self.refuse_cycles_of(key);
        granted
    }

    /// The key holds something that is not a lock.
    fn serve_foreign(&mut self, key: &LockKey, refusal: Error) {
        let key = key.borrowed();
        let (lease, end) = (self.engine.queues.lease(key), self.server.expiry(key));
        match on_foreign_value(lease, end, self.server.now()) {
            ForeignValue::Keep => (),
            ForeignValue::LookAt(then) => self.engine.queues.set_lease(key, Some(then)),
            ForeignValue::Refuse => {
                for (id, _) in self.engine.queues.take_all(key) {
                    self.answer(id, Answer::Error(refusal.to_string()));
                }
            }
        }
    }
}
