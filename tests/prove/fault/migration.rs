//! Slots that move from one master of a cluster to another, with the locks in them.

use super::cluster::{boxed, Act};
use super::Fault;
use crate::check::What;
use crate::record::Of;
use crate::topology::cluster::{Cluster, SHARDS};
use crate::topology::{is_master, within};
use crate::world::World;
use fastrand::Rng;
use lock_test_support::owner_of_slot;
use std::time::Duration;

/// All of them. No write is lost.
pub fn faults() -> Vec<Box<dyn Fault>> {
    let by_hand: Act = |world, cluster, rng| inject(world, cluster, rng, moved_by_hand);
    let at_once: Act = |world, cluster, rng| inject(world, cluster, rng, moved_at_once);
    let cancelled: Act = |world, cluster, rng| inject(world, cluster, rng, cancelled);
    boxed(&[
        ("slot-moved", by_hand, None),
        ("slot-moved-at-once", at_once, AT_ONCE),
        ("slot-move-cancelled", cancelled, AT_ONCE),
    ])
}

/// Valkey 9 moves a slot by itself.
const AT_ONCE: Option<&str> = Some("CLUSTER|MIGRATESLOTS");

/// So long a move may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A slot that is to move.
struct Move<'a> {
    cluster: &'a Cluster,
    slot: i64,
    from: usize,
    to: usize,
}

impl Move<'_> {
    /// Whether all masters name this node as that of the slot.
    fn is_at(&self, node: usize) -> bool {
        let id = self.cluster.id(node);
        let names_it = |master: usize| {
            let nodes = self.cluster.ask(master, "CLUSTER NODES");
            owner_of_slot(&nodes, self.slot).is_some_and(|line| line.starts_with(id))
        };
        self.cluster.masters().into_iter().all(names_it)
    }

    fn set(&self, node: usize, how: &str, other: usize) -> bool {
        let (slot, id) = (self.slot, self.cluster.id(other));
        let line = format!("CLUSTER SETSLOT {slot} {how} {id}");
        self.cluster.ask(node, &line) == "OK"
    }
}

/// Has one of the slots move, from wherever it is.
fn inject(
    world: &World,
    cluster: &Cluster,
    rng: &mut Rng,
    act: fn(&Move, &mut Rng) -> bool,
) -> bool {
    let slot = cluster.slots[rng.usize(..cluster.slots.len())];
    let masters = cluster.masters();
    let has_it = |node: &usize| {
        let nodes = cluster.ask(*node, "CLUSTER NODES");
        owner_of_slot(&nodes, slot).is_some_and(|line| line.contains("myself,master"))
    };
    let Some(from) = masters.into_iter().position(|node| has_it(&node)) else {
        return false;
    };
    let (from, to) = (
        masters[from],
        masters[(from + rng.usize(1..SHARDS)) % SHARDS],
    );
    // A node keeps its slots in its grace period: the other one has none, and would grant what that does not know.
    if !cluster.until_no_grace(from) {
        return false;
    }
    let begins = world.clock.now();
    world.note(What::Fault(format!(
        "slot {slot} moves from {from} to {to}"
    )));
    let slot_move = Move {
        cluster,
        slot,
        from,
        to,
    };
    let done = act(&slot_move, rng);
    if !is_master(cluster.port(from)) || !is_master(cluster.port(to)) {
        // On a busy machine a node may have been taken for dead in between: who took its place knows nothing of the move.
        world.note_at(begins, Of::Everything, What::MayLose);
        cluster.mend(world);
        world.note(What::Keeps);
    }
    done
}

/// As a resharding does it: key by key, while calls for keys that have gone, or never were, are sent to the target.
fn moved_by_hand(slot_move: &Move, rng: &mut Rng) -> bool {
    let Move {
        cluster,
        slot,
        from,
        to,
    } = *slot_move;
    if !slot_move.set(to, "IMPORTING", from) || !slot_move.set(from, "MIGRATING", to) {
        return false;
    }
    let (port, pause) = (cluster.port(to), Duration::from_millis(rng.u64(..60)));
    let keys = format!("CLUSTER GETKEYSINSLOT {slot} 10");
    // What is left behind is lost: it stays on the move until it is empty.
    within(PATIENCE, || {
        std::thread::sleep(pause);
        let keys = cluster.ask(from, &keys);
        let keys: Vec<&str> = keys.trim_matches(['[', ']']).split_whitespace().collect();
        for key in &keys {
            cluster.ask(from, &format!("MIGRATE 127.0.0.1 {port} {key} 0 2000"));
        }
        let order = [to, from].into_iter().chain(cluster.masters());
        keys.is_empty()
            && order
                .into_iter()
                .all(|node| slot_move.set(node, "NODE", to))
    }) && within(PATIENCE, || slot_move.is_at(to))
}

/// As Valkey 9 moves a slot by itself.
fn moved_at_once(slot_move: &Move, _: &mut Rng) -> bool {
    begin_at_once(slot_move) && within(PATIENCE, || slot_move.is_at(slot_move.to))
}

fn cancelled(slot_move: &Move, rng: &mut Rng) -> bool {
    let begun = begin_at_once(slot_move);
    std::thread::sleep(Duration::from_millis(rng.u64(..30)));
    let cancel = "CLUSTER CANCELSLOTMIGRATIONS";
    begun && slot_move.cluster.ask(slot_move.from, cancel) == "OK"
}

fn begin_at_once(slot_move: &Move) -> bool {
    let (slot, to) = (slot_move.slot, slot_move.cluster.id(slot_move.to));
    let line = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {to}");
    slot_move.cluster.ask(slot_move.from, &line) == "OK"
}
