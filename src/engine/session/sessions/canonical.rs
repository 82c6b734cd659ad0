//! The sessions as a sequence of values.

use super::{Session, Sessions};
use crate::engine::visit::{visit_option, Visit};

impl Sessions {
    /// Visits everything.
    pub(in crate::engine) fn visit<V: Visit>(&self, visitor: &mut V) {
        visitor.other(&(self.count, &self.by_client, &self.closed));
        for (db, sessions) in &self.sessions {
            visitor.other(db);
            for (name, session) in sessions {
                visitor.other(name);
                session.visit(visitor);
            }
        }
        visitor.other(&self.due.len());
        for (at, key) in &self.due {
            visitor.tick(*at);
            visitor.other(key);
        }
    }
}

impl Session {
    fn visit<V: Visit>(&self, visitor: &mut V) {
        visitor.other(&(&self.owner, self.holds, self.changed, self.closed));
        visitor.other(&(&self.bound, &self.reserved));
        visitor.fence(self.fence);
        visit_option(self.renew_at, visitor, V::tick);
        visitor.tick(self.lease_end);
    }
}
