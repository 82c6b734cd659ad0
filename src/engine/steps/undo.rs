//! Undoes holds that were granted to clients that disconnected before the reply was delivered.

use crate::engine::planted::PlantedFault;
use crate::engine::port::{Server, WriteCheck};
use crate::engine::step::Step;
use crate::lock::{release, KeyRef, Release, Token, View};

impl<S: Server> Step<'_, S> {
    /// Undoes them, before anything else is written: a command may come before the wakeup that would do it.
    pub fn undo(&mut self) {
        if !self.engine.undelivered.has_undo() {
            return;
        }
        for (key, level) in self.engine.undelivered.take_undo() {
            if self.engine.has_planted(PlantedFault::NoUndo) {
                continue;
            }
            if !self.finds(key.borrowed()) {
                // By the wakeup, which is due at once.
                self.engine.undelivered.put_back(key, level);
                continue;
            }
            match self.server.check_write(key.borrowed()) {
                WriteCheck::Accepted => self.undo_one(key.borrowed(), level.token),
                // The lock moves with its slot, and its lease ends there.
                WriteCheck::Elsewhere => (),
                WriteCheck::NotNow => {
                    self.engine.undelivered.put_back(key, level);
                    self.retry_later();
                }
            }
        }
    }

    fn undo_one(&mut self, key: KeyRef, token: Token) {
        let Ok(Some(holder)) = self.holder(key) else {
            return;
        };
        let request = Release {
            holds: None,
            token: Some(token),
        };
        if let Ok((change, _)) = release(&View::Mine(holder.hold), &request) {
            self.apply(key, &holder.owner, &change);
        }
    }
}
