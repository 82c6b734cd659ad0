//! Reentrant locks as native commands of Redis and Valkey.
//!
//! The server loads this library and calls `RedisModule_OnLoad` in `module/setup/load.rs`. See `CONTRIBUTING.md` for how
//! the code is laid out; the rules of one lock are in [`lock`], every decision in [`engine`], the commands in
//! [`command`].

pub mod command;
pub mod engine;
pub mod lock;
mod module;
