//! Time, standstills, and the failover.

use super::config::Config;
use super::world::{Node, World};
use redis_reentrant_lock::engine::Event;

/// Up to so many ms a server does not notice that it stood still.
const UNNOTICED: i64 = 1500;

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
        self.no_extension_until = Some(self.now + config.cut_off + 2);
    }

    /// The process of the first master stands still.
    pub fn stall(&mut self) {
        let now = self.now;
        self.node(0).still_since = Some(now);
    }

    /// It goes on. After a long time it notices no sooner that it is cut off than if that had just happened.
    pub fn go_on(&mut self, config: &Config) {
        let now = self.now;
        let master = self.node(0);
        let since = master.still_since.take();
        if since.is_some_and(|since| now - since > UNNOTICED) {
            let noticed = now + config.cut_off;
            master.refuses_after = master.refuses_after.map(|after| after.max(noticed));
        }
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
