//! `LOCK.RELEASE` and `LOCK.FORCERELEASE`.

use crate::engine::error::Error;
use crate::engine::loss::Loss;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::lock::{release, Change, KeyRef, Left, Release};

impl<S: Server> Step<'_, S> {
    /// Releases a hold; the last one frees the lock.
    ///
    /// # Errors
    /// What [`release`] refuses.
    pub fn release(&mut self, key: KeyRef, owner: &[u8], request: &Release) -> Result<Left, Error> {
        let view = self.current_view(key, owner)?;
        self.lose_if_free(key, &view, owner, request.token);
        let (change, left) = release(&view, request)?;
        match left {
            // Nothing of the lock is this owner's.
            Left::NoneBefore => return Ok(left),
            Left::Holds(0) => (),
            Left::Holds(_) => self.hold_goes_on(key),
        }
        self.apply(key, owner, &change);
        if change == Change::Free {
            self.engine.counters.released += 1;
        }
        Ok(left)
    }

    /// Frees the lock whoever holds it. False if it was free.
    ///
    /// # Errors
    /// [`crate::lock::Error::WrongType`] if the key does not hold a lock. A token that is far ahead of the clock is
    /// no reason: this command is the way to get rid of such a lock.
    pub fn force_release(&mut self, key: KeyRef) -> Result<bool, Error> {
        let mut holder = self.server.read_holder(key)?;
        let now = self.server.now();
        let lapsed = |end: crate::lock::Deadline| end.has_passed(now);
        if holder.as_ref().is_none_or(|h| lapsed(h.hold.deadline)) {
            // A session whose lease ran out while its connection was open still holds the lock.
            holder = match self.reconcile(key) {
                true => self.server.read_holder(key)?,
                false => None,
            };
        }
        let Some(holder) = holder else {
            // In doubt its lease is not written again yet, and is not to be.
            let has_session = self.engine.sessions.get(key).is_some();
            self.lose(key, Loss::Other);
            self.engine.counters.forced += u64::from(has_session);
            return Ok(has_session);
        };
        if let Some(token) = holder.hold.token() {
            // The next token is larger, if the lock's is credible.
            let _ = self.engine.tokens.learn(token, now);
        }
        self.apply(key, &holder.owner, &Change::Force);
        self.engine.counters.forced += 1;
        Ok(true)
    }
}
