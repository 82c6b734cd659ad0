//! `LOCK.ACQUIRE`.

use crate::engine::error::Error;
use crate::engine::port::Server;
use crate::engine::session::SessionOptions;
use crate::engine::step::Step;
use crate::engine::wait::WaiterId;
use crate::lock::{acquire, Acquire, Grant, KeyRef, Millis, View};

/// A call of `LOCK.ACQUIRE`.
#[derive(Debug, Clone, Copy)]
pub struct AcquireCall<'a> {
    /// The lock.
    pub key: KeyRef<'a>,
    /// The owner.
    pub owner: &'a [u8],
    /// What it asks for.
    pub request: Acquire,
    /// How to bind the hold to the connection, if it asks for that.
    pub session: Option<SessionOptions>,
    /// How long to wait; 0 means no limit.
    pub wait: Option<Millis>,
}

/// What it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// A reply. Holds of 0: another owner holds the lock.
    Reply(Grant),
    /// No reply yet: the call waits. Its caller has to be blocked; the busy reply is for a server that refuses
    /// that.
    Waits(WaiterId, Grant),
}

impl<S: Server> Step<'_, S> {
    /// Takes the lock, reenters it, or waits for it.
    ///
    /// # Errors
    /// What [`acquire`] refuses; [`Error::NoConnection`], [`Error::TooManyWaiters`], [`Error::Deadlock`].
    pub fn acquire(&mut self, call: &AcquireCall) -> Result<Acquired, Error> {
        let AcquireCall { key, owner, .. } = *call;
        if call.session.is_some() && !self.server.has_connection() {
            return Err(Error::NoConnection);
        }
        let now = self.server.now();
        let mut view = self.current_view(key, owner)?;
        let lease = match view {
            View::Theirs(deadline) => Some(deadline),
            _ => None,
        };
        let mut request = call.request;
        if let Some(grace) = self.grace_left() {
            view = grace.seen(view, request.token, now);
            request.ttl = grace.lease(request.ttl, &view, now);
        }
        self.spoil_request(&mut request, &view);
        let limits = self.engine.settings.limits();
        let tokens = &mut self.engine.tokens;
        let (mut change, mut grant) = acquire(&view, &request, now, &limits, tokens)?;
        self.spoil_grant(&mut change, &mut grant);
        if grant.holds == 0 {
            if let Some(timeout) = call.wait {
                if self.server.may_block() {
                    let waiter = self.waiter(call, request, timeout);
                    let id = self.join(waiter, lease)?;
                    return Ok(Acquired::Waits(id, grant));
                }
            }
            self.engine.counters.busy += 1;
            return Ok(Acquired::Reply(grant));
        }
        if matches!(view, View::Mine(_)) {
            self.hold_goes_on(key);
        }
        self.apply(key, owner, &change);
        if let Some(token) = grant.token() {
            self.engine.undelivered.answered(token, grant.holds);
        }
        if let Some(options) = call.session {
            self.bind(key, owner, &grant, options);
        }
        match view {
            View::Mine(_) => self.engine.counters.reentered += 1,
            _ => self.engine.counters.acquired += 1,
        }
        Ok(Acquired::Reply(grant))
    }
}
