//! Black box, against real servers: one module an aspect of the product, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod coexistence;
mod commands;
mod counters;
mod deadlocks;
mod descriptions;
mod documentation;
mod examples;
mod failover;
mod foreign_data;
mod freeing;
mod grace;
mod hostile;
mod keyspace_events;
mod leases;
mod leaving;
mod lines;
mod loading;
mod model;
mod notify;
mod permissions;
mod persistence;
mod propagation;
mod redisson;
mod replication;
mod scripts;
mod server_rules;
mod sessions;
mod settings;
mod slots;
mod soak;
mod support;
mod tooling;
mod waiting;
mod watching;
mod write_rules;
