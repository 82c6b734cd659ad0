//! A failover that nobody asked for: sentinels find that the master is gone, and promote its replica.

use super::crowd::{check_grace, Crowd};
use super::pair::Times;
use crate::support::{eventually, Sentinels, Setup};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// A master is taken for gone when it was silent for so many ms.
const SILENT: u32 = 4000;

const TIMES: Times = Times::safe(1500);

/// Has the master go away while clients are at work, and come back, if it can, when those who wait
/// for its successor have got their locks.
fn failover(goes: i32, comes_back: i32) {
    let master = TIMES.running().start();
    let replica = TIMES.setup().replica_of(&master).start();
    master.wait_for_replica(&replica);
    // With it the new master takes writes at once.
    let _chained = replica.replica(Setup::without_module());
    let sentinels = Sentinels::start(&master, 1, SILENT);
    TIMES.settle(&master);
    let crowd = Crowd::begin(TIMES, [master.port(), replica.port()]);
    sleep(Duration::from_millis(700));
    let before = Instant::now();
    master.signal(goes);

    // The sentinels close its connections in that very step.
    eventually("the replica is promoted", || {
        replica.log().contains("MODE enabled (user request")
    });
    check_grace(&replica, TIMES, before);
    eventually("clients are sent to it", || {
        sentinels.master() == replica.port()
    });
    master.signal(comes_back);
    crowd.end(&replica);
}

#[test]
fn sentinels_that_promote_a_replica_make_no_second_owner_whether_its_master_is_dead_or_stood_still()
{
    let stories = [(libc::SIGKILL, 0), (libc::SIGSTOP, libc::SIGCONT)];
    let stories = stories.map(|(goes, comes)| spawn(move || failover(goes, comes)));
    let ends = stories.map(|story| story.join().is_ok());
    assert_eq!(ends, [true; 2], "dead, stood still");
}
