//! The client, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blocking;
mod lifetimes;
mod locks;
mod losses;
mod redlock;
mod replies;
mod storm;
mod tls;
mod topology;

use lock_test_support::{Client, Server, eventually};
use redis_reentrant_lock_client::LockClient;
use std::time::Duration;

/// No test waits longer than that for what is to happen at once.
const SOON: Duration = Duration::from_secs(20);

fn locks(server: &Server) -> LockClient {
    LockClient::open(server.url()).unwrap()
}

/// Completes in time, or fails the test.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("in time")
}

/// Waits until so many calls wait in queues.
fn until_waiting(client: &mut Client, count: u64) {
    eventually("the calls wait", || client.counter("waiters") == count);
}

/// Waits until nobody holds a lock.
fn until_free(client: &mut Client, name: &str) {
    eventually("the lock is free", || {
        client.run(&format!("LOCK.INFO {name}")) == "nil"
    });
}
