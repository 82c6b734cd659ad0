//! What befalls a cluster: replicas that take their masters' places in each way there is, nodes that die or stand still,
//! and a bus that is parted.

use super::Fault;
use crate::check::What;
use crate::topology::cluster::{Cluster, SHARDS};
use crate::topology::{is_master, nap, note_roles, signal, while_dead, within, Topology};
use crate::world::{self, World};
use fastrand::Rng;
use lock_test_support::Cut;
use std::time::Duration;

/// What a fault does. False: it could not be had.
pub type Act = fn(&World, &Cluster, &mut Rng) -> bool;

/// A fault of a cluster.
struct OnCluster {
    name: &'static str,
    act: Act,
    /// The command that not every server has.
    needs: Option<&'static str>,
}

/// Those by which a replica may take its master's place. But for the first, it may not know the last writes.
pub fn faults() -> Vec<Box<dyn Fault>> {
    boxed(&[
        ("cluster-failover", agreed, None),
        ("cluster-failover-force", forced, None),
        ("cluster-failover-takeover", taken_over, None),
        ("cluster-kill", killed, None),
        ("cluster-stop", stopped, None),
        ("bus-parted", parted, None),
        ("bus-one-way", muted, None),
        ("bus-links-killed", links_killed, None),
        ("cluster-forget", forgotten, None),
    ])
}

/// A name, what is done, and the command that not every server has for it.
pub type Named = (&'static str, Act, Option<&'static str>);

/// These, each for itself.
pub fn boxed(acts: &[Named]) -> Vec<Box<dyn Fault>> {
    let boxed =
        |&(name, act, needs): &Named| Box::new(OnCluster { name, act, needs }) as Box<dyn Fault>;
    acts.iter().map(boxed).collect()
}

/// So long a fault may have to be waited for.
const PATIENCE: Duration = Duration::from_secs(30);

impl Fault for OnCluster {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lacks(&self, world: &World) -> Option<String> {
        let needs = self.needs?;
        let has = world::client(&world.nodes[0]).has(needs);
        (!has).then(|| format!("the server has no {needs}"))
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Topology::Cluster(cluster) = &world.topology else {
            return false;
        };
        note_roles(world);
        let done = (self.act)(world, cluster, rng);
        if !cluster.mend(world) {
            let views = cluster.shown();
            world.fail(format!(
                "after {} the cluster does not agree:\n{views}",
                self.name
            ));
        }
        note_roles(world);
        done
    }

    fn calm(&mut self, world: &World) {
        match &world.topology {
            // What has failed does not agree any more.
            Topology::Cluster(cluster) if world.failure().is_none() => drop(cluster.mend(world)),
            _ => (),
        }
    }
}

/// Has a replica take its master's place by a command, which a node may refuse, or give up after five seconds.
fn take_the_place(cluster: &Cluster, replica: usize, how: &str) -> bool {
    let line = format!("CLUSTER FAILOVER {how}");
    (0..3).any(|_| {
        cluster.ask(replica, &line);
        within(Duration::from_secs(6), || is_master(cluster.port(replica)))
    })
}

fn agreed(_: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let [_, replica] = cluster.shard(rng.usize(..SHARDS));
    take_the_place(cluster, replica, "")
}

/// The master lives and knows of nothing, or stands still.
fn without_its_master(world: &World, cluster: &Cluster, rng: &mut Rng, how: &str) -> bool {
    let [master, replica] = cluster.shard(rng.usize(..SHARDS));
    match rng.u8(..3) {
        0 => signal(world, master, libc::SIGSTOP),
        1 => cluster.part(&[master], Cut::Frozen),
        _ => (),
    }
    nap(world, rng, 500);
    let done = take_the_place(cluster, replica, how);
    cluster.tell(replica);
    nap(world, rng, 4000);
    done
}

fn forced(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    without_its_master(world, cluster, rng, "FORCE")
}

fn taken_over(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    without_its_master(world, cluster, rng, "TAKEOVER")
}

/// Waits until a replica has taken its master's place, or mostly: else for a time after which nothing or everything may
/// have changed.
fn until_replaced(world: &World, cluster: &Cluster, replica: usize, rng: &mut Rng) -> bool {
    if rng.u8(..4) == 0 {
        nap(world, rng, 4000);
        return true;
    }
    let replaced = within(PATIENCE, || is_master(cluster.port(replica)));
    cluster.tell(replica);
    replaced
}

fn killed(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let [master, replica] = cluster.shard(rng.usize(..SHARDS));
    let mut done = false;
    let up = while_dead(world, master, || {
        done = until_replaced(world, cluster, replica, rng);
        nap(world, rng, 1000);
    });
    cluster.announce(master);
    done && up
}

fn stopped(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let [master, replica] = cluster.shard(rng.usize(..SHARDS));
    signal(world, master, libc::SIGSTOP);
    let done = until_replaced(world, cluster, replica, rng);
    nap(world, rng, 3000);
    signal(world, master, libc::SIGCONT);
    done
}

/// A master alone, with its replica, a replica alone, or two masters: what is left may or may not be the greater part.
fn some_nodes(cluster: &Cluster, rng: &mut Rng) -> Vec<usize> {
    let shard = rng.usize(..SHARDS);
    let [master, replica] = cluster.shard(shard);
    let [another, _] = cluster.shard((shard + 1) % SHARDS);
    match rng.u8(..5) {
        0 | 1 => vec![master],
        2 => vec![master, replica],
        3 => vec![replica],
        _ => vec![master, another],
    }
}

fn parted(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let some = some_nodes(cluster, rng);
    let how = [Cut::Frozen, Cut::Closed][rng.usize(..2)];
    world.note(What::Fault(format!("nodes {some:?} are cut off: {how:?}")));
    cluster.part(&some, how);
    nap(world, rng, 9000);
    true
}

fn muted(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let some = some_nodes(cluster, rng);
    world.note(What::Fault(format!("nodes {some:?} are not heard")));
    cluster.mute(&some);
    nap(world, rng, 9000);
    true
}

/// By the network: `DEBUG CLUSTERLINK KILL` of a link that has just closed ends Redis 7.0.
fn links_killed(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    for _ in 0..rng.usize(1..20) {
        let (one, other) = (rng.usize(..cluster.size()), rng.usize(..cluster.size()));
        cluster.close_link(one, other);
        nap(world, rng, 100);
    }
    true
}

/// A node forgets a replica of another shard. Newer servers tell the others to forget it too. All meet it again when the
/// cluster is mended.
fn forgotten(world: &World, cluster: &Cluster, rng: &mut Rng) -> bool {
    let shard = rng.usize(..SHARDS);
    let [_, replica] = cluster.shard(shard);
    let [other, _] = cluster.shard((shard + 1) % SHARDS);
    let forgot = cluster.forget(other, replica);
    nap(world, rng, 2000);
    forgot
}
