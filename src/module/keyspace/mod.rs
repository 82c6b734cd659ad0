//! The engine's port to a real server: reads and writes locks, and asks what is allowed.

pub mod audience;
mod data;
mod open;
pub mod rights;
mod shared_strings;
mod write;

pub use data::{Arguments, Data};
pub use shared_strings::{SharedStrings, SHARED_STRINGS};
pub use write::is_ours;
