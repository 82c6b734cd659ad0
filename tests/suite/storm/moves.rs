//! What troubles a cluster: slots that move, are taken with the locks in them, or are nobody's for a
//! while, and a master that makes room for its replica.

use super::aftermath::master_of;
use super::control::Control;
use super::world::{one_of, World};
use crate::support::{has_slot, owner_of_slot};
use fastrand::Rng;
use std::time::Duration;

/// Goes on until the storm is over.
pub fn run(world: &World, mut dice: Rng) {
    let mut moves = Moves::new(world, &mut dice);
    while !world.is_over() {
        moves.make(&mut dice);
        moves.control(0).nap(40);
    }
}

/// A connection to each node.
pub struct Moves<'a> {
    controls: Vec<Control<'a>>,
    ids: Vec<String>,
    slots: Vec<i64>,
}

impl<'a> Moves<'a> {
    /// Connects.
    pub fn new(world: &'a World, dice: &mut Rng) -> Moves<'a> {
        let nodes = 0..world.nodes.len();
        let mut controls: Vec<Control> = nodes
            .map(|node| Control::new(world, node, dice.fork()))
            .collect();
        let ids = controls
            .iter_mut()
            .map(|control| control.say("CLUSTER MYID"))
            .collect();
        let slot = |prefix: &String| {
            controls[0]
                .say(&format!("CLUSTER KEYSLOT {prefix}"))
                .parse()
        };
        let slots = world.prefixes.iter().map(slot).collect::<Result<_, _>>();
        let slots = slots.unwrap_or_default();
        Moves {
            controls,
            ids,
            slots,
        }
    }

    fn control(&mut self, node: usize) -> &mut Control<'a> {
        &mut self.controls[node]
    }

    fn make(&mut self, dice: &mut Rng) {
        let slot = self.slots[dice.usize(..self.slots.len())];
        let Some(from) = self.owner(slot) else {
            return;
        };
        let mut masters = self.masters();
        masters.retain(|node| *node != from);
        let Some(to) = dice.choice(masters) else {
            return;
        };
        if dice.bool() {
            self.control(from).mass_expiry();
        }
        // Who has a replica must not lose a slot in a pause: it fails an assertion of its own.
        let replicas = self.control(from).number("replication", "connected_slaves");
        if replicas == 0 && dice.usize(..2) == 0 {
            self.control(from).pause();
        }
        match dice.usize(..16) {
            0..=3 => self.take(slot, from, to),
            4..=6 => self.hand(slot, from, to, dice),
            7 => self.begin_and_stop(slot, from, to),
            8 => self.disown(slot, from),
            9 => self.move_at_once(slot, from, to),
            10 => self.make_room(dice),
            11..=13 => self.control(from).clients(),
            _ => self.control(from).settings(),
        }
    }

    /// The node that has a slot, once they agree: what a server does in a pause about a slot that it
    /// learns to have lost, it has to answer for itself (it fails an assertion).
    fn owner(&mut self, slot: i64) -> Option<usize> {
        for _ in 0..300 {
            let nodes = self.controls.iter_mut().enumerate();
            let owners: Vec<usize> = nodes
                .filter_map(|(n, node)| has_slot(&node.say("CLUSTER NODES"), slot).then_some(n))
                .collect();
            if let [owner] = owners[..] {
                return Some(owner);
            }
            self.control(0).nap(20);
        }
        None
    }

