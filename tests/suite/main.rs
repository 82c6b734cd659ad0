//! Black box, against real servers: one module an aspect of the product, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod across_slots;
mod clock;
mod coexistence;
mod commands;
mod counters;
mod deadlocks;
mod descriptions;
mod documentation;
mod doors;
mod examples;
mod failover;
mod foreign_data;
mod freeing;
mod from_set_nx;
mod grace;
#[path = "../hashes.rs"]
mod hashes;
mod hostile;
#[path = "../inputs/mod.rs"]
mod inputs;
mod keyspace_events;
mod leaks;
mod leases;
mod leaving;
mod lines;
mod loading;
mod max_hold;
#[path = "../memory/mod.rs"]
mod memory;
mod model;
mod notify;
mod other_modules;
mod panics;
mod permissions;
mod persistence;
mod propagation;
mod redisson;
mod redisson_real;
mod replication;
mod rights;
mod scripts;
mod server_rules;
mod sessions;
mod settings;
mod slots;
mod soak;
mod storm;
mod tooling;
mod waiting;
mod walks;
mod watching;
mod write_rules;

use lock_test_support as support;
