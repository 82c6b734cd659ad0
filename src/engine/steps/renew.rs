//! `LOCK.RENEW`.

use crate::engine::error::Error;
use crate::engine::port::Server;
use crate::engine::session::MIN_TTL;
use crate::engine::step::Step;
use crate::lock::{renew, Grant, KeyRef, Millis, Token};

impl<S: Server> Step<'_, S> {
    /// Sets the time left of a hold to `ttl`.
    ///
    /// # Errors
    /// What [`renew`] refuses, also for a hold whose token is needed and not named; [`Error::SessionTtl`].
    pub fn renew(
        &mut self,
        key: KeyRef,
        owner: &[u8],
        ttl: Millis,
        token: Option<Token>,
    ) -> Result<Grant, Error> {
        let now = self.server.now();
        let view = self.current_view(key, owner)?;
        self.lose_if_free(key, &view, owner, token);
        let mut lease = ttl;
        if let Some(grace) = self.grace_left() {
            grace.check(&view, token)?;
            lease = grace.lease(ttl, &view, now);
        }
        let limits = self.engine.settings.limits();
        let tokens = &mut self.engine.tokens;
        let (mut change, grant) = renew(&view, lease, token, now, &limits, tokens)?;
        self.spoil_renewal(&mut change);
        let has_session = self.engine.sessions.get(key).is_some();
        if has_session && ttl < MIN_TTL {
            return Err(Error::SessionTtl(ttl));
        }
        self.hold_goes_on(key);
        self.apply(key, owner, &change);
        if has_session {
            let tick = self.server.tick();
            let sessions = &mut self.engine.sessions;
            sessions.set_ttl(&key.to_owned(), ttl, tick);
        }
        self.engine.counters.renewed += 1;
        Ok(grant)
    }
}
