//! What befalls a master and its replica: roles that change, by agreement or not, failovers and shutdowns that are given
//! up, a replica that lags, a network that is cut.

use super::Fault;
use crate::check::What;
use crate::topology::pair::Pair;
use crate::topology::{
    ask, is_master, nap, note_roles, signal, until_grants, until_says, while_dead, within, Topology,
};
use crate::world::World;
use fastrand::Rng;
use lock_test_support::Cut;
use std::time::Duration;

/// What a fault does. False: it could not be had.
type Act = fn(&World, &Pair, &mut Rng) -> bool;

/// A fault of a master and its replica.
struct OnPair {
    name: &'static str,
    act: Act,
}

/// These faults, each for itself.
pub fn faults(of: &[(&'static str, Act)]) -> Vec<Box<dyn Fault>> {
    let boxed = |(name, act): &(&'static str, Act)| {
        let (name, act) = (*name, *act);
        Box::new(OnPair { name, act }) as Box<dyn Fault>
    };
    of.iter().map(boxed).collect()
}

impl Fault for OnPair {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Topology::Pair(pair) = &world.topology else {
            return false;
        };
        note_roles(world);
        let done = (self.act)(world, pair, rng);
        if !pair.mend(world) {
            world.fail(format!("after {} no replica follows its master", self.name));
        }
        note_roles(world);
        // Mostly the clients get their locks before the next one; else it comes in the grace period of this one.
        if rng.u8(..4) > 0 {
            until_grants(world, pair.master());
            nap(world, rng, 2000);
        }
        done
    }

    fn calm(&mut self, world: &World) {
        if let Topology::Pair(pair) = &world.topology {
            pair.mend(world);
        }
    }
}

/// Those in which each write that was answered is known to whoever is the master then.
pub const WITHOUT_LOSS: [(&str, Act); 6] = [
    ("failover", failover),
    ("failover-timeout", failover_that_times_out),
    ("failover-abort", failover_that_is_aborted),
    ("shutdown-abort", shutdown_and_abort),
    ("replica-stopped", replica_stopped),
    ("link-cut", link_cut),
];

/// Those in which the new master may not know the last writes of the old one.
pub const WITH_LOSS: [(&str, Act); 5] = [
    ("failover-force", failover_by_force),
    ("replicaof-there-and-back", roles_exchanged),
    ("promoted-behind-a-cut", promoted_behind_a_cut),
    ("promoted-while-stopped", promoted_while_stopped),
    ("promoted-after-kill", promoted_after_kill),
];

fn failover(_: &World, pair: &Pair, _: &mut Rng) -> bool {
    let [old, new] = [pair.master(), pair.replica()].map(|number| pair.port(number));
    if ask(old, "FAILOVER").as_deref() != Some("OK") {
        return false;
    }
    let done = within(Duration::from_secs(10), || is_master(new));
    if done {
        pair.swap();
    }
    done
}

/// Stops the replica, so that it does not hear of what is written now.
fn with_deaf_replica(world: &World, pair: &Pair, work: impl FnOnce(u16)) -> bool {
    let master = pair.port(pair.master());
    signal(world, pair.replica(), libc::SIGSTOP);
    // Else it is not behind, and a failover succeeds, and a shutdown is one.
    ask(master, "PUBLISH deaf-replica x");
    let replication = ask(master, "INFO replication").unwrap_or_default();
    let behind = replication.contains("state=online");
    if behind {
        work(master);
    }
    signal(world, pair.replica(), libc::SIGCONT);
    behind
}

const NO_FAILOVER: &str = "master_failover_state:no-failover";

fn failover_that_times_out(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    let (timeout, replica) = (rng.u64(20..800), pair.port(pair.replica()));
    with_deaf_replica(world, pair, |master| {
        let line = format!("FAILOVER TO 127.0.0.1 {replica} TIMEOUT {timeout}");
        ask(master, &line);
        until_says(master, "INFO replication", NO_FAILOVER);
    })
}

fn failover_that_is_aborted(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    with_deaf_replica(world, pair, |master| {
        ask(master, "FAILOVER");
        nap(world, rng, 800);
        ask(master, "FAILOVER ABORT");
        until_says(master, "INFO replication", NO_FAILOVER);
    })
}

fn shutdown_and_abort(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    with_deaf_replica(world, pair, |master| {
        // It waits for the replica, as long as that is behind.
        std::thread::scope(|scope| {
            scope.spawn(|| ask(master, "SHUTDOWN NOSAVE"));
            nap(world, rng, 800);
            until_says(master, "SHUTDOWN ABORT", "OK");
        });
    })
}

fn replica_stopped(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    signal(world, pair.replica(), libc::SIGSTOP);
    nap(world, rng, 4000);
    signal(world, pair.replica(), libc::SIGCONT);
    true
}

/// Cuts the link in any way. False: there is none to cut.
fn cut(world: &World, pair: &Pair, how: &[Cut], rng: &mut Rng) -> bool {
    let how = how[rng.usize(..how.len())];
    let Some(link) = pair.link_to_master() else {
        return false;
    };
    link.cut(how);
    world.note(What::Fault(format!("the link is cut: {how:?}")));
    true
}

const ANYHOW: [Cut; 5] = [
    Cut::Frozen,
    Cut::Frozen,
    Cut::Closed,
    Cut::FrozenThere,
    Cut::FrozenBack,
];

fn link_cut(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    let done = cut(world, pair, &ANYHOW, rng);
    nap(world, rng, 4000);
    done
}

/// The replica lags behind a cut, and is made the master all the same. The master agrees: it takes no writes from when
/// it is asked.
fn failover_by_force(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    cut(world, pair, &[Cut::Frozen], rng);
    nap(world, rng, 1000);
    let [old, new] = [pair.master(), pair.replica()].map(|number| pair.port(number));
    let timeout = rng.u64(20..300);
    let line = format!("FAILOVER TO 127.0.0.1 {new} TIMEOUT {timeout} FORCE");
    let begun = ask(old, &line).as_deref() == Some("OK");
    let done = begun && within(Duration::from_secs(10), || is_master(new));
    if done {
        pair.swap();
    }
    done
}

fn roles_exchanged(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    pair.promote();
    pair.tell();
    // Both are masters for so long, and the old one knows that it has no replica.
    nap(world, rng, 500);
    pair.demote();
    true
}

fn promoted_behind_a_cut(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    if !cut(world, pair, &ANYHOW, rng) {
        return false;
    }
    let most = [0, 300, 3000][rng.usize(..3)];
    nap(world, rng, most);
    pair.promote();
    if rng.bool() {
        pair.take_writes_alone();
    }
    pair.tell();
    // The old one is a master all the while, and grants until it notices.
    nap(world, rng, 4000);
    true
}

fn promoted_while_stopped(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    let old = pair.master();
    signal(world, old, libc::SIGSTOP);
    nap(world, rng, 1000);
    pair.promote();
    pair.take_writes_alone();
    pair.tell();
    nap(world, rng, 8000);
    signal(world, old, libc::SIGCONT);
    // It does not know yet that it is replaced.
    nap(world, rng, 1000);
    true
}

fn promoted_after_kill(world: &World, pair: &Pair, rng: &mut Rng) -> bool {
    while_dead(world, pair.master(), || {
        pair.promote();
        pair.take_writes_alone();
        pair.tell();
        nap(world, rng, 3000);
    })
}
