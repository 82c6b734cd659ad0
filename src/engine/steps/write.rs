//! Writes a change of a hold, and frees a lock.

use crate::engine::loss::Loss;
use crate::engine::port::{Server, Write};
use crate::engine::settings::Notify;
use crate::engine::step::Step;
use crate::lock::{Change, Deadline, Fence, KeyRef, Millis, Tick, Update};

impl<S: Server> Step<'_, S> {
    /// Writes a change of that owner's hold.
    pub(super) fn apply(&mut self, key: KeyRef, owner: &[u8], change: &Change) {
        self.observe(key, change);
        match *change {
            Change::Take {
                lapsed,
                holds,
                fence,
                deadline,
            } => {
                if lapsed {
                    self.server.write(key, &Write::Expire);
                }
                let fields = (Some(holds), Some(fence));
                self.write_hold(key, owner, None, fields, Some(deadline));
            }
            Change::Update(update) => {
                if update != Update::default() {
                    let fields = (update.holds, update.fence);
                    self.write_hold(key, owner, None, fields, update.deadline);
                }
                // Clients that sleep until the old end have to ask again.
                if update.shortened {
                    self.publish(key);
                }
            }
            Change::Free | Change::Force => self.free(key, owner),
        }
    }

    /// Frees a lock: the first in its queue gets it, or it is deleted and the message published that it is free.
    fn free(&mut self, key: KeyRef, owner: &[u8]) {
        if self.hand_over(key, Some(owner)) {
            return;
        }
        self.server.write(key, &Write::Delete);
        // It may be kept for the waiters.
        if !self.engine.queues.is_waited_for(key) {
            self.publish(key);
        }
    }

    /// Writes parts of an owner's hold, which takes the place of the hold of `ends`.
    pub(super) fn write_hold(
        &mut self,
        key: KeyRef,
        owner: &[u8],
        ends: Option<&[u8]>,
        (holds, fence): (Option<u32>, Option<Fence>),
        deadline: Option<Deadline>,
    ) {
        let hold = Write::Hold {
            owner,
            ends,
            holds,
            fence,
            deadline,
        };
        self.server.write(key, &hold);
        if deadline.is_some() {
            self.engine.queues.set_lease(key, deadline);
        }
    }

    /// Publishes the message that makes clients ask for the lock again, as Redisson does when it frees a lock.
    fn publish(&mut self, key: KeyRef) {
        let settings = &self.engine.settings;
        let cluster = self.engine.cluster;
        let sharded = match settings.notify {
            Notify::Auto => cluster,
            Notify::Publish => false,
            Notify::SPublish => true,
            Notify::Off => return,
        };
        let prefix = &settings.channel_prefix;
        self.effects.publish(prefix, key.name, sharded, cluster);
    }

    /// Notes in the lock's session a change that is about to be written.
    pub(super) fn observe(&mut self, key: KeyRef, change: &Change) {
        if self.engine.sessions.is_empty() {
            return;
        }
        if let Change::Take { deadline, .. }
        | Change::Update(Update {
            deadline: Some(deadline),
            ..
        }) = change
        {
            let end = self.tick_of(*deadline);
            self.engine.sessions.set_lease(key, end);
        }
        let sessions = &mut self.engine.sessions;
        let lost = match change {
            Change::Take { fence, holds, .. } => {
                let lost = sessions.replace(key, fence.token);
                sessions.set_holds(key, *holds);
                lost
            }
            Change::Update(Update { holds, .. }) => {
                if let Some(holds) = holds {
                    sessions.set_holds(key, *holds);
                }
                None
            }
            Change::Free => {
                sessions.end(key);
                None
            }
            Change::Force => sessions.end(key),
        };
        if let Some(lost) = lost {
            self.engine
                .session_lost(key, &lost, Loss::Other, self.effects);
        }
    }

    /// The owner is about to be told that it holds the lock. If the connection of its session has closed, it calls on
    /// another one, and the hold goes on without that session.
    pub(super) fn hold_goes_on(&mut self, key: KeyRef) {
        let sessions = &mut self.engine.sessions;
        if sessions.get(key).is_some_and(|session| session.is_closed()) {
            sessions.unbind(key);
        }
    }

    /// When a holder has to know that its lease has ended, by the monotonic clock. That is not later than the longest
    /// lease allows: the deadline may be that of another clock.
    pub(super) fn tick_of(&mut self, deadline: Deadline) -> Tick {
        let span = deadline.wait(self.server.now());
        let span = span.min(self.engine.settings.longest_ttl());
        self.tick_after(span)
    }

    /// When a span from now will be over. One more, since the present tick has begun already.
    pub(super) fn tick_after(&mut self, span: Millis) -> Tick {
        self.server.tick().plus(Millis(span.0 + 1))
    }
}
