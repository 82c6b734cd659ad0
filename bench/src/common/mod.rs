//! What the smaller programs share: `pair-cost`, `hand-off`, `deadlock`, `against`.

mod gauge;
mod pipeline;
mod spread;
pub use lock_test_support as support;

pub use crate::core::Core;
pub use crate::service::redis::server_name;
pub use gauge::Gauge;
pub use pipeline::{Pipeline, Step, pack};
pub use spread::Spread;
