//! Worlds that are broken on purpose: each check can fail.

use super::client::How;
use super::config::{Config, Forgets, SESSION, STOOD_STILL, TTL, WAIT};
use redis_reentrant_lock::engine::PlantedFault;
use stateright::{Checker, HasDiscoveries, Model};

/// Explores a world that is broken, until it finds that this does not hold.
fn find(property: &'static str, config: Config) {
    let wanted = HasDiscoveries::AllOf([property].into());
    let checker = config.checker().finish_when(wanted).spawn_bfs().join();
    let found = checker.discovery(property).expect("nothing was found");
    let states = checker.unique_state_count();
    println!("not so after {states} states: {property}");
    for action in found.into_actions() {
        println!("  {action:?}");
    }
}

const HELD_TWICE: &str = "no two owners believe in one lock";

fn failover() -> Config {
    Config::new(&[1, 1]).with_failover()
}

#[test]
fn without_a_grace_period_a_lock_has_two_owners() {
    let grace = 0;
    find(
        HELD_TWICE,
        Config {
            grace,
            ..failover()
        },
    );
}

#[test]
fn with_a_grace_period_that_is_too_short_for_a_standstill_a_lock_has_two_owners() {
    let grace = failover().grace - 100;
    find(
        HELD_TWICE,
        Config {
            grace,
            stalls: true,
            faults: 1,
            ..failover()
        },
    );
}

#[test]
fn with_a_grace_period_that_is_too_short_a_lock_has_two_owners() {
    let grace = failover().grace - STOOD_STILL - 100;
    find(
        HELD_TWICE,
        Config {
            grace,
            ..failover()
        },
    );
}

#[test]
fn a_replica_that_does_not_know_how_long_its_master_goes_on_extends_a_lease_too_early() {
    let config = Config {
        knows_cut_off: false,
        renews: true,
        ..Config::new(&[2, 1])
    };
    find(
        HELD_TWICE,
        Config {
            ..config.with_failover()
        },
    );
}

#[test]
fn tokens_fall_where_the_clock_of_the_replica_is_behind() {
    let behind = 10 * TTL;
    find(
        "tokens grow",
        Config {
            behind,
            ..failover()
        },
    );
}

fn with(what: Forgets) -> Config {
    Config {
        faults: 1,
        host_forgets: Some(what),
        ..Config::new(&[1, 1])
    }
}

#[test]
fn an_undelivered_reply_that_is_not_noted_leaves_a_hold_that_nobody_knows() {
    find(
        "each hold was told to its owner",
        with(Forgets::Undelivered),
    );
}

#[test]
fn a_closed_connection_that_is_not_noted_leaves_its_session() {
    let config = Config {
        hows: vec![SESSION],
        ..with(Forgets::Closed)
    };
    find("no session has a closed connection", config);
}

#[test]
fn an_engine_that_nobody_wakes_up_lets_waiters_wait_for_ever() {
    find("a waiter is served or leaves", with(Forgets::Wakeups));
}

fn faulty(fault: PlantedFault) -> Config {
    Config {
        faults: 1,
        most_holds: 2,
        fault: Some(fault),
        ..Config::new(&[2, 1, 1])
    }
}

#[test]
fn repeats_that_count_again_are_found() {
    find("counts are right", faulty(PlantedFault::CountsRepeats));
}

#[test]
fn a_second_reply_is_found() {
    let property = "each call is answered at most once";
    find(property, faulty(PlantedFault::AnswersTwice));
}

#[test]
fn queues_that_are_served_from_the_wrong_end_are_found() {
    find("nobody is overtaken", faulty(PlantedFault::LastFirst));
}

#[test]
fn a_command_that_overtakes_a_queue_is_found() {
    find("nobody is overtaken", faulty(PlantedFault::Overtakes));
}

#[test]
fn a_lease_that_is_renewed_where_writes_are_refused_is_found() {
    let config = Config {
        hows: vec![SESSION],
        fault: Some(PlantedFault::RenewsUnasked),
        ..failover()
    };
    find("each write fits what is stored", config);
}

#[test]
fn a_wakeup_that_leaves_a_wait_whose_timeout_has_passed_is_found() {
    let timeout = How {
        wait: Some(TTL / 3),
        ..WAIT
    };
    let config = Config {
        hows: vec![timeout],
        fault: Some(PlantedFault::LeavesDue),
        ..Config::new(&[1, 1])
    };
    find("a wakeup leaves nothing due", config);
}

#[test]
fn a_free_lock_that_nobody_gets_is_found() {
    find(
        "nobody waits for a free lock",
        faulty(PlantedFault::NeverServes),
    );
}
