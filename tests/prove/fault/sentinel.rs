//! What befalls servers that sentinels watch: masters that are killed or stand still, and an operator who has the roles
//! changed.

use super::Fault;
use crate::topology::sentinels::{Watched, SILENT};
use crate::topology::{is_master, nap, note_roles, signal, until_grants, while_dead, Topology};
use crate::world::World;
use fastrand::Rng;

/// What a fault does. False: it could not be had.
type Act = fn(&World, &Watched, &mut Rng) -> bool;

/// A fault of servers that sentinels watch.
struct OnWatched {
    name: &'static str,
    act: Act,
}

/// All of them. The new master may not know the last writes of the old one.
pub fn faults() -> Vec<Box<dyn Fault>> {
    let all: [(&'static str, Act); 4] = [
        ("sentinel-kill", killed),
        ("sentinel-stop", stopped),
        ("sentinel-short-stop", stopped_for_a_while),
        ("sentinel-failover", failed_over),
    ];
    let boxed = |(name, act)| Box::new(OnWatched { name, act }) as Box<dyn Fault>;
    all.into_iter().map(boxed).collect()
}

impl Fault for OnWatched {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Topology::Watched(watched) = &world.topology else {
            return false;
        };
        note_roles(world);
        let done = (self.act)(world, watched, rng);
        replaced(world, watched, rng);
        if !watched.mend(world) {
            world.fail(format!("after {} the sentinels have no replica", self.name));
        }
        note_roles(world);
        if rng.u8(..4) > 0 {
            until_grants(world, watched.pair.master());
            nap(world, rng, 2000);
        }
        done
    }

    fn calm(&mut self, world: &World) {
        if let Topology::Watched(watched) = &world.topology {
            watched.mend(world);
        }
    }
}

/// Where the sentinels have promoted the replica, the old master follows it when they find that it does not, in some ten
/// seconds, or when an operator sees to it before.
fn replaced(world: &World, watched: &Watched, rng: &mut Rng) {
    let pair = &watched.pair;
    if is_master(pair.port(pair.replica())) {
        pair.tell();
        if rng.u8(..4) > 0 {
            nap(world, rng, 2000);
            pair.demote();
        }
    }
}

fn killed(world: &World, watched: &Watched, rng: &mut Rng) -> bool {
    let mut promoted = false;
    let up = while_dead(world, watched.pair.master(), || {
        promoted = watched.until_promoted();
        nap(world, rng, 2000);
    });
    promoted && up
}

fn stopped(world: &World, watched: &Watched, rng: &mut Rng) -> bool {
    let master = watched.pair.master();
    signal(world, master, libc::SIGSTOP);
    let promoted = watched.until_promoted();
    nap(world, rng, 6000);
    signal(world, master, libc::SIGCONT);
    promoted
}

/// For less time than the sentinels wait, or a little more.
fn stopped_for_a_while(world: &World, watched: &Watched, rng: &mut Rng) -> bool {
    let master = watched.pair.master();
    signal(world, master, libc::SIGSTOP);
    nap(world, rng, u64::from(SILENT) * 3 / 2);
    signal(world, master, libc::SIGCONT);
    true
}

fn failed_over(_: &World, watched: &Watched, _: &mut Rng) -> bool {
    watched.fail_over() && watched.until_promoted()
}
