//! The steps of the engine: what a command does, and what is done when something is due. Each file adds methods to
//! [`super::Step`].

mod acquire;
mod deadlock;
mod hand_over;
mod planted;
mod query;
mod release;
mod renew;
mod serve;
mod session;
mod slots;
mod undo;
mod wait;
mod wakeup;
mod write;

pub use acquire::{AcquireCall, Acquired};
