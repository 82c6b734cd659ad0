//! Failovers: a server that may know less than it ought to takes over, and no lock gets a second
//! owner.

mod beliefs;
mod by_cluster;
mod by_sentinel;
mod crowd;
mod line;
mod pair;
mod pause;
mod restart;
mod trial;
mod worker;

use crate::support::{eventually, Cut};
use pair::{Pair, Times};
use std::thread::spawn;
use trial::{Outcome, Plan};

/// Without a grace period, and with leases for as long as one likes.
const NO_GRACE: Times = Times {
    max_ttl: 60_000,
    grace: 0,
    min_replicas: 0,
};

/// Has a lock granted after the link was cut, and asks for it on the promoted replica. Returns the
/// replies.
fn granted_after_the_cut(times: Times, cut: Cut) -> [[i64; 4]; 2] {
    let pair = Pair::start(times);
    let (mut old, mut new) = (pair.master.client(), pair.replica.client());
    let mut first = String::new();
    eventually("a lock is granted after a cut", || {
        pair.network.cut(cut);
        first = old.run("LOCK.ACQUIRE orders first");
        // It may have noticed on a busy machine, which is slow to do the one after the other.
        let noticed = first.starts_with("NOREPLICAS ");
        if noticed {
            pair.network.heal();
        }
        !noticed
    });
    pair.promote();
    pair.take_writes();
    let second = new.grant("LOCK.ACQUIRE orders second");
    assert_eq!(old.run("LOCK.ASSERT orders first"), "OK");
    assert!(first.starts_with("[1 1 "), "{first}");
    let numbers = first.trim_matches(['[', ']']).split(' ');
    let first: Vec<i64> = numbers.map(|number| number.parse().unwrap()).collect();
    [first.try_into().unwrap(), second]
}

#[test]
fn without_a_grace_period_a_lock_that_was_granted_after_the_cut_has_two_owners() {
    for cut in [Cut::Closed, Cut::Frozen] {
        let [first, second] = granted_after_the_cut(NO_GRACE, cut);
        assert_eq!((first[0], second[0]), (1, 1), "{cut:?}");
    }
}

#[test]
fn that_a_master_waits_for_replicas_does_not_help_until_it_notices_that_they_are_gone() {
    let times = Times {
        min_replicas: 1,
        ..NO_GRACE
    };
    let [first, second] = granted_after_the_cut(times, Cut::Frozen);
    assert_eq!((first[0], second[0]), (1, 1));
}

#[test]
fn with_a_grace_period_a_lock_that_was_granted_after_the_cut_is_granted_to_nobody_else() {
    let times = Times::safe(60_000);
    let [first, second] = granted_after_the_cut(times, Cut::Frozen);
    assert_eq!(first[0], 1);
    assert_eq!(second[..3], [0, 0, 0]);
    // However it is rounded.
    let grace = times.grace as i64 + 2;
    assert!((grace - 20_000..=grace).contains(&second[3]), "{second:?}");
}

/// Runs these plans at the same time.
fn run(plans: Vec<Plan>) -> Vec<Outcome> {
    let trials: Vec<_> = plans
        .into_iter()
        .map(|plan| spawn(move || plan.run()))
        .collect();
    let outcomes = trials.into_iter().map(|trial| trial.join().unwrap());
    outcomes.collect()
}

/// How many failovers there are, unless `LOCK_TEST_FAILOVERS` says how many.
const FAILOVERS: u64 = 16;

#[test]
fn no_client_ever_sees_a_second_owner_across_a_failover() {
    let count = std::env::var("LOCK_TEST_FAILOVERS").map_or(FAILOVERS, |n| n.parse().unwrap());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let first = std::env::var("LOCK_TEST_FAILOVER_SEED")
        .map_or(now.as_micros() as u64, |seed| seed.parse().unwrap());
    println!("LOCK_TEST_FAILOVER_SEED={first}");
    let plans: Vec<Plan> = (first..first + count)
        .map(|seed| Plan::random(seed, 1500))
        .collect();
    let mut after_cut = 0;
    for plans in plans.chunks(FAILOVERS as usize) {
        for (plan, outcome) in plans.iter().zip(run(plans.to_vec())) {
            let counts = (outcome.after_cut, outcome.on_new, outcome.confirmed);
            println!("granted after the cut, by the new one, confirmed: {counts:?} {plan:?}");
            assert!(outcome.wrong.is_empty(), "{}", outcome.wrong[0]);
            assert!(outcome.on_new > 0, "nothing was granted: {plan:?}");
            after_cut += outcome.after_cut;
        }
    }
    assert!(after_cut > 0, "no old master granted a lock after the cut");
}

/// How often two clients believed in one lock where the old master did not notice the cut, and the
/// replica was promoted at once.
fn wrong_with_grace(grace: u64, seeds: std::ops::Range<u64>) -> usize {
    let times = Times {
        grace,
        ..Times::safe(1500)
    };
    let plan = |seed| Plan {
        seed,
        times,
        linger: 0,
        how: Cut::Frozen,
        cut: 500,
        promote: 600,
        chain: true,
        alone: None,
        demote: None,
        heal: None,
    };
    let outcomes = run(seeds.map(plan).collect());
    outcomes.iter().map(|it| it.contradictions).sum()
}

#[test]
fn the_same_clients_do_see_second_owners_where_the_grace_period_is_too_short() {
    // The second one forgets how long a master that is cut off goes on.
    let found = |grace| (0..5).any(|n| wrong_with_grace(grace, 4 * n..4 * n + 4) > 0);
    let found = [0, 1500].map(|grace| spawn(move || found(grace)));
    assert_eq!(found.map(|found| found.join().unwrap()), [true; 2]);
}
