//! Ports for servers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The ports that servers get. The system gives outgoing connections higher ones, so that a server which is started again
/// does not find one of these on its port; and the bus of a cluster, which is 10,000 above, has a valid number.
const FIRST: u32 = 10_240;
const COUNT: u32 = 10_000;

/// How many were handed out.
static HANDED_OUT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, nor on the one for the bus of a cluster. This process has not handed it out before: the
/// replicas, sentinels and clients of a server that has ended go on to call it, and would disturb the next one there.
pub fn free_port() -> u16 {
    // Processes that run at the same time begin at different ones.
    let start = std::process::id().wrapping_mul(613);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..COUNT {
        let number = start.wrapping_add(HANDED_OUT.fetch_add(1, Relaxed)) % COUNT;
        let port = (FIRST + number) as u16;
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
    panic!("no port is free from {FIRST} on");
}
