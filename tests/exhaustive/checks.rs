//! What must hold in every world.

use super::config::Config;
use super::data::Lock;
use super::world::{Node, World};

impl World {
    /// The server that a client is connected to.
    pub fn server_of(&self, client: usize) -> Option<usize> {
        let id = self.clients[client].connection?;
        let one = self.connections.iter().find(|one| one.id == id);
        one.map(|one| one.server)
    }

    /// Whether the process of the first master stands still.
    pub fn is_still(&self) -> bool {
        let master = self.nodes[0].as_ref();
        master.is_some_and(|node| node.still_since.is_some())
    }

    /// Whether it has done so for so long.
    pub fn stood_still_for(&self, span: i64) -> bool {
        let since = self.nodes[0].as_ref().and_then(|node| node.still_since);
        since.is_some_and(|since| self.now - since > span)
    }

    /// Whether the old master refuses to write, and either nobody has taken its place yet, or none of its sessions
    /// is left.
    pub fn is_master_stopped(&self) -> bool {
        let mut live = self.live();
        let stopped = live.any(|(server, node)| server == 0 && node.refuses(self.now));
        let bound = |number: usize| {
            let beliefs = &self.clients[number].beliefs;
            beliefs.iter().any(|belief| belief.until.is_none())
        };
        let here = self.connections.iter().filter(|one| one.server == 0);
        stopped && (self.replica.is_some() || !here.map(|one| one.client).any(bound))
    }

    /// How many owners believe that they hold a lock.
    pub fn believers(&self, lock: Lock) -> usize {
        let mut owners: Vec<_> = self
            .clients
            .iter()
            .filter(|client| client.belief(lock).is_some())
            .map(|client| client.owner)
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners.len()
    }

    /// The servers that have done what was due and may write.
    pub fn settled(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.live().filter(|(_, node)| {
            node.is_quiet() && !node.is_due(self.now) && !node.refuses(self.now)
        })
    }

    /// Each lock is held with the token and the count that was sent last to its owner.
    pub fn all_holds_are_known(&self, node: &Node) -> bool {
        node.data.iter().all(|(lock, entry)| {
            let level = (entry.fence.token, entry.holds);
            let sent = node.sent.get(&(*lock, entry.owner)) == Some(&level);
            sent || node.time_of(entry.deadline) <= self.now
        })
    }

    /// No session outlives its connection.
    pub fn no_session_is_left(&self, node: &Node) -> bool {
        let clients = self.clients.len() as u64;
        let mut all = self.clients.iter().enumerate();
        all.all(|(number, client)| {
            (0..client.opened).all(|opened| {
                let id = client.id_of(opened, number, clients);
                let is_open = self.connections.iter().any(|one| one.id == id);
                is_open || !node.engine.minds_client(id)
            })
        })
    }

    /// Each call waits for the end of another owner's lease, or of the grace period.
    pub fn all_waits_have_a_reason(&self, server: usize) -> bool {
        let Some(node) = &self.nodes[server] else {
            return true;
        };
        let mut here = self.connections.iter().filter(|one| one.server == server);
        here.all(|one| {
            let Some(blocked) = &one.blocked else {
                return true;
            };
            let owner = self.clients[one.client].owner;
            let held = node.data.get(&blocked.call.lock).is_some_and(|entry| {
                entry.owner != owner && node.time_of(entry.deadline) > self.now
            });
            held || node.is_in_grace(self.now)
        })
    }

    /// Nobody waits, calls, or will call, and time brings nothing.
    pub fn is_over(&self, config: &Config) -> bool {
        !self.anyone_waits()
            && self.clients.iter().all(|client| client.calls == 0)
            && self.next_time(config).is_none()
            && !self.is_still()
    }
}
