//! Replicas: the stream, acknowledgements, what a server does once a second, and how a cluster misses a master.

use super::node::Node;
use super::{Event, World, MS, SECOND};
use crate::check::{Us, What};
use redis_reentrant_lock::engine;

/// How often a node of a cluster checks which others it reaches.
const CHECKED: Us = 100 * MS;

impl Node {
    /// It reaches the other masters of its cluster again.
    pub(super) fn rejoins(&mut self) {
        self.isolated = None;
        self.host.in_cluster = true;
    }
}

impl World<'_> {
    /// A master loses the others of its cluster. A node asks each other one after half the timeout, and misses it when
    /// there was no answer for the timeout.
    pub(super) fn isolate(&mut self, server: u8) {
        let (now, timeout) = (self.now, self.config.node_timeout * MS);
        let node = self.node(server);
        if node.follows.is_some() {
            return;
        }
        node.isolated = Some(now);
        node.isolations += 1;
        let number = node.isolations;
        let check = self.config.phase[usize::from(server)] % CHECKED;
        let missed = timeout / 2 + timeout + check;
        self.after(missed, Event::ClusterFails(server, number));
    }

    /// Whether the other masters may miss this one already. They may have asked it just before it was isolated; then one of
    /// its replicas is given votes no sooner than after the timeout. Half of it is what is relied on.
    pub(super) fn is_missed(&mut self, server: u8) -> bool {
        let (now, half) = (self.now, self.config.node_timeout * MS / 2);
        let isolated = self.node(server).isolated;
        isolated.is_some_and(|since| now - since >= half + CHECKED)
    }

    pub(super) fn cluster_fails(&mut self, server: u8, number: u32, event: Event) {
        let node = self.node(server);
        let is_same = node.isolations == number && node.isolated.is_some();
        if is_same && self.runs(server, event) {
            self.node(server).host.in_cluster = false;
            self.turn(server);
        }
    }

    fn is_cut(&self, from: u8, to: u8) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// A server becomes a replica of another one, and gets all its data.
    pub(super) fn follow(&mut self, server: u8, master: u8) {
        let now = self.now;
        let node = self.node(server);
        let was_master = std::mem::replace(&mut node.host.master, false);
        node.follows = Some(master);
        if was_master {
            self.tell(server, engine::Event::RoleChanged { master: false });
            self.note(What::Role {
                server,
                master: false,
            });
        }
        self.synchronize(server);
        let seconds = self.node(master).seconds(now);
        let replicas = &mut self.node(master).replicas;
        replicas.retain(|(replica, _)| *replica != server);
        replicas.push((server, seconds));
        self.count_replicas(master);
    }

    /// A replica gets a copy of its master's data.
    pub(super) fn synchronize(&mut self, server: u8) {
        let Some(master) = self.node(server).follows else {
            return;
        };
        let (data, got, step) = {
            let host = &self.node(master).host;
            (host.data, host.log.len() as u32, host.step)
        };
        let node = self.node(server);
        node.link += 1;
        node.got = got;
        node.host.data = data;
        node.host.base = data;
        node.host.step = step;
        node.host.log.clear();
        self.tell(server, engine::Event::DatasetChanged { db: None });
        // Those that follow it, in turn.
        for replica in 0..self.config.servers {
            if self.node(replica).follows == Some(server) {
                self.synchronize(replica);
            }
        }
    }

    /// A server is no replica any more.
    pub(super) fn leave_master(&mut self, server: u8) {
        let node = self.node(server);
        node.link += 1;
        node.follows = None;
    }

    /// The master sends what it has written.
    pub(super) fn send_stream(&mut self, master: u8) {
        let upto = self.node(master).host.log.len() as u32;
        let lag = self.config.lag;
        for replica in 0..self.config.servers {
            if self.node(replica).follows == Some(master) && !self.is_cut(master, replica) {
                let link = self.node(replica).link;
                self.after(lag, Event::Stream(replica, link, upto));
            }
        }
    }

    pub(super) fn stream_arrives(&mut self, server: u8, link: u32, upto: u32, event: Event) {
        let Some(master) = self.node(server).follows else {
            return;
        };
        if self.node(server).link != link
            || self.is_cut(master, server)
            || !self.runs(server, event)
        {
            return;
        }
        let got = self.node(server).got;
        for at in got..upto {
            let write = self.nodes[usize::from(master)].host.log[at as usize];
            let host = &mut self.node(server).host;
            host.step = write.step;
            host.write(write.lock, write.change);
        }
        let node = self.node(server);
        node.host.step += 1;
        node.got = upto.max(got);
        self.send_stream(server);
    }

    pub(super) fn acknowledged(&mut self, master: u8, replica: u8, event: Event) {
        if !self.runs(master, event) {
            return;
        }
        let now = self.now;
        let node = self.node(master);
        let seconds = node.seconds(now);
        for (number, heard) in &mut node.replicas {
            if *number == replica {
                *heard = seconds;
            }
        }
    }

    /// Whether enough replicas were heard of late.
    pub(super) fn count_replicas(&mut self, server: u8) {
        let (least, lag, now) = (self.config.min_replicas, self.config.max_lag, self.now);
        let node = self.node(server);
        let seconds = node.seconds(now);
        let good = node
            .replicas
            .iter()
            .filter(|(_, heard)| seconds - heard <= lag);
        node.host.enough_replicas = good.count() as i64 >= least || !node.host.master;
    }

    pub(super) fn cron(&mut self, server: u8, life: u32, event: Event) {
        if self.node(server).life != life || !self.runs(server, event) {
            return;
        }
        self.tell(server, engine::Event::LoopRan);
        self.count_replicas(server);
        let now = self.now;
        let node = self.node(server);
        let (clock, before) = (node.clock(now), node.host.log.len());
        (0..super::data::LOCKS as u8).for_each(|lock| node.host.expire(lock, clock.now));
        self.wrote(server, before);
        if let Some(master) = self.node(server).follows {
            if !self.is_cut(server, master) {
                self.after(self.config.ack_lag, Event::Acknowledged(master, server));
            }
        }
        self.after(SECOND, Event::Cron(server, life));
        self.turn(server);
    }

    /// A server that crashed is there again, with what its file held.
    pub(super) fn back(&mut self, server: u8) {
        let config = self.config;
        let faults = self.node(server).engine.planted;
        let now = self.now;
        let node = self.node(server);
        let settings = node.engine.settings().clone();
        let fresh = Node::new(server, config, faults);
        node.engine = fresh.engine;
        node.engine
            .restart(settings, config.cluster, node.host.master);
        node.engine.planted = faults;
        node.life += 1;
        // It has to find the others first.
        node.host.in_cluster = node.isolated.is_none();
        node.up = true;
        node.still_until = now;
        let life = node.life;
        let seconds = node.seconds(now);
        node.replicas.clear();
        self.note(What::Started { server });
        self.tell(server, Node::cut_off(config));
        self.tell(server, engine::Event::Started);
        self.at(now + SECOND / 7, Event::Cron(server, life));
        self.synchronize(server);
        for replica in 0..config.servers {
            if self.node(replica).follows == Some(server) {
                self.node(server).replicas.push((replica, seconds));
                self.synchronize(replica);
            }
        }
        self.count_replicas(server);
        self.turn(server);
    }
}
