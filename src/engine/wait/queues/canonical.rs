//! The queues as a sequence of values.

use super::{Queue, WaitQueues, Waiter, WaiterId};
use crate::engine::visit::{visit_option, Visit};
use std::collections::BTreeSet;

impl WaitQueues {
    /// Visits everything but the last number, which is larger than all others.
    pub(in crate::engine) fn visit<V: Visit>(&self, visitor: &mut V) {
        let waiters = self.everyone();
        visitor.other(&waiters.len());
        for id in waiters {
            visitor.waiter(id);
            visit_option(self.get(id), visitor, |v, waiter| waiter.visit(v));
        }
        for (db, queues) in &self.queues {
            visitor.other(&(db, queues.len()));
            for (name, queue) in queues {
                visitor.other(name);
                queue.visit(visitor);
            }
        }
        visitor.other(&self.timeouts.len());
        for (until, id) in &self.timeouts {
            visitor.tick(*until);
            visitor.waiter(*id);
        }
        visitor.other(&self.leases.len());
        for (end, key) in &self.leases {
            visitor.deadline(*end);
            visitor.other(key);
        }
        for (group, ids) in &self.by_owner {
            visitor.other(group);
            visit_all(ids, visitor);
        }
        let mut clients: Vec<_> = self.by_client.iter().collect();
        clients.sort_unstable();
        for (client, id) in clients {
            visitor.other(client);
            visitor.waiter(*id);
        }
    }
}

impl Queue {
    fn visit<V: Visit>(&self, visitor: &mut V) {
        visit_all(&self.waiters, visitor);
        visit_option(self.lease, visitor, V::deadline);
    }
}

impl Waiter {
    fn visit<V: Visit>(&self, visitor: &mut V) {
        visitor.other(&(&self.owner, &self.key, self.client, &self.user));
        visitor.other(&(self.request.ttl, self.request.holds, self.session));
        visit_option(self.request.token, visitor, V::token);
        visit_option(self.until, visitor, V::tick);
        // `since` is only shown and counted.
    }
}

fn visit_all<V: Visit>(ids: &BTreeSet<WaiterId>, visitor: &mut V) {
    visitor.other(&ids.len());
    for id in ids {
        visitor.waiter(*id);
    }
}
