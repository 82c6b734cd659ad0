//! Between the server and the engine: callbacks become events, effects become calls.
//!
//! [`core`] is the one place that runs the engine and then carries out its effects. Callbacks [`note`] what has happened,
//! and get no access to keys.

mod blocked;
mod closing;
mod command;
mod core;
pub mod cut_off;
mod deliver;
mod effects;
mod event_loop;
mod events;
mod replies;
mod schedule;
mod state;
mod unblock;
pub mod warnings;

pub use command::entry;
pub use core::{change_settings, read_if_free, settings};
pub use event_loop::is_woken;
pub use events::watch_server;
pub use schedule::{note, restart, schedule, stop};
