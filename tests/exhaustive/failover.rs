//! Time, standstills, and the failover.

use super::config::{Config, STOOD_STILL};
use super::world::{Node, World};
use redis_reentrant_lock::engine::Event;

impl World {
    /// Lets time pass. The event loops run at least once a second.
    pub fn pass(&mut self, until: i64) {
        while self.now < until {
            self.now = until.min(self.now + 1000);
            let now = self.now;
            let nodes = self.nodes.iter_mut().flatten();
            for node in nodes.filter(|node| node.still_since.is_none()) {
                node.note(Event::LoopRan, now);
            }
        }
        for client in &mut self.clients {
            client.forget_ended(until);
        }
        for node in self.nodes.iter_mut().flatten() {
            let data = &node.data;
            node.sent.retain(|(lock, owner), (token, _)| {
                let entry = data.get(lock);
                entry.is_some_and(|e| e.owner == *owner && e.fence.token == *token)
            });
        }
    }

    /// Promotes the replica.
    pub fn promote(&mut self, config: &Config) {
        let Some(data) = self.replica.take() else {
            return;
        };
        let mut node = Node::new(config, data, false);
        node.behind = config.behind;
        node.note(Event::RoleChanged { master: true }, self.now);
        self.nodes[1] = Some(node);
        self.no_extension_until = Some(self.now + config.longest_cut_off() + 2);
    }

    /// The process of the first master stands still.
    pub fn stall(&mut self) {
        let now = self.now;
        self.node(0).still_since = Some(now);
    }

    /// It goes on. A short time delays its notice that it is cut off by as much; after a long one it notices no sooner
    /// than if it had just been cut off.
    pub fn go_on(&mut self, config: &Config) {
        let now = self.now;
        let master = self.node(0);
        let still = master.still_since.take().map_or(0, |since| now - since);
        master.refuses_after = master.refuses_after.map(|after| match still {
            ..=STOOD_STILL => after + still,
            _ => after.max(now + config.cut_off),
        });
    }

    /// The old master learns that it is one no longer. Its clients are told, or disconnected.
    pub fn demote(&mut self) {
        self.note(0, Event::RoleChanged { master: false });
        self.flush(0);
        let here = self.connections.iter().filter(|one| one.server == 0);
        for id in here.map(|one| one.id).collect::<Vec<_>>() {
            self.close(id);
        }
        self.nodes[0] = None;
    }
}
