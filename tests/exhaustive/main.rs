//! Every order of events in small worlds, in which the engine runs that the server runs.
//!
//! What is checked is in `model.rs`, what may happen is there too, and `calls.rs` is the host of the engine. A world
//! that is broken on purpose shows of each check that it can fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod canonical;
mod checks;
mod client;
mod config;
mod data;
mod failover;
mod model;
mod planted;
mod world;

use client::How;
use config::{Config, SESSION, TTL, WAIT};
use stateright::{Checker, HasDiscoveries, Model};
use std::io::Write as _;
use std::time::Instant;

/// Explores a world, and says how large it is: to the standard error itself, which the tests' harness does not keep back.
fn explore(name: &str, config: Config) {
    let started = Instant::now();
    let checker = config.checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let size = format!(
        "exhaustive, {name}: {} states, {} steps, at most {} to one, {:.1} s\n",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f32()
    );
    // In one piece, since other tests print too.
    let _ = std::io::stderr().write_all(size.as_bytes());
    let found = checker.discoveries();
    for (property, path) in &found {
        println!("not so: {property}");
        for action in path.clone().into_actions() {
            println!("  {action:?}");
        }
    }
    assert!(found.is_empty(), "{name}: {:?}", found.keys());
}

#[test]
fn owners_queue_for_a_lock_and_give_up() {
    let config = Config {
        faults: 1,
        hows: vec![
            WAIT,
            How {
                wait: Some(TTL / 3),
                ..WAIT
            },
        ],
        ..Config::new(&[2, 1, 1])
    };
    explore("queue", config);
}

#[test]
fn calls_are_repeated_whose_first_try_arrives_late() {
    let config = Config {
        faults: 2,
        late_calls: true,
        most_holds: 2,
        ..Config::new(&[2, 1])
    };
    explore("repeats", config);
}

#[test]
fn owners_of_two_locks_wait_for_one_another() {
    let config = Config {
        locks: 2,
        faults: 1,
        ..Config::new(&[2, 2])
    };
    explore("two locks", config);
}

#[test]
fn connections_with_sessions_close() {
    let config = Config {
        faults: 2,
        late_calls: true,
        hows: vec![SESSION],
        most_holds: 2,
        ..Config::new(&[2, 1])
    };
    explore("sessions", config);
}

#[test]
fn owners_linger_and_come_back() {
    let linger = How {
        session: Some(TTL / 3),
        ..SESSION
    };
    let config = Config {
        faults: 2,
        late_calls: true,
        hows: vec![linger],
        ..Config::new(&[2, 1])
    };
    explore("lingering", config);
}

#[test]
fn a_replica_takes_over_and_knows_a_part_of_the_holds() {
    let config = Config {
        renews: true,
        ..Config::new(&[2, 1])
    };
    explore("failover", config.with_failover());
}

#[test]
fn a_replica_takes_over_and_calls_are_repeated() {
    let config = Config {
        faults: 1,
        ..Config::new(&[1, 1])
    };
    explore("failover with repeats", config.with_failover());
}

#[test]
fn a_replica_takes_over_from_a_master_with_sessions() {
    let config = Config {
        hows: vec![SESSION],
        ..Config::new(&[2, 1])
    };
    explore("failover with sessions", config.with_failover());
}

#[test]
fn a_replica_takes_over_while_its_master_stands_still() {
    let config = Config {
        stalls: true,
        faults: 1,
        ..Config::new(&[1, 1])
    };
    explore("failover while still", config.with_failover());
}
