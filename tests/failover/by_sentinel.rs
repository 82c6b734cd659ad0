//! A failover that nobody asked for: sentinels find that the master is gone, and promote its replica.

use super::pair::Times;
use super::support::{eventually, Sentinels, Setup, Waiter};
use super::trial::wrong;
use super::worker::{run, Life, Task};
use crate::dice::Dice;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// A master is taken for gone when it was silent for so many ms.
const SILENT: u32 = 1000;

const TIMES: Times = Times::safe(1500);

/// How long clients are at work.
const WORK: Duration = Duration::from_secs(12);

/// Clients of the first master, who turn to the second one when the first is dead, and clients of
/// the second one.
fn tasks(ports: [u16; 2]) -> Vec<Task> {
    let now = Instant::now();
    let task = |worker: u64| Task {
        ports,
        lock: format!("k{}", worker / 2 % 4),
        owner: format!("o{worker}"),
        max_ttl: TIMES.max_ttl,
        linger: 0,
        begins: now,
        moves: if worker % 2 == 0 { now + 2 * WORK } else { now },
        ends: now + WORK,
        dice: Dice(0x5eed + worker),
    };
    (0..16).map(task).collect()
}

/// Has the master go away while clients are at work, and come back, if it can, when those who wait
/// for its successor have got their locks.
fn failover(goes: i32, comes_back: i32) {
    let master = TIMES.first().start();
    let replica = TIMES.setup().replica_of(&master).start();
    master.wait_for_replica(&replica);
    // With it the new master takes writes at once.
    let _chained = replica.replica(Setup::without_module());
    let sentinels = Sentinels::start(&master, 1, SILENT);
    TIMES.settle(&master);
    let start = Instant::now();
    let workers = tasks([master.port(), replica.port()]);
    let workers: Vec<_> = workers.into_iter().map(|t| spawn(move || run(t))).collect();
    sleep(Duration::from_millis(700));
    master.signal(goes);

    // The sentinels close its connections in that very step.
    eventually("the replica is promoted", || {
        replica.log().contains("MASTER MODE enabled")
    });
    let promoted = Instant::now();
    let left = replica.client().counter("grace_ms_left");
    assert!((1..=TIMES.grace).contains(&left), "{left}");
    let wait = |owner| format!("LOCK.ACQUIRE line {owner} 1000 WAIT 0");
    let mut line = ["a", "b", "c"].map(|owner| (owner, Waiter::start(&replica, &wait(owner))));
    for (owner, waiter) in &mut line {
        assert_eq!(waiter.grant()[..2], [1, 1], "{owner}");
        assert!(promoted.elapsed().as_millis() as u64 >= left, "{owner}");
        assert_eq!(waiter.run(&format!("LOCK.RELEASE line {owner}")), "0");
    }
    eventually("clients are sent to it", || {
        sentinels.master() == replica.port()
    });
    master.signal(comes_back);
    let lives = workers.into_iter().map(|worker| worker.join().unwrap());
    let lives: Vec<Life> = lives.collect();
    let wrong = wrong(&lives, start, "by sentinel");
    assert!(wrong.is_empty(), "{}", wrong[0]);
    let beliefs = || lives.iter().flat_map(|life| &life.beliefs);
    for side in [0, 1] {
        assert!(
            beliefs().any(|it| it.side == side),
            "{side} granted nothing"
        );
    }
}

#[test]
fn sentinels_that_promote_the_replica_of_a_dead_master_make_no_second_owner() {
    failover(libc::SIGKILL, 0);
}

#[test]
fn a_master_that_sentinels_found_silent_makes_no_second_owner_when_it_goes_on() {
    failover(libc::SIGSTOP, libc::SIGCONT);
}
