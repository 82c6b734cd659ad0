//! The only directory that knows the server's module API, and the only one with `unsafe`. It holds no
//! rule: it reads what is stored, writes and propagates what [`crate::lock`] decided, and replies.
#![allow(unsafe_code)]

#[macro_use]
mod api;
mod alloc;
mod call;
mod clock;
mod closing;
mod config;
mod deadlocks;
mod describe;
mod events;
mod gil;
mod grace;
mod guard;
mod health;
mod info;
mod key;
mod leave;
mod load;
mod log;
mod open;
mod permit;
mod reply;
mod serve;
mod sessions;
mod slots;
mod state;
mod string;
mod tell;
mod timer;
mod turn;
mod user;
mod wait;
mod warnings;
mod write;
