//! A master and its replica, with a network between them that can be cut.

use crate::support::{eventually, Network, Server, Setup};

/// The settings that the promise rests on, in ms.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The longest lease.
    pub max_ttl: u64,
    /// The grace period of whoever is promoted.
    pub grace: u64,
    /// How many replicas a master wants before it takes writes.
    pub min_replicas: u32,
}

/// How long a master that is cut off may still grant (F), with `min-replicas-max-lag 1`.
pub const CUT_OFF: u64 = 4500;

impl Times {
    /// As the promise asks for, with not a millisecond more.
    pub const fn safe(max_ttl: u64) -> Times {
        Times {
            max_ttl,
            grace: max_ttl + CUT_OFF,
            min_replicas: 1,
        }
    }

    /// A server with these settings.
    pub fn setup(self) -> Setup {
        self.write_rules(Setup::new().module_args(&format!(
            "max-ttl {0} default-ttl {0} grace-period {1}",
            self.max_ttl, self.grace
        )))
    }

    /// The same, as if it ran for so long already that the grace period of its start is over.
    pub fn running(self) -> Setup {
        self.write_rules(
            Setup::new().module_args(&format!("max-ttl {0} default-ttl {0}", self.max_ttl)),
        )
    }

    /// Has a first master that is [`Times::running`] know of grace periods and be in none.
    pub fn settle(self, master: &Server) {
        let mut client = master.client();
        let set = format!("CONFIG SET lock.grace-period {}", self.grace);
        assert_eq!(client.run(&set), "OK");
        eventually("it grants locks", || {
            client.run("LOCK.ACQUIRE started me 1").starts_with("[1 ")
        });
    }

    fn write_rules(self, setup: Setup) -> Setup {
        setup
            .config(&format!("min-replicas-to-write {}", self.min_replicas))
            .config("min-replicas-max-lag 1")
    }
}

/// The two servers.
pub struct Pair {
    /// The first master.
    pub master: Server,
    /// Its replica, which is promoted.
    pub replica: Server,
    /// What the replica reaches its master through.
    pub network: Network,
}

impl Pair {
    /// Starts them, and waits until the master takes writes.
    pub fn start(times: Times) -> Pair {
        Pair::of(times.running(), times)
    }

    /// The same with a master that knows of grace periods, as it has to in order to go on safely
    /// after it stood still.
    pub fn start_alike(times: Times) -> Pair {
        let pair = Pair::of(times.running(), times);
        times.settle(&pair.master);
        pair
    }

    fn of(master: Setup, times: Times) -> Pair {
        let master = master.start();
        let network = Network::to(master.port());
        let link = format!("replicaof 127.0.0.1 {}", network.port());
        let replica = times.setup().config(&link).start();
        master.wait_for_replica(&replica);
        let mut client = master.client();
        eventually("the master takes writes", || {
            client.run("SET probe x") == "OK"
        });
        Pair {
            master,
            replica,
            network,
        }
    }

    /// Makes the replica a master, as a person does who finds that there is none.
    pub fn promote(&self) {
        assert_eq!(self.replica.client().run("REPLICAOF NO ONE"), "OK");
    }

    /// Has the promoted replica take writes though it has no replica itself, as that person does.
    pub fn take_writes(&self) {
        let set = "CONFIG SET min-replicas-to-write 0";
        assert_eq!(self.replica.client().run(set), "OK");
    }

    /// Makes the old master a replica of the new one.
    pub fn demote(&self) {
        let follow = format!("REPLICAOF 127.0.0.1 {}", self.replica.port());
        assert_eq!(self.master.client().run(&follow), "OK");
    }
}
