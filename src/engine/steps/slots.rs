//! In a cluster: locks whose slot moves to another node.

use crate::engine::effects::Answer;
use crate::engine::port::{Server, WriteCheck};
use crate::engine::state::SLOTS;
use crate::engine::step::Step;
use crate::lock::{slot_of, KeyRef, LockKey};
use std::collections::BTreeMap;

impl<S: Server> Step<'_, S> {
    /// The slot of a lock is no longer here: its waiters are answered, so that a cluster client calls again and is
    /// redirected, and its session is lost.
    pub(super) fn send_on(&mut self, key: KeyRef) {
        for (id, _) in self.engine.queues.take_all(key) {
            self.engine.counters.waits_cancelled += 1;
            let text =
                "TRYAGAIN the slot of the lock is being moved, or has moved, to another node";
            self.answer(id, Answer::Error(text.to_owned()));
        }
        self.lose_elsewhere(key);
    }

    /// Checks for slots that have moved away. Not all servers have an event for that.
    pub(super) fn check_slots(&mut self) {
        if !self.engine.has_slots_to_check() {
            self.engine.check_slots_at = None;
            return;
        }
        let tick = self.server.tick();
        match self.engine.check_slots_at {
            Some(at) if at > tick => return,
            Some(_) => self.engine.check_slots_at = Some(tick.plus(SLOTS)),
            None => return self.check_slots_later(),
        }
        let mut slots: BTreeMap<u16, Vec<LockKey>> = BTreeMap::new();
        let bound = self.engine.sessions.keys(None);
        for key in self.engine.queues.keys(None).into_iter().chain(bound) {
            slots.entry(slot_of(&key.name)).or_default().push(key);
        }
        for keys in slots.into_values() {
            // One check per slot: if one of its locks is still here, the slot is.
            let Some(first) = keys.first() else { continue };
            if self.server.check_write(first.borrowed()) != WriteCheck::Elsewhere {
                continue;
            }
            for key in keys {
                if self.server.check_write(key.borrowed()) == WriteCheck::Elsewhere {
                    self.send_on(key.borrowed());
                }
            }
        }
    }
}
