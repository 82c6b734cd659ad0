//! A call begins to wait.

use super::acquire::AcquireCall;
use crate::engine::effects::Watch;
use crate::engine::error::Error;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::engine::wait::{Waiter, WaiterId};
use crate::lock::{Acquire, Deadline, Millis};

impl<S: Server> Step<'_, S> {
    /// The waiter that a call becomes.
    pub(super) fn waiter(
        &mut self,
        call: &AcquireCall,
        request: Acquire,
        timeout: Millis,
    ) -> Waiter {
        let since = self.server.tick();
        let timeout = self.spoil_timeout(timeout);
        Waiter {
            owner: call.owner.into(),
            key: call.key.to_owned(),
            client: self.server.caller(),
            user: self.server.caller_user(),
            request,
            session: call.session,
            since,
            until: (timeout.0 > 0).then(|| since.plus(timeout)),
        }
    }

    /// Puts a waiter at the end of its queue. `lease` is when the present lease ends, if that is known.
    ///
    /// # Errors
    /// [`Error::TooManyWaiters`]; [`Error::Deadlock`] if it would close a cycle of waits.
    pub(super) fn join(
        &mut self,
        waiter: Waiter,
        lease: Option<Deadline>,
    ) -> Result<WaiterId, Error> {
        let most = self.engine.settings.max_waiters;
        if self.engine.queues.len() as i64 >= most {
            return Err(Error::TooManyWaiters(most));
        }
        self.refuse_cycle(&waiter)?;
        self.watch(Watch::Frees);
        self.check_slots_later();
        let lease = lease.or_else(|| self.server.expiry(waiter.key.borrowed()));
        let key = waiter.key.clone();
        let id = self.engine.queues.join(waiter);
        self.repeat_search(&key);
        self.engine.queues.set_lease(key.borrowed(), lease);
        self.engine.counters.waits_started += 1;
        Ok(id)
    }
}
