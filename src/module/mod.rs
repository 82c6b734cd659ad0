//! The only folder that knows the server's module API, and the only one with `unsafe`. It holds no rule: callbacks
//! become events of [`crate::engine`], and its effects become calls.
#![allow(unsafe_code)]

#[macro_use]
mod ffi;
mod host;
mod keyspace;
mod setup;
