//! A cluster in which the replica of a master takes its place.

use super::crowd::{check_grace, Crowd};
use super::pair::Times;
use crate::support::{eventually, shard_replica, three_masters, Server};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const NODE_TIMEOUT: u64 = 2000;

/// For so long a master that is cut off may go on (F in a cluster).
const CUT_OFF: u64 = NODE_TIMEOUT + 1500;

const TIMES: Times = Times {
    max_ttl: 1500,
    grace: 1500 + CUT_OFF,
    min_replicas: 0,
};

/// How a replica takes the place of its master.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Both agree on it.
    Agreed,
    /// The master is killed.
    Killed,
    /// The master stands still until everyone has got used to the new one.
    StoodStill,
}

fn failover(how: How) {
    let setup = TIMES
        .setup()
        .config(&format!("cluster-node-timeout {NODE_TIMEOUT}"))
        .config("cluster-replica-validity-factor 0");
    let nodes = three_masters(&setup);
    // All locks of this test are in the first one's slots.
    let master = &nodes[0];
    let replica = shard_replica(master, &nodes, setup);
    eventually("the grace period of its start is over", || {
        let reply = master.client().run("LOCK.ACQUIRE {orders} me 1");
        reply.starts_with("[1 ")
    });
    let crowd = Crowd::begin(TIMES, [master.port(), replica.port()]);
    sleep(Duration::from_millis(700));
    let before = Instant::now();
    match how {
        How::Agreed => agree(&replica),
        How::Killed => master.signal(libc::SIGKILL),
        How::StoodStill => master.signal(libc::SIGSTOP),
    }
    check_grace(&replica, TIMES, before);
    if how == How::StoodStill {
        master.signal(libc::SIGCONT);
    }
    crowd.end(&replica);
    if how != How::Killed {
        eventually("it is the replica now", || {
            let role = |server: &Server| server.client().info("replication", "role");
            // Or it is the master again, on a busy machine.
            role(master) != role(&replica)
        });
    }
}

/// The master gives its place to the replica. On a busy machine the cluster may not agree in time, and the server
/// gives such a failover up after 5 s.
fn agree(replica: &Server) {
    let mut begun: Option<Instant> = None;
    eventually("the cluster agrees on the failover", || {
        if begun.is_none_or(|at| at.elapsed() > Duration::from_secs(6)) {
            let reply = replica.client().run("CLUSTER FAILOVER");
            assert!(reply == "OK" || reply.contains("replica"), "{reply}");
            begun = Some(Instant::now());
        }
        let role = replica.client().info("replication", "role");
        role.as_deref() == Some("master")
    });
}

#[test]
fn however_a_replica_takes_the_place_of_its_clusters_master_no_lock_gets_a_second_owner() {
    let stories = [How::Agreed, How::Killed, How::StoodStill];
    let stories = stories.map(|how| spawn(move || failover(how)));
    let ends = stories.map(|story| story.join().is_ok());
    assert_eq!(ends, [true; 3], "agreed, killed, stood still");
}
