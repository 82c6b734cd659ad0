//! The undelivered grants as a sequence of values.

use super::{HoldLevel, Undelivered};
use crate::engine::visit::Visit;

impl Undelivered {
    /// Visits everything.
    pub(in crate::engine) fn visit<V: Visit>(&self, visitor: &mut V) {
        let mut grants: Vec<_> = self.grants.iter().collect();
        grants.sort_unstable_by_key(|(id, _)| **id);
        visitor.other(&grants.len());
        for (id, granted) in grants {
            visitor.waiter(*id);
            visitor.other(&(granted.client, &granted.key));
            granted.level.visit(visitor);
        }
        let mut levels: Vec<_> = self.levels.iter().collect();
        levels.sort_unstable_by_key(|(level, _)| **level);
        visitor.other(&levels.len());
        for (level, sharers) in levels {
            level.visit(visitor);
            visitor.other(sharers);
        }
        visitor.other(&self.undo.len());
        for (key, level) in &self.undo {
            visitor.other(key);
            level.visit(visitor);
        }
    }
}

impl HoldLevel {
    fn visit<V: Visit>(&self, visitor: &mut V) {
        visitor.token(self.token);
        visitor.other(&self.holds);
    }
}