    /// Another node takes the slot, and its keys are deleted where it was.
    pub fn take(&mut self, slot: i64, from: usize, to: usize) {
        let [from_id, to_id] = [from, to].map(|node| self.ids[node].clone());
        self.control(to)
            .say(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        self.control(to)
            .say(&format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
        self.owner(slot);
    }

    fn begin(&mut self, slot: i64, from: usize, to: usize) {
        let [from_id, to_id] = [from, to].map(|node| self.ids[node].clone());
        self.control(to)
            .say(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        self.control(from)
            .say(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
        self.control(from).nap(60);
    }

    /// It moves as it should, but some keys may be forgotten.
    fn hand(&mut self, slot: i64, from: usize, to: usize, dice: &mut Rng) {
        self.begin(slot, from, to);
        let port = self.controls[to].port();
        let keys = self
            .control(from)
            .say(&format!("CLUSTER GETKEYSINSLOT {slot} 1000"));
        let keys = keys.trim_matches(['[', ']']);
        let forgets = dice.bool();
        for key in keys.split_whitespace() {
            if !(forgets && dice.usize(..4) == 0) {
                let migrate = format!("MIGRATE 127.0.0.1 {port} {key} 0 1000 REPLACE");
                self.control(from).say(&migrate);
            }
        }
        let id = self.ids[to].clone();
        for node in std::iter::once(to).chain(0..self.controls.len()) {
            self.control(node)
                .say(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
        }
        self.owner(slot);
        for node in 0..self.controls.len() {
            self.control(node)
                .say(&format!("CLUSTER SETSLOT {slot} STABLE"));
        }
    }

    fn begin_and_stop(&mut self, slot: i64, from: usize, to: usize) {
        self.begin(slot, from, to);
        for node in [to, from] {
            self.control(node)
                .say(&format!("CLUSTER SETSLOT {slot} STABLE"));
        }
    }

    fn disown(&mut self, slot: i64, from: usize) {
        self.control(from).say(&format!("CLUSTER DELSLOTS {slot}"));
        self.control(from).nap(150);
        self.control(from).say(&format!("CLUSTER ADDSLOTS {slot}"));
    }

    /// As Valkey 9 moves a slot.
    fn move_at_once(&mut self, slot: i64, from: usize, to: usize) {
        let id = self.ids[to].clone();
        let line = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {id}");
        if self.control(from).say(&line) == "OK" {
            self.control(from).nap(300);
            self.control(from).say("CLUSTER CANCELSLOTMIGRATIONS");
            self.owner(slot);
        }
    }

    /// A replica takes the place of its master, which pauses its clients for that: see above.
    fn make_room(&mut self, dice: &mut Rng) {
        let masters = self.masters();
        let Some(replica) = (0..self.controls.len()).find(|node| !masters.contains(node)) else {
            return;
        };
        let nodes = &self.controls[0].world.nodes;
        let role = self.control(replica).say("ROLE");
        let Some(master) = master_of(nodes, &role) else {
            return;
        };
        // It has to know what its master has, or the master loses a part only.
        let link = self
            .control(replica)
            .say("INFO replication")
            .contains("link_status:up");
        // And all have to agree on who has which slot: a master that learns in the pause that it has lost one deletes its
        // keys, and 7.2 ends itself for that.
        let agree = self.slots.clone().into_iter().all(|slot| {
            let Some(owner) = self.owner(slot) else {
                return false;
            };
            (0..self.controls.len()).all(|node| {
                let nodes = self.control(node).say("CLUSTER NODES");
                owner_of_slot(&nodes, slot).is_some_and(|line| line.starts_with(&self.ids[owner]))
            })
        });
        if !link || !agree {
            return;
        }
        let how = one_of(dice, &["", "FORCE", "TAKEOVER"]);
        self.control(replica)
            .say(&format!("CLUSTER FAILOVER {how}"));
        // One that is elected with an epoch that its master has just taken for itself is a replica again at once, and its
        // master goes on pausing its clients.
        let done = self.control(replica).until("ROLE", "master")
            && self.control(master).until("ROLE", "slave");
        if !done {
            // Until its master has given up.
            std::thread::sleep(Duration::from_secs(5));
        }
    }

    fn masters(&mut self) -> Vec<usize> {
        let nodes = 0..self.controls.len();
        nodes
            .filter(|node| self.controls[*node].say("ROLE").contains("master"))
            .collect()
    }

    /// Gives each slot to one node, in the end.
    pub fn settle(&mut self) {
        for slot in self.slots.clone() {
            let master = self.masters().first().copied();
            for node in 0..self.controls.len() {
                self.control(node)
                    .say(&format!("CLUSTER SETSLOT {slot} STABLE"));
            }
            if let (None, Some(to)) = (self.owner(slot), master) {
                let from = (to + 1) % self.controls.len();
                self.take(slot, from, to);
            }
        }
    }
}
