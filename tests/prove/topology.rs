//! Servers that follow one another: what they need so that a lock has one owner whichever of them is the master.

pub mod cluster;
pub mod pair;
pub mod sentinels;

use crate::check::What;
use crate::world::World;
use fastrand::Rng;
use lock_test_support::{show, Setup};
use redis::ConnectionLike;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// For how long a master that is cut off from its replicas may go on granting, in ms: `F` of docs/guarantees.md, with
/// `min-replicas-max-lag 1`.
pub const CUT_OFF: u64 = 1000 + 3500;

/// The settings that the promise of one owner rests on, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The longest lease.
    pub max_ttl: u64,
    /// The grace period of whoever is promoted, 0 for none.
    pub grace: u64,
    /// How many replicas a master wants before it takes writes.
    pub min_replicas: u32,
}

impl Times {
    /// As docs/guarantees.md asks for, where a master that is cut off may grant for `cut_off` ms.
    pub const fn safe(max_ttl: u64, cut_off: u64, min_replicas: u32) -> Times {
        Times {
            max_ttl,
            grace: max_ttl + cut_off,
            min_replicas,
        }
    }

    /// The same without a grace period: whoever is promoted grants what it does not know to be held.
    pub const fn without_grace(self) -> Times {
        Times { grace: 0, ..self }
    }

    /// A server with these settings.
    pub fn setup(self) -> Setup {
        let args = format!(
            "max-ttl {0} default-ttl {0} grace-period {1}",
            self.max_ttl, self.grace
        );
        Setup::new()
            .module_args(&args)
            .config(&format!("min-replicas-to-write {}", self.min_replicas))
            .config("min-replicas-max-lag 1")
    }
}

/// How the servers of a world stand to one another.
pub enum Topology {
    /// Each for itself.
    Apart,
    /// A master and its replica.
    Pair(pair::Pair),
    /// The same, watched by sentinels.
    Watched(sentinels::Watched),
    /// Three masters with a replica each.
    Cluster(cluster::Cluster),
}

/// Asks a server that may be gone, stand still or close the connection. None where there is no reply.
pub fn ask(port: u16, line: &str) -> Option<String> {
    let patience = Some(Duration::from_secs(2));
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).ok()?;
    let mut connection = client
        .get_connection_with_timeout(Duration::from_millis(500))
        .ok()?;
    connection.set_read_timeout(patience).ok()?;
    let mut words = redis::Cmd::new();
    for word in line.split_whitespace() {
        words.arg(word);
    }
    match connection.req_command(&words) {
        Ok(reply) => Some(show(&reply)),
        Err(error) => {
            let error = redis::ServerError::try_from(error).ok()?;
            Some(show(&redis::Value::ServerError(error)))
        }
    }
}

/// What the checker has to know of the roles that nodes have by now, or may have at any time: what a server that takes
/// over confirms is no new hold, and hold counts before and after are not compared.
pub fn note_roles(world: &World) {
    for node in &world.nodes {
        let server = node.life();
        for master in [true, is_master(node.port)] {
            world.note(What::Role { server, master });
        }
    }
}

/// Sends a signal to a node.
pub fn signal(world: &World, node: usize, signal: i32) {
    world.nodes[node].server().signal(signal);
}

/// Kills a node, does some work, and starts it again with what it has stored. False where it does not start.
pub fn while_dead(world: &World, node: usize, work: impl FnOnce()) -> bool {
    let (died, is_dead) = channel();
    let (goes_on, may_start) = channel::<()>();
    std::thread::scope(|scope| {
        let restart = scope.spawn(move || {
            world.nodes[node].kill_and_restart(world, move |_| {
                let _ = died.send(());
                // It ends when the other side is dropped.
                let _ = may_start.recv();
            })
        });
        if is_dead.recv().is_ok() {
            work();
        }
        drop(goes_on);
        restart.join().is_ok()
    })
}

/// Does nothing for up to so many ms, but not beyond the end of the round.
pub fn nap(world: &World, rng: &mut Rng, most: u64) {
    world.sleep(Duration::from_millis(rng.u64(..=most)));
}

/// Waits until a node takes writes and no grace period keeps it from granting, or the round ends.
pub fn until_grants(world: &World, node: usize) {
    let port = world.nodes[node].port;
    let grants = || ask(port, PROBE).is_some_and(|reply| reply.starts_with("[1 "));
    within(PATIENCE, || world.is_over() || grants());
}

/// An acquire that leaves nothing behind.
const PROBE: &str = "LOCK.ACQUIRE {probe} probe 1";

/// A field of what INFO tells. None where the server does not answer.
pub fn info(port: u16, section: &str, field: &str) -> Option<String> {
    let text = ask(port, &format!("INFO {section}"))?;
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.map(|value| value.trim().to_owned())
}

/// Asks until the reply contains this. False where it does not in a long time.
pub fn until_says(port: u16, line: &str, wanted: &str) -> bool {
    within(PATIENCE, || {
        ask(port, line).is_some_and(|reply| reply.contains(wanted))
    })
}

/// Whether a server says that it is a master. False where it does not answer.
pub fn is_master(port: u16) -> bool {
    ask(port, "ROLE").is_some_and(|role| role.starts_with("[master "))
}

/// How long something may take that need not happen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so. False where it takes longer than that.
pub fn within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
