//! Scenarios of several servers. With the grace period that docs/guarantees.md asks for, a lock has one owner across
//! whatever befalls them; without it, second owners are counted and break no promise.

use super::{Crowd, Faults, Promises, Scenario, Sessions, ALL, BUSY};
use crate::check::Kind;
use crate::fault::clients::{Kill, Rights, Unblock};
use crate::fault::{cluster, migration, replication, Fault};
use crate::fault::{replication::WITHOUT_LOSS, replication::WITH_LOSS, sentinel};
use crate::topology::cluster::Cluster;
use crate::topology::pair::Pair;
use crate::topology::sentinels::Watched;
use crate::topology::{Times, CUT_OFF};
use crate::world::World;
use std::time::Duration;

/// The longest lease, in ms.
const MAX_TTL: u64 = 1500;

/// For so long a node of a cluster may be silent, in ms.
const NODE_TIMEOUT: u64 = 2000;

/// Of a master and its replica, all of which may be promoted.
const PAIR: Times = Times::safe(MAX_TTL, CUT_OFF, 1);

/// Of a cluster, by its own `F`. Here replicas take over by force whenever they like: what docs/guarantees.md asks to wait
/// before that is part of the grace period.
const SHARD: Times = Times::safe(MAX_TTL, NODE_TIMEOUT + 1500 + BEFORE_FORCE, 0);

/// Half of the time after which a node counts as failed, and 0.1 s.
const BEFORE_FORCE: u64 = NODE_TIMEOUT / 2 + 100;

/// Another server may take over from the one that renews a session, and clients ask it by their tokens.
const PROMISED: Promises = Promises {
    sessions: Sessions::WhileAnswered,
    one_order_of_tokens: false,
    ..ALL
};

/// What happens where a new master lacks the last writes of the old one, and has no grace period.
const NOT_PROMISED: Promises = Promises {
    tolerated: &[Kind::TwoOwners, Kind::LeaseCutShort],
    ..PROMISED
};

/// Nobody asks for less than is left of a lease: a new master may know the longer one only. Who closes a connection
/// gives its session up.
const CROWD: Crowd = Crowd {
    shortens: false,
    linger: 0,
    round: Duration::from_secs(25),
    ..BUSY
};

/// The scenarios.
pub fn all() -> Vec<Scenario> {
    let one = |name, about, start, faults: Faults, promises| Scenario {
        name,
        about,
        short: false,
        start,
        troublemakers: vec![faults, clients],
        pause: Duration::from_millis(500),
        promises,
        crowd: CROWD,
        finally: |_| Ok(()),
        instead: None,
    };
    vec![
        Scenario {
            short: true,
            crowd: Crowd {
                round: Duration::from_millis(2500),
                ..CROWD
            },
            ..one(
                "replica",
                "a master and its replica, and no write is lost",
                || Ok(pair(PAIR.without_grace())),
                || replication::faults(&WITHOUT_LOSS),
                PROMISED,
            )
        },
        one(
            "promotion",
            "a replica that lacks writes is promoted, with a grace period",
            || Ok(pair(PAIR)),
            replication,
            PROMISED,
        ),
        one(
            "promotion-without-grace",
            "the same without a grace period: second owners are not excluded",
            || Ok(pair(PAIR.without_grace())),
            || replication::faults(&WITH_LOSS),
            NOT_PROMISED,
        ),
        one(
            "sentinel",
            "sentinels promote the replica, with a grace period",
            || Ok(Watched::world(PAIR)),
            sentinel::faults,
            PROMISED,
        ),
        one(
            "cluster",
            "replicas take their masters' places, and slots move, with a grace period",
            || Ok(Cluster::world(SHARD, NODE_TIMEOUT)),
            || {
                let mut faults = cluster::faults();
                faults.extend(migration::faults());
                faults
            },
            PROMISED,
        ),
        one(
            "cluster-without-grace",
            "replicas take their masters' places without a grace period: second owners are not excluded",
            || Ok(Cluster::world(SHARD.without_grace(), NODE_TIMEOUT)),
            cluster::faults,
            NOT_PROMISED,
        ),
        one(
            "slots",
            "slots move, and no node fails",
            || Ok(Cluster::world(SHARD.without_grace(), 15_000)),
            migration::faults,
            PROMISED,
        ),
    ]
}

/// What befalls clients while servers fail. They are not paused: a master that learns in a pause that it has lost a slot
/// deletes its keys, and some servers end themselves for that.
fn clients() -> Vec<Box<dyn Fault>> {
    vec![
        Box::new(Kill),
        Box::new(Unblock {
            beside_pauses: true,
        }),
        Box::new(Rights),
    ]
}

fn pair(times: Times) -> World {
    let (servers, pair) = Pair::start(times, |setup| setup);
    Pair::world(servers, pair)
}

fn replication() -> Vec<Box<dyn Fault>> {
    let mut faults = replication::faults(&WITHOUT_LOSS);
    faults.extend(replication::faults(&WITH_LOSS));
    faults
}
