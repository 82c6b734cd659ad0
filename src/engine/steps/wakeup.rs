//! Does what is due.

use crate::engine::effects::Answer;
use crate::engine::planted::PlantedFault;
use crate::engine::port::{Server, WriteCheck};
use crate::engine::step::Step;
use crate::lock::Grant;
use std::collections::BTreeSet;

impl<S: Server> Step<'_, S> {
    /// Does what is due: locks that others changed, leases that ended, grants that could not be delivered, sessions
    /// to renew or to end, waits whose timeout has passed, slots that moved.
    pub fn wake_up(&mut self) {
        let clock = self.clock();
        self.engine.end_grace(clock.tick);
        self.check_slots();
        self.engine.retry_at = None;
        let next = self.engine.next_write(clock);
        if next.is_some_and(|at| at <= clock.tick) {
            let accepts = self.engine.has_planted(PlantedFault::WritesOnReplica);
            match accepts || self.server.accepts_writes() {
                true => self.write_due(),
                false => self.retry_later(),
            }
        }
        if self.engine.has_planted(PlantedFault::LeavesDue) {
            return;
        }
        while let Some((id, waiter)) = self.engine.queues.take_late(clock.tick) {
            if self.engine.has_planted(PlantedFault::ForgetsTimeouts) {
                continue;
            }
            self.engine.counters.waits_timed_out += 1;
            let ttl = self.time_left(waiter.key.borrowed());
            let busy = Grant { ttl, ..Grant::NONE };
            self.answer(id, Answer::Grant(busy));
        }
    }

    fn write_due(&mut self) {
        self.undo();
        self.end_closed();
        let now = self.server.now();
        let mut due: BTreeSet<_> = std::mem::take(&mut self.engine.dirty);
        // Their leases are noted again if the locks are still held.
        due.extend(std::iter::from_fn(|| self.engine.queues.take_ended(now)));
        for key in due {
            match self.server.check_write(key.borrowed()) {
                WriteCheck::Accepted => drop(self.bring_up_to_date(key.borrowed())),
                WriteCheck::Elsewhere => self.send_on(key.borrowed()),
                WriteCheck::NotNow => self.retry(key),
            }
        }
        self.renew_due();
    }
}
