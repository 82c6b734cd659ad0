//! The engine's state as a sequence of values, for a model checker.

use super::state::Engine;
use super::visit::{visit_option, Visit};

impl Engine {
    /// Visits everything that decides what the engine does, but for the settings.
    pub fn visit<V: Visit>(&self, visitor: &mut V) {
        visitor.other(&(self.cluster, self.master, self.cut_off, self.watch));
        visit_option(self.tokens.last(), visitor, V::token);
        self.queues.visit(visitor);
        self.undelivered.visit(visitor);
        self.sessions.visit(visitor);
        self.grace.visit(visitor);
        visitor.other(&self.dirty);
        visit_option(self.retry_at, visitor, V::tick);
        visit_option(self.check_slots_at, visitor, V::tick);
    }
}
