//! The deadlock search: finds cycles of waits that cannot end.

mod budget;
mod cycle;
mod marks;
mod search;

pub use budget::Budget;
pub use cycle::{Cycle, Refused};
pub use search::{Holding, Next, Search};
