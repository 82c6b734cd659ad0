//! Distributed reentrant locks on Redis and Valkey servers with the module
//! [redis-reentrant-lock](https://github.com/redis-reentrant-lock/redis-reentrant-lock).
//!
//! ```
//! use redis_reentrant_lock_client::LockClient;
//! # async fn charge(_: &str, _: u64) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), redis_reentrant_lock_client::Error> {
//! # let server = lock_test_support::Server::start();
//! let locks = LockClient::open("redis://127.0.0.1:6379")?;
//! # let locks = LockClient::open(server.url())?;
//! let guard = locks.lock("lock:orders").acquire().await?;
//! tokio::select! {
//!     // With the token, so that a late write can be refused.
//!     () = charge("order-17", guard.token()) => guard.release().await?,
//!     loss = guard.lost() => eprintln!("stopped: {loss}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - Waiting calls are served in the order in which they came, without polling.
//! - A lock without a lease is bound to its connection: the server renews it while the process lives, and frees it at
//!   once when the process dies. [`Lock::lease`] makes it a lock that ends by itself.
//! - [`Guard::lost`] completes at once when the lock is lost.
//! - A call whose reply was lost is sent again, and counts once.
//! - [`blocking`] is the same without `async`. [`redlock`] is one lock over several independent servers.
//! - It emits events of the crate `tracing`: `lock acquired` (debug), `lock lost` and `lock not released` (warn).
//!
//! What a lock can promise, and what not, is in the project's
//! [guarantees](https://github.com/redis-reentrant-lock/redis-reentrant-lock/blob/main/docs/guarantees.md).

pub mod blocking;
mod call;
mod claim;
mod client;
mod error;
mod guard;
mod hold;
mod idle;
mod link;
mod lock;
mod moment;
mod owner;
mod pace;
pub mod redlock;
mod servers;
mod watch;

pub use client::LockClient;
pub use error::{Error, Loss};
pub use guard::Guard;
pub use lock::Lock;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
