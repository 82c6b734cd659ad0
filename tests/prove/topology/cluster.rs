//! A cluster of three masters with a replica each, whose bus can be parted.

use super::{ask, info, is_master, signal, until_says, within, Times, Topology, PATIENCE};
use crate::record::LockId;
use crate::route::{Address, Next, Route, Target};
use crate::world::{lock, World};
use lock_test_support::{shard_replica, three_masters, version, Cut, Network, Server};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many masters there are. The replica of number n is number n + `SHARDS`, unless they have changed places.
pub const SHARDS: usize = 3;

/// What the names of locks begin with: their slots are spread over the masters, and stay apart when they move.
pub const TAGS: [&str; 9] = [
    "{a}", "{b}", "{c}", "{d}", "{e}", "{f}", "{g}", "{h}", "{i}",
];

/// The cluster.
pub struct Cluster {
    ids: Vec<String>,
    /// What leads to the bus of each node.
    buses: Vec<Network>,
    map: Arc<Map>,
    /// The slots of [`TAGS`].
    pub slots: Vec<i64>,
    /// Until when a node may not hear of one that it was told to forget.
    forgets_until: Mutex<Option<Instant>>,
}

/// For so long a node does not learn of one that it was told to forget, and a second.
const FORGETS: Duration = Duration::from_secs(61);

impl Cluster {
    /// Starts it, and waits until it is up. A master that is cut off notices it after `node_timeout` ms.
    pub fn world(times: Times, node_timeout: u64) -> World {
        let setup = times
            .setup()
            .config(&format!("cluster-node-timeout {node_timeout}"))
            .config("cluster-replica-validity-factor 0")
            .config("cluster-allow-replica-migration no")
            .config("cluster-require-full-coverage no");
        let mut nodes = three_masters(&setup);
        for master in 0..SHARDS {
            let replica = shard_replica(&nodes[master], &nodes, setup.clone());
            nodes.push(replica);
        }
        let id = |node: &Server| node.client().run("CLUSTER MYID");
        let bus = |node: &Server| Network::to_bus(node.port() + 10_000);
        let mut first = nodes[0].client();
        let slots = TAGS.map(|tag| first.int(&format!("CLUSTER KEYSLOT {tag}")));
        let map = Arc::new(Map {
            ports: nodes.iter().map(Server::port).collect(),
            known: [0, 1].map(|_| TAGS.map(|_| AtomicUsize::new(0))),
        });
        let cluster = Cluster {
            ids: nodes.iter().map(id).collect(),
            buses: nodes.iter().map(bus).collect(),
            map: map.clone(),
            slots: slots.to_vec(),
            forgets_until: Mutex::default(),
        };
        for node in 0..nodes.len() {
            cluster.announce(node);
        }
        assert!(cluster.until_agreed(), "the cluster is up");
        for node in 0..SHARDS {
            assert!(cluster.until_no_grace(node), "it grants locks");
        }
        World::new(nodes, Box::new(map))
            .with_prefixes(&TAGS)
            .with_topology(Topology::Cluster(cluster))
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.ids.len()
    }

    /// The id of a node.
    pub fn id(&self, node: usize) -> &str {
        &self.ids[node]
    }

    /// The port of a node.
    pub fn port(&self, node: usize) -> u16 {
        self.map.ports[node]
    }

    /// Sends a line to a node. Empty where it does not answer.
    pub fn ask(&self, node: usize, line: &str) -> String {
        ask(self.port(node), line).unwrap_or_default()
    }

    /// The master and the replica of a shard.
    pub fn shard(&self, shard: usize) -> [usize; 2] {
        let [a, b] = [shard, shard + SHARDS];
        match is_master(self.port(b)) && !is_master(self.port(a)) {
            true => [b, a],
            false => [a, b],
        }
    }

    /// The masters.
    pub fn masters(&self) -> [usize; SHARDS] {
        [0, 1, 2].map(|shard| self.shard(shard)[0])
    }

