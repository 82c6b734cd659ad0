//! Visits values of the engine's state, for a model checker.
//!
//! Points in time, tokens and waiters' numbers only grow. A checker gives them other names, such as how long ago
//! something was, or which token is the larger: two states that differ in nothing else behave alike.

use super::wait::WaiterId;
use crate::lock::{Deadline, Fence, Tick, Token};
use std::hash::Hash;

/// Takes the values one by one.
pub trait Visit {
    /// A point in time of the monotonic clock.
    fn tick(&mut self, tick: Tick);

    /// A point in time of the wall clock.
    fn deadline(&mut self, deadline: Deadline);

    /// A token.
    fn token(&mut self, token: Token);

    /// A hold's token and start.
    fn fence(&mut self, fence: Fence);

    /// A waiter.
    fn waiter(&mut self, id: WaiterId);

    /// Anything else, and how many values follow.
    fn other(&mut self, value: &impl Hash);
}

/// Visits a value that may be missing.
pub(super) fn visit_option<V: Visit, T>(
    value: Option<T>,
    visitor: &mut V,
    visit: impl FnOnce(&mut V, T),
) {
    visitor.other(&value.is_some());
    if let Some(value) = value {
        visit(visitor, value);
    }
}
