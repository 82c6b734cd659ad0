//! A master and its replica that three sentinels watch.

use super::pair::Pair;
use super::{ask, is_master, signal, within, Times, Topology, PATIENCE};
use crate::world::World;
use lock_test_support::Sentinels;

/// For so long, in ms, a master may be silent before the sentinels take it for gone.
pub const SILENT: u32 = 2000;

/// The servers and the sentinels.
pub struct Watched {
    /// The servers. Which one is the master, the sentinels say.
    pub pair: Pair,
    /// The ports of the sentinels.
    ports: Vec<u16>,
    _sentinels: Sentinels,
}

impl Watched {
    /// Starts them, and waits until all know one another.
    pub fn world(times: Times) -> World {
        let (servers, pair) = Pair::start_direct(times);
        let sentinels = Sentinels::start(&servers[pair.master()], 1, SILENT);
        let port = |url: &String| url.rsplit(':').next()?.trim_matches('/').parse().ok();
        let ports: Vec<u16> = sentinels.urls().iter().filter_map(port).collect();
        for port in &ports {
            // An election that nobody wins is held again after twice as long.
            ask(*port, "SENTINEL SET locks failover-timeout 6000");
        }
        let route = pair.route();
        let watched = Watched {
            pair,
            ports,
            _sentinels: sentinels,
        };
        World::new(servers, route).with_topology(Topology::Watched(watched))
    }

    /// Asks the first sentinel to have the replica promoted, as an operator does.
    pub fn fail_over(&self) -> bool {
        self.ask("SENTINEL FAILOVER locks").as_deref() == Some("OK")
    }

    /// Waits until the sentinels have promoted the replica. False where they do not.
    pub fn until_promoted(&self) -> bool {
        let replica = self.pair.port(self.pair.replica());
        within(PATIENCE, || is_master(replica))
    }

    /// Makes it as it was before a fault, with the master that the sentinels name. False where that takes too long.
    pub fn mend(&self, world: &World) -> bool {
        for number in [0, 1] {
            signal(world, number, libc::SIGCONT);
        }
        let agreed = within(PATIENCE, || {
            let Some(named) = self.named().filter(|it| is_master(self.pair.port(*it))) else {
                return false;
            };
            if named != self.pair.master() {
                self.pair.tell();
            }
            true
        });
        agreed && self.pair.mend(world) && self.until_watched()
    }

    /// The number of the server that all sentinels name.
    fn named(&self) -> Option<usize> {
        let name = |port: &u16| {
            let shown = ask(*port, "SENTINEL GET-MASTER-ADDR-BY-NAME locks")?;
            let port = shown
                .trim_matches(['[', ']'])
                .rsplit(' ')
                .next()?
                .to_owned();
            [0, 1]
                .into_iter()
                .find(|it| self.pair.port(*it).to_string() == port)
        };
        let first = name(self.ports.first()?);
        let same = self.ports.iter().all(|port| name(port) == first);
        first.filter(|_| same)
    }

    /// Waits until the sentinels can promote the replica.
    fn until_watched(&self) -> bool {
        let replica = format!("port {} ", self.pair.port(self.pair.replica()));
        let healthy = ["flags slave ", "master-link-status ok", &replica];
        let watched = |port: &u16| {
            let shown = ask(*port, "SENTINEL REPLICAS locks").unwrap_or_default();
            healthy.iter().all(|sign| shown.contains(sign))
        };
        within(PATIENCE, || self.ports.iter().all(watched))
    }

    fn ask(&self, line: &str) -> Option<String> {
        ask(*self.ports.first()?, line)
    }
}