    /// Has the others reach the bus of a node through its network.
    pub fn announce(&self, node: usize) {
        let port = self.buses[node].port();
        let line = format!("CONFIG SET cluster-announce-bus-port {port}");
        until_says(self.port(node), &line, "OK");
    }

    /// The port of a node's bus, as others know it.
    pub fn bus_port(&self, node: usize) -> u16 {
        self.buses[node].port()
    }

    /// Waits until a node is in no grace period.
    pub fn until_no_grace(&self, node: usize) -> bool {
        within(PATIENCE, || {
            info(self.port(node), "lock", "lock_grace_ms_left").as_deref() == Some("0")
        })
    }

    /// Tells half of the clients that a replica has taken its master's place.
    pub fn tell(&self, replica: usize) {
        let master = (replica + SHARDS) % self.size();
        self.map.replace(self.map.known[0].iter(), master, replica);
    }

    /// Parts some nodes from the others.
    pub fn part(&self, some: &[usize], how: Cut) {
        let all = 0..self.size();
        for other in all.filter(|other| !some.contains(other)) {
            for one in some {
                self.buses[other].cut_off(&self.ids[*one], how);
                self.buses[*one].cut_off(&self.ids[other], how);
            }
        }
    }

    /// Keeps what some nodes send from the others, and lets the rest through.
    pub fn mute(&self, some: &[usize]) {
        let all = 0..self.size();
        for other in all.filter(|other| !some.contains(other)) {
            for one in some {
                self.buses[other].cut_off(&self.ids[*one], Cut::FrozenThere);
                self.buses[*one].cut_off(&self.ids[other], Cut::FrozenBack);
            }
        }
    }

    /// Closes the link that one node has made to another. It makes a new one.
    pub fn close_link(&self, one: usize, other: usize) {
        self.buses[other].cut_off(&self.ids[one], Cut::Closed);
        self.buses[other].heal();
    }

    /// Makes the bus whole.
    pub fn heal(&self) {
        for bus in &self.buses {
            bus.heal();
        }
    }

    /// Makes it as it was before a fault. False where the cluster does not agree soon.
    pub fn mend(&self, world: &World) -> bool {
        self.heal();
        for node in 0..self.size() {
            signal(world, node, libc::SIGCONT);
        }
        within(2 * PATIENCE, || {
            self.meet_again();
            // A handshake takes a while, and so does a failover.
            within(Duration::from_secs(3), || {
                !self.may_forget() && self.is_agreed()
            })
        })
    }

    /// Has a node forget another one.
    pub fn forget(&self, node: usize, other: usize) -> bool {
        *lock(&self.forgets_until) = Some(Instant::now() + FORGETS);
        self.ask(node, &format!("CLUSTER FORGET {}", self.id(other))) == "OK"
    }

    /// Whether a node may still be forgotten. Servers since Redis 7.2 tell one another for a minute whom to forget, and who
    /// was met again may be forgotten again. A master that has forgotten its replica does not hear that it takes over.
    fn may_forget(&self) -> bool {
        let until = *lock(&self.forgets_until);
        version() >= (7, 2) && until.is_some_and(|until| Instant::now() < until)
    }

