//! Who waits: lines, deadlines, and the search for deadlocks. Pure, as the rules of a lock are: no
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
pub use deadlock::{Budget, Circle, Holding, Next, Refused, Search};
pub use hand_over::hand_over;
pub use lines::{Lines, Place, Waiter, WaiterId};
pub use pending::{Level, Pending};
pub use slot::slot_of;
pub use times::Times;
pub use turned::{turned, Turned};

/// A moment of a clock that never steps: milliseconds since some start. Waits are measured by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub i64);
