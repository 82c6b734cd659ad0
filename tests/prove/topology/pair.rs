//! A master and its replica, with a network between them that can be cut.

use super::{ask, is_master, signal, until_says, Times, Topology};
use crate::record::LockId;
use crate::route::{Address, Next, Route, Target};
use crate::world::World;
use lock_test_support::{eventually, Network, Server, Setup};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;

/// Two servers of which one is the master, except for a while where a fault has it so.
pub struct Pair {
    /// What leads to each of them. None: they reach each other directly.
    networks: Option<[Network; 2]>,
    way: Arc<Way>,
    times: Times,
}

impl Pair {
    /// Starts them, and waits until the master grants locks.
    pub fn start(times: Times, more: impl Fn(Setup) -> Setup) -> (Vec<Server>, Pair) {
        let server = || more(times.setup()).start();
        let servers = vec![server(), server()];
        let networks = [0, 1].map(|n: usize| Network::to(servers[n].port()));
        Pair::link(times, servers, Some(networks))
    }

    /// The same without a network that can be cut: sentinels have them reach each other directly.
    pub fn start_direct(times: Times) -> (Vec<Server>, Pair) {
        let servers = vec![times.setup().start(), times.setup().start()];
        Pair::link(times, servers, None)
    }

    fn link(
        times: Times,
        servers: Vec<Server>,
        networks: Option<[Network; 2]>,
    ) -> (Vec<Server>, Pair) {
        let ports = [servers[0].port(), servers[1].port()];
        let way = Arc::new(Way {
            ports,
            master: AtomicUsize::new(0),
            old_master: AtomicUsize::new(0),
        });
        let pair = Pair {
            networks,
            way,
            times,
        };
        pair.follow(1);
        assert!(pair.until_linked(), "the replica is linked");
        eventually("the master grants locks", || {
            ask(ports[0], super::PROBE).is_some_and(|reply| reply.starts_with("[1 "))
        });
        (servers, pair)
    }

    /// The world of these servers.
    pub fn world(servers: Vec<Server>, pair: Pair) -> World {
        let route = Box::new(pair.way.clone());
        World::new(servers, route).with_topology(Topology::Pair(pair))
    }

    /// How clients find the master.
    pub fn route(&self) -> Box<dyn Route> {
        Box::new(self.way.clone())
    }

    /// The number of the master, while no fault is under way.
    pub fn master(&self) -> usize {
        self.way.master.load(SeqCst)
    }

    /// The number of the replica.
    pub fn replica(&self) -> usize {
        1 - self.master()
    }

    /// The ports of both.
    pub fn port(&self, number: usize) -> u16 {
        self.way.ports[number]
    }

    /// The network that the replica reaches its master through, if it can be cut.
    pub fn link_to_master(&self) -> Option<&Network> {
        self.networks.as_ref().map(|both| &both[self.master()])
    }

    /// Makes a server the replica of the other one.
    fn follow(&self, number: usize) {
        let port = match &self.networks {
            Some(networks) => networks[1 - number].port(),
            None => self.port(1 - number),
        };
        let line = format!("REPLICAOF 127.0.0.1 {port}");
        until_says(self.port(number), &line, "OK");
    }

    /// Makes the replica a master, as a person does who finds that there is none. The master is not told.
    pub fn promote(&self) {
        until_says(self.port(self.replica()), "REPLICAOF NO ONE", "OK");
    }

    /// Has the promoted replica take writes though it has no replica itself, as that person does.
    pub fn take_writes_alone(&self) {
        let set = "CONFIG SET min-replicas-to-write 0";
        until_says(self.port(self.replica()), set, "OK");
    }

    /// Tells half of the clients that the replica is the master now. The others find out.
    pub fn tell(&self) {
        self.way.master.store(self.replica(), SeqCst);
    }

    /// From now on the replica is the master, and the master its replica.
    pub fn swap(&self) {
        self.tell();
        self.demote();
    }

    /// Has the other one follow the master.
    pub fn demote(&self) {
        self.follow(self.replica());
        until_says(self.port(self.replica()), "ROLE", "[slave ");
    }

    /// Makes it as it was before a fault: the network is whole, and the replica follows its master. False where that
    /// takes too long.
    pub fn mend(&self, world: &World) -> bool {
        for network in self.networks.iter().flatten() {
            network.heal();
        }
        for number in [0, 1] {
            signal(world, number, libc::SIGCONT);
        }
        let [master, replica] = [self.master(), self.replica()].map(|n| self.port(n));
        ask(master, "FAILOVER ABORT");
        if !is_master(master) {
            until_says(master, "REPLICAOF NO ONE", "OK");
        }
        self.demote();
        let linked = self.until_linked();
        let wanted = self.times.min_replicas;
        let set = format!("CONFIG SET min-replicas-to-write {wanted}");
        linked
            && [master, replica]
                .iter()
                .all(|port| until_says(*port, &set, "OK"))
    }

    /// Waits until the master counts the replica among those that follow it.
    fn until_linked(&self) -> bool {
        let replica = format!("port={},state=online", self.port(self.replica()));
        until_says(self.port(self.master()), "INFO replication", &replica)
    }
}

/// What clients know of the two servers. Half of them hear at once which one is the master; the others stay with the old
/// one for as long as it takes their calls.
struct Way {
    ports: [u16; 2],
    master: AtomicUsize,
    old_master: AtomicUsize,
}

impl Route for Arc<Way> {
    fn target(&self, client: usize, _: LockId) -> Option<Target> {
        let known = match client % 2 {
            0 => &self.master,
            _ => &self.old_master,
        };
        let node = known.load(SeqCst);
        Some(Target {
            node,
            address: Address::Tcp(self.ports[node]),
            straight: false,
        })
    }

    fn refused(&self, _: LockId, from: &Target, error: &str) -> Next {
        match error.split(' ').next().unwrap_or_default() {
            "READONLY" | "MASTERDOWN" | "UNBLOCKED" => {
                self.lost(from);
                Next::Elsewhere
            }
            "LOADING" | "NOREPLICAS" | "MISCONF" => Next::Later,
            _ => Next::Stay,
        }
    }

    fn lost(&self, to: &Target) {
        // Those who hear at once were told wrong if that one is lost; they hear again.
        let (from, other) = (to.node, 1 - to.node);
        let _ = self
            .old_master
            .compare_exchange(from, other, SeqCst, SeqCst);
    }
}
