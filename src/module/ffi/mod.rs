//! Thin wrappers of the server's functions, that are safe to call.

#[macro_use]
pub mod api;
mod alloc;
pub mod call;
pub mod clock;
pub mod context;
pub mod gil;
pub mod guard;
pub mod key;
pub mod log;
pub mod planted;
pub mod replicate;
pub mod reply;
pub mod server_info;
pub mod string;
pub mod user;