    /// Nodes that do not know another one, since they were told to forget it, meet it.
    fn meet_again(&self) {
        for node in 0..self.size() {
            let shown = self.ask(node, "CLUSTER NODES");
            let is_stranger = |other: &usize| !shown.contains(self.id(*other));
            for other in (0..self.size()).filter(is_stranger) {
                let (port, bus) = (self.port(other), self.bus_port(other));
                self.ask(node, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
            }
        }
    }

    /// Waits until the nodes agree.
    fn until_agreed(&self) -> bool {
        within(PATIENCE, || self.is_agreed())
    }

    /// Whether all nodes are up, each shard has a replica that follows, and all agree on who has which slots. A master
    /// that learns in a pause that it has lost a slot deletes its keys, and some servers end themselves for that.
    fn is_agreed(&self) -> bool {
        let mut views = (0..self.size()).map(|node| self.view(node));
        let Some(Some(first)) = views.next() else {
            return false;
        };
        let follows = |port: &u16| match is_master(*port) {
            true => info(*port, "replication", "connected_slaves").as_deref() == Some("1"),
            false => info(*port, "replication", "master_link_status").as_deref() == Some("up"),
        };
        first.len() == SHARDS
            && views.all(|view| view.as_ref() == Some(&first))
            && self.map.ports.iter().all(follows)
    }

    /// What each node says of all.
    pub fn shown(&self) -> String {
        let shown = |node| format!("{}:\n{}", self.port(node), self.ask(node, "CLUSTER NODES"));
        let shown: Vec<String> = (0..self.size()).map(shown).collect();
        shown.join("\n")
    }

    /// The masters and their slots, as a node believes them to be. None while it is down, or knows of a failure.
    fn view(&self, node: usize) -> Option<BTreeMap<String, String>> {
        let up = self.ask(node, "CLUSTER INFO").contains("cluster_state:ok");
        let shown = self.ask(node, "CLUSTER NODES");
        let mut masters = BTreeMap::new();
        for line in shown.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (id, address, flags) = (words.first()?, words.get(1)?, words.get(2)?);
            let number = self.ids.iter().position(|known| known == id)?;
            let by_bus = address.contains(&format!("@{}", self.buses[number].port()));
            let is_linked = words.get(7) == Some(&"connected") || flags.contains("myself");
            if flags.contains("fail") || flags.contains("handshake") || !is_linked || !by_bus {
                return None;
            }
            if flags.contains("master") {
                let slots = words[8..].iter().filter(|word| !word.starts_with('['));
                masters.insert(
                    (*id).to_owned(),
                    slots.copied().collect::<Vec<_>>().join(" "),
                );
            }
        }
        (up && shown.lines().count() == self.size()).then_some(masters)
    }
}

/// What clients know of the cluster: which node has the slot of each tag. Half of them are told when a replica takes over;
/// the others stay with its master for as long as that takes their calls.
struct Map {
    ports: Vec<u16>,
    known: [[AtomicUsize; TAGS.len()]; 2],
}

impl Map {
    fn target_at(&self, node: usize) -> Target {
        Target {
            node,
            address: Address::Tcp(self.ports[node]),
            straight: false,
        }
    }

    /// Whoever asks one node for these tags asks the other one from now on.
    fn replace<'a>(&self, tags: impl Iterator<Item = &'a AtomicUsize>, from: usize, to: usize) {
        for tag in tags {
            let _ = tag.compare_exchange(from, to, SeqCst, SeqCst);
        }
    }
}

impl Route for Arc<Map> {
    fn target(&self, client: usize, lock: LockId) -> Option<Target> {
        let tag = &self.known[client % 2][lock as usize % TAGS.len()];
        Some(self.target_at(tag.load(SeqCst)))
    }

    fn refused(&self, lock: LockId, from: &Target, error: &str) -> Next {
        let named = || {
            let port: u16 = error.rsplit(':').next()?.trim().parse().ok()?;
            self.ports.iter().position(|known| *known == port)
        };
        match (error.split(' ').next().unwrap_or_default(), named()) {
            ("MOVED", Some(node)) => {
                let tags = self
                    .known
                    .iter()
                    .map(|tags| &tags[lock as usize % TAGS.len()]);
                self.replace(tags, from.node, node);
                Next::Elsewhere
            }
            ("ASK", Some(node)) => Next::Ask(self.target_at(node)),
            ("READONLY" | "MASTERDOWN" | "UNBLOCKED", _) => {
                self.lost(from);
                Next::Elsewhere
            }
            ("LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS" | "MISCONF", _) => Next::Later,
            _ => Next::Stay,
        }
    }

    fn lost(&self, to: &Target) {
        // Any other node knows where its slots are by now.
        let other = (to.node + SHARDS) % self.ports.len();
        self.replace(self.known.iter().flatten(), to.node, other);
    }
}
