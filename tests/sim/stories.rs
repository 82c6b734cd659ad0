//! What the simulator has found, each as the shortest schedule in which it happened.
//!
//! The seeds are those at which it was found. They repeat nothing any more: a seed stands for a history of the plans as
//! they were then.

use crate::check::{Kind, Us, Violation};
use crate::run::execute;
use crate::schedule::{Action, Config, End, Fault, Job, Schedule, Step, What};
use redis_reentrant_lock::lock::Millis;

const MS: Us = 1000;
const SECOND: Us = 1_000_000;

/// Two servers with a grace period as it should be: leases of at most a second, and what an old master may still grant.
fn pair() -> Config {
    let mut config = Config {
        servers: 2,
        min_replicas: 1,
        ..Config::plain("story")
    };
    set_longest_lease(&mut config, 1000);
    config
}

/// The longest lease, and the grace period that the promise asks for: `max-ttl + F`.
fn set_longest_lease(config: &mut Config, max_ttl: i64) {
    let cut_off = config.cut_off();
    config.settings.max_ttl = Millis(max_ttl);
    config.settings.grace_period = Millis(max_ttl + cut_off);
    config.promises.kept_linger = cut_off;
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
    // Plan `pauses`, seed 105332: the owner was never served, once its lapsed lease was written again.
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
    // Plan `skew`, seed 102269: two owners over two failovers.
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
/// The grace period is what the promise asks for, and so much less. Returns what went wrong.
fn stalled(less: i64) -> Vec<Kind> {
    let mut config = Config {
        servers: 3,
        has_spare: true,
        locks: 2,
        phase: [950 * MS, 10 * MS, 500 * MS],
        hears_of_every_loop: true,
        ..pair()
    };
    set_longest_lease(&mut config, 3000);
    config.settings.grace_period.0 -= less;
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
    let found = run(
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
    );
    found.iter().map(|found| found.kind).collect()
}

#[test]
fn a_grace_period_outlasts_a_standstill_of_the_old_master_that_is_not_noticed() {
    // F counts that a master may stand still for up to 1.5 seconds unnoticed. Without these it was too short.
    assert_eq!(stalled(1500), [Kind::TwoOwners]);
    assert_eq!(stalled(0), []);
}

#[test]
fn two_standstills_of_the_old_master_are_more_than_a_grace_period_counts_with() {
    // What is not promised: the old master reads the last word of its replica late, since it stands still then, and
    // stands still again just before it would notice that no other came. Neither is noticed, and together they last
    // longer than 1.5 seconds.
    let run = |first: Us| {
        let mut config = Config {
            servers: 3,
            has_spare: true,
            phase: [950 * MS, 10 * MS, 500 * MS],
            hears_of_every_loop: true,
            ..pair()
        };
        set_longest_lease(&mut config, 3000);
        let still = |us| What::Fault(Fault::Pause { server: 0, us });
        let long = |client| Job {
            ttl: 3000,
            wait: Some(6000),
            steps: vec![(2900 * MS, Step::Assert)],
            ..job(client)
        };
        // Its event loop runs just before.
        let other = |client| Job {
            lock: 1,
            ..job(client)
        };
        let found = run(
            Config { locks: 2, ..config },
            vec![
                (4002 * MS, What::Job(other(2))),
                (4005 * MS, still(first)),
                (4020 * MS, What::Fault(Fault::Promote { server: 1 })),
                (4100 * MS, What::Fault(Fault::Follow { server: 2 })),
                (4100 * MS, What::Fault(Fault::Move { client: 1 })),
                (7430 * MS, What::Job(other(2))),
                (7440 * MS, still(1490 * MS)),
                (8900 * MS, What::Job(long(0))),
                (8900 * MS, What::Job(long(1))),
            ],
        );
        found.first().map(|found| found.kind)
    };
    assert_eq!(run(1445 * MS), Some(Kind::TwoOwners));
    assert_eq!(run(MS), None);
}

/// The same of a master that was isolated in its cluster, since it stands still when it would notice that.
fn stalled_in_a_cluster(less: i64) -> Vec<Kind> {
    let mut config = Config {
        cluster: true,
        servers: 2,
        min_replicas: 0,
        locks: 2,
        node_timeout: 2000,
        phase: [950 * MS, 10 * MS, 0],
        hears_of_every_loop: true,
        ..pair()
    };
    set_longest_lease(&mut config, 3000);
    config.settings.grace_period.0 -= less;
    let long = |client| Job {
        ttl: 3000,
        wait: Some(3000),
        steps: vec![(2900 * MS, Step::Assert)],
        ..job(client)
    };
    let still = Fault::Pause {
        server: 0,
        us: 1490 * MS,
    };
    let found = run(
        config,
        vec![
            (SECOND, What::Fault(Fault::Isolate { server: 0 })),
            (2100 * MS, What::Fault(Fault::Promote { server: 1 })),
            (2200 * MS, What::Fault(Fault::Move { client: 1 })),
            // Its event loop runs until then.
            (4030 * MS, What::Job(Job { lock: 1, ..job(2) })),
            (4040 * MS, What::Fault(still)),
            (5400 * MS, What::Job(long(0))),
            (6 * SECOND, What::Job(long(1))),
        ],
    );
    found.iter().map(|found| found.kind).collect()
}

#[test]
fn a_grace_period_in_a_cluster_outlasts_a_standstill_of_the_old_master_that_is_not_noticed() {
    assert_eq!(stalled_in_a_cluster(1500), [Kind::TwoOwners]);
    assert_eq!(stalled_in_a_cluster(0), []);
}

#[test]
fn a_longest_lease_that_is_raised_before_the_grace_period_is_makes_two_owners() {
    // The promise asks for `max-ttl + F` at all times: the grace period has to be raised first, on every server.
    let run = |raises_grace_first: bool| {
        let config = pair();
        let grace = 5000 + config.cut_off();
        let everywhere = |at, name, value| {
            let set = move |server| What::Fault(Fault::setting(server, name, value));
            [(at, set(0)), (at, set(1))]
        };
        let long = |client| Job {
            ttl: 5000,
            steps: vec![(4900 * MS, Step::Assert)],
            ..job(client)
        };
        let mut actions = vec![
            (1100 * MS, What::Fault(Fault::Cut { from: 0, to: 1 })),
            (2 * SECOND, What::Fault(Fault::Promote { server: 1 })),
            (2100 * MS, What::Fault(Fault::Move { client: 1 })),
            // The old master still grants.
            (3200 * MS, What::Job(long(0))),
            (4900 * MS, What::Fault(Fault::Heal { from: 0, to: 1 })),
            (5 * SECOND, What::Fault(Fault::Follow { server: 0 })),
            (6 * SECOND, What::Job(long(1))),
        ];
        actions.extend(everywhere(SECOND, "max-ttl", 5000));
        if raises_grace_first {
            actions.extend(everywhere(SECOND / 2, "grace-period", grace));
        }
        let found = run(config, actions);
        found.first().map(|found| found.kind)
    };
    assert_eq!(run(false), Some(Kind::TwoOwners));
    assert_eq!(run(true), None);
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
    set_longest_lease(&mut config, 3000);
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
