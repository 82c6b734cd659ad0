//! The commands that only read: `LOCK.ASSERT`, `LOCK.INFO`, `LOCK.LINES`.

use crate::engine::error::Error;
use crate::engine::info::LockInfo;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::lock::{assert, Holder, KeyRef, Millis, Token};
use std::sync::Arc;

/// How many waiters of a queue are shown.
const SHOWN: usize = 10;

impl<S: Server> Step<'_, S> {
    /// Checks that an owner holds the lock, with that token if one is given.
    ///
    /// # Errors
    /// [`crate::lock::Error::NotOwner`] if it does not.
    pub fn assert(&mut self, key: KeyRef, owner: &[u8], token: Option<Token>) -> Result<(), Error> {
        let view = self.view(key, owner)?;
        let in_grace = match self.grace_left() {
            Some(grace) => grace.check(&view, token),
            None => Ok(()),
        };
        if let Err(error) = in_grace.and_then(|()| assert(&view, token)) {
            self.engine.counters.asserts_failed += 1;
            return Err(error.into());
        }
        Ok(())
    }

    /// Who holds the lock, and who waits for it; none if it is free.
    ///
    /// # Errors
    /// [`crate::lock::Error::WrongType`] if the key does not hold a lock.
    pub fn info(&mut self, key: KeyRef) -> Result<Option<LockInfo>, Error> {
        let holder = self.holder(key)?;
        Ok(holder.map(|holder| self.info_of(key, Some(holder))))
    }

    /// The locks of the selected database that are waited for, the longest queue first: at most so many, and
    /// only those that the caller may read.
    pub fn queues(&mut self, most: usize) -> Vec<(Arc<[u8]>, LockInfo)> {
        let db = self.server.selected_db();
        let longest = self.engine.queues.longest(db);
        let names = longest.into_iter().map(|key| key.name).collect();
        let mut shown = Vec::new();
        for name in self.server.readable(names, most) {
            let key = KeyRef { db, name: &name };
            let holder = self.holder(key).ok().flatten();
            let info = self.info_of(key, holder);
            shown.push((name, info));
        }
        shown
    }

    fn info_of(&mut self, key: KeyRef, holder: Option<Holder>) -> LockInfo {
        let clock = self.clock();
        let queues = &self.engine.queues;
        let first = queues.waiters_of(key).take(SHOWN);
        let queue = first.map(|(_, w)| (w.owner.clone(), Millis(clock.tick.0 - w.since.0)));
        LockInfo {
            session: self.engine.sessions.get(key).is_some(),
            waiters: queues.len_of(key),
            queue: queue.collect(),
            ..LockInfo::of(holder, clock.now)
        }
    }
}
