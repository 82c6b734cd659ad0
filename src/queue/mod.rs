//! Who waits: wait queues, deadlines, and the deadlock search. Pure, like the rules of a lock: no
//! server, no clock of its own.

mod by_number;
mod deadlock;
mod hand_over;
mod lines;
mod pending;
mod slot;
mod times;
mod turned;

pub use by_number::{by_number, take, ByNumber};
pub use deadlock::{Budget, Cycle, Holding, Next, Refused, Search};
pub use hand_over::hand_over;
pub use lines::{Lines, Place, Waiter, WaiterId};
pub use pending::{Level, Pending};
pub use slot::slot_of;
pub use times::Times;
pub use turned::{turned, Turned};

/// A point in time of the monotonic clock, in milliseconds. Waits are measured by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub i64);
