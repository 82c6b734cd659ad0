//! Who waits: the queues, the grants that were not delivered yet, and how long waits took.

mod foreign;
mod grant;
mod queues;
mod times;
mod undelivered;

pub use foreign::{on_foreign_value, ForeignValue};
pub use grant::grant_all;
pub use queues::{WaitQueues, Waiter, WaiterId};
pub use times::WaitTimes;
pub use undelivered::{Granted, HoldLevel, Undelivered};
