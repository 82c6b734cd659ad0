//! What the benchmarks share.
#![allow(dead_code, unused_imports)]

mod gauge;
mod pipeline;
mod spread;
pub use lock_test_support as support;

pub use gauge::{Core, Gauge};
pub use pipeline::{pack, Pipeline, Step};
pub use spread::Spread;

use support::Client;

/// The server's name and version.
pub fn server_name(client: &mut Client) -> String {
    let valkey = client
        .info("server", "valkey_version")
        .map(|version| format!("Valkey {version}"));
    valkey.unwrap_or_else(|| {
        let version = client.info("server", "redis_version").unwrap_or_default();
        format!("Redis {version}")
    })
}
