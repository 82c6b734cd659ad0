//! The clients: owners that take, reenter, renew, check and release locks as a seed has it, and vanish at times.
//!
//! An [`actor::Actor`] is one owner with one lock: what it does next, and what it knows. The [`pipeline`]s send calls of
//! many actors in one go, so that there are many operations; the [`waiter`]s have an actor and a connection each, so that
//! they can wait, bind sessions and vanish.

pub mod actor;
pub mod pipeline;
pub mod waiter;
