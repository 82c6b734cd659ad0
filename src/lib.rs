//! Reentrant locks as native commands of Redis and Valkey.
//!
//! The server loads this library and calls `RedisModule_OnLoad` in `server/load.rs`. See `CONTRIBUTING.md` for how
//! the code is laid out; the commands are in [`command`], the rules of a lock in [`lock`].

pub mod command;
pub mod escape;
pub mod grace;
pub mod lock;
pub mod queue;
mod server;
pub mod session;
pub mod settings;
