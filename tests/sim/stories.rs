//! What the simulator has found, each as the shortest schedule in which it happened.

use crate::check::{Kind, Us, Violation};
use crate::run::execute;
use crate::schedule::{Action, Config, End, Fault, Job, Schedule, Step, What};
use redis_reentrant_lock::lock::Millis;

const MS: Us = 1000;
const SECOND: Us = 1_000_000;

/// Two servers with a grace period as it should be: leases of at most a second, and an old master stops after three.
fn pair() -> Config {
    let mut config = Config {
        servers: 2,
        min_replicas: 1,
        ..Config::plain("story")
    };
    config.settings.max_ttl = Millis(1000);
    config.settings.grace_period = Millis(4000);
    config.promises.kept_linger = 3000;
    config
}

/// A client acquires lock 0 and releases it, and waits for it without a limit.
fn job(client: u8) -> Job {
    Job {
        client,
        lock: 0,
        ttl: 1000,
        wait: Some(0),
        session: None,
        counts: true,
        names_token: true,
        second: None,
        steps: Vec::new(),
        end: End::Release,
        patience: 0,
        retries: 3,
        salt: 0,
    }
}

fn run(mut config: Config, actions: Vec<(Us, What)>) -> Vec<Violation> {
    let actions = actions.into_iter().map(|(at, what)| Action { at, what });
    let actions: Vec<Action> = actions.collect();
    config.end = actions.iter().map(|action| action.at).max().unwrap_or(0) + 10 * SECOND;
    execute(&Schedule { config, actions }, None).violations
}

#[test]
fn an_owner_that_waits_for_the_lock_of_its_own_session_is_served_when_that_goes_on() {
    // The lease lapses while the server stands still. As it may have been replaced meanwhile, the owner's next call
    // waits; then the lease is written again, since its connection has stayed open.
    let session = Job {
        session: Some(0),
        steps: vec![(400 * MS, Step::Assert)],
        ..job(0)
    };
    let found = run(
        pair(),
        vec![
            (SECOND, What::Job(session)),
            (
                1300 * MS,
                What::Fault(Fault::Pause {
                    server: 0,
                    us: 2 * SECOND,
                }),
            ),
            (1500 * MS, What::Job(job(0))),
            (3500 * MS, What::Job(job(1))),
        ],
    );
    assert_eq!(found, []);
}

#[test]
fn a_holder_relies_on_no_more_than_the_longest_lease_where_the_new_masters_clock_is_behind() {
    // By the clock of the second master the lease lasts a minute more. The third does not see it so.
    let mut config = pair();
    config.wall = [60 * SECOND, 0, 0];
    config.promises.tokens_across_servers = false;
    config.rest = 120 * SECOND;
    let holder = Job {
        ttl: 900,
        steps: vec![(700 * MS, Step::Reenter(900)), (8 * SECOND, Step::Assert)],
        ..job(0)
    };
    let found = run(
        config,
        vec![
            (SECOND, What::Job(holder)),
            (1500 * MS, What::Fault(Fault::Promote { server: 1 })),
            (1600 * MS, What::Fault(Fault::Move { client: 0 })),
            (1600 * MS, What::Fault(Fault::Follow { server: 0 })),
            (3 * SECOND, What::Fault(Fault::Promote { server: 0 })),
            (3100 * MS, What::Fault(Fault::Follow { server: 1 })),
            (6500 * MS, What::Job(job(1))),
        ],
    );
    assert_eq!(found, []);
}

/// An old master that does not notice in time that it was cut off, since it stands still for 1.2 seconds just before.
fn stalled(grace: i64) -> Vec<Violation> {
    let mut config = Config {
        servers: 3,
        has_spare: true,
        locks: 2,
        phase: [950 * MS, 10 * MS, 500 * MS],
        hears_of_every_loop: true,
        ..pair()
    };
    config.settings.max_ttl = Millis(3000);
    config.settings.grace_period = Millis(grace);
    let long = |client| Job {
        ttl: 3000,
        wait: Some(3000),
        steps: vec![(4 * SECOND, Step::Assert)],
        ..job(client)
    };
    let other = Job { lock: 1, ..job(2) };
    let still = Fault::Pause {
        server: 0,
        us: 1200 * MS,
    };
    run(
        config,
        vec![
            (4020 * MS, What::Fault(Fault::Promote { server: 1 })),
            (4100 * MS, What::Fault(Fault::Follow { server: 2 })),
            (4100 * MS, What::Fault(Fault::Move { client: 1 })),
            // Its event loop runs until then.
            (6850 * MS, What::Job(other)),
            (6900 * MS, What::Fault(still)),
            (8000 * MS, What::Job(long(0))),
            (9500 * MS, What::Job(long(1))),
        ],
    )
}

#[test]
fn a_grace_period_outlasts_a_standstill_of_the_old_master_that_is_not_noticed() {
    // max-ttl + F is not enough: F does not count that a master may stand still for up to 1.5 seconds unnoticed.
    let kinds = |grace| -> Vec<Kind> { stalled(grace).iter().map(|found| found.kind).collect() };
    assert_eq!(kinds(3000 + 3000), [Kind::TwoOwners]);
    assert_eq!(kinds(3000 + 3000 + 1500), []);
}

#[test]
fn a_renewal_that_shortens_a_lease_is_not_known_to_a_new_master() {
    // What is not promised: the old master ends the lease early, and grants the lock anew; the new one has not heard of
    // that, and confirms the hold with the lease that it knows.
    let mut config = Config {
        servers: 3,
        has_spare: true,
        phase: [950 * MS, 10 * MS, 500 * MS],
        ..pair()
    };
    config.settings.max_ttl = Millis(3000);
    config.settings.grace_period = Millis(6000);
    let run = |renewed| {
        let steps = [
            (500 * MS, Step::Renew(renewed)),
            (400 * MS, Step::Reenter(3000)),
            (2 * SECOND, Step::Assert),
        ];
        let holder = Job {
            ttl: 3000,
            steps: steps.to_vec(),
            ..job(0)
        };
        let next = Job {
            wait: None,
            ..job(2)
        };
        let found = run(
            config.clone(),
            vec![
                (3800 * MS, What::Job(holder)),
                (4020 * MS, What::Fault(Fault::Promote { server: 1 })),
                (4100 * MS, What::Fault(Fault::Follow { server: 2 })),
                (4600 * MS, What::Fault(Fault::Move { client: 0 })),
                (4850 * MS, What::Job(next)),
            ],
        );
        found.first().map(|found| found.kind)
    };
    assert_eq!(run(500), Some(Kind::TwoOwners));
    assert_eq!(run(3000), None);
}
