//! Clients that are at work while one server takes over from another.

use super::beliefs::Life;
use super::pair::Times;
use super::trial::wrong;
use super::worker::run;
use crate::support::{eventually, skip, Client, Clocks, Server, Waiter};
use fastrand::Rng;
use std::sync::{Arc, Mutex};
use std::thread::{spawn, JoinHandle};
use std::time::{Duration, Instant};

/// What a worker is to do.
pub struct Task {
    /// The ports of the first master and of the one that is promoted.
    pub ports: [u16; 2],
    /// The lock it wants.
    pub lock: String,
    /// Its name.
    pub owner: String,
    /// The longest lease.
    pub max_ttl: u64,
    /// How long its sessions linger, 0 for none. Never shorter than a lease.
    pub linger: u64,
    /// When it begins.
    pub begins: Instant,
    /// When it turns to the second server.
    pub moves: Instant,
    /// When it stops.
    pub ends: Arc<Mutex<Instant>>,
    /// Its choices.
    pub dice: Rng,
}

/// Clients of the first master, who turn to the second one when the first is none any more, and
/// clients of the second one.
pub struct Crowd {
    start: Instant,
    clocks: Clocks,
    ends: Arc<Mutex<Instant>>,
    workers: Vec<JoinHandle<Life>>,
}

impl Crowd {
    /// They begin, and work until [`Crowd::end`].
    pub fn begin(times: Times, ports: [u16; 2]) -> Crowd {
        let start = Instant::now();
        let never = start + Duration::from_secs(3600);
        let ends = Arc::new(Mutex::new(never));
        let task = |worker: u64| Task {
            ports,
            lock: format!("{{orders}}-{}", worker / 2 % 4),
            owner: format!("o{worker}"),
            max_ttl: times.max_ttl,
            linger: 0,
            begins: start,
            moves: if worker.is_multiple_of(2) {
                never
            } else {
                start
            },
            ends: ends.clone(),
            dice: Rng::with_seed(0x5eed + worker),
        };
        let workers = (0..16).map(task).map(|task| spawn(move || run(task)));
        Crowd {
            start,
            clocks: Clocks::start(),
            ends: ends.clone(),
            workers: workers.collect(),
        }
    }

    /// Waits until the second server has granted them some locks, and ends their work. Checks that no
    /// two of them believed in one lock.
    pub fn end(self, second: &Server) {
        let mut client = second.client();
        let promoted = promotions(&mut client);
        let mut granted = || client.counter("acquired") + client.counter("handed_over");
        let before = granted();
        // On a busy machine the cluster may take a server for dead that is not, and the old one is back.
        let mut lost_its_place = false;
        eventually("it grants locks", || {
            let role = second.client().info("replication", "role");
            lost_its_place = role.as_deref() == Some("slave");
            lost_its_place || granted() > before + 40
        });
        *self.ends.lock().unwrap() = Instant::now();
        let lives = self
            .workers
            .into_iter()
            .map(|worker| worker.join().unwrap());
        let lives: Vec<Life> = lives.collect();
        let wrong = wrong(&lives, self.start, Duration::ZERO, "a crowd");
        if !wrong.is_empty() && self.clocks.were_set() {
            return skip("the machine's clock was set");
        }
        // On a busy machine sentinels may promote it anew. That closes all connections, and ends sessions whose
        // clients cannot know it before they read.
        if !wrong.is_empty() && promotions(&mut client) > promoted {
            return skip("the connections of clients were closed again");
        }
        assert!(wrong.is_empty(), "{}", wrong[0]);
        if lost_its_place {
            return skip("the second server lost its place again");
        }
        let beliefs = || lives.iter().flat_map(|life| &life.beliefs);
        for side in [0, 1] {
            assert!(
                beliefs().any(|it| it.side == side),
                "{side} granted nothing"
            );
        }
    }
}

/// How often sentinels have told the server its role.
fn promotions(client: &mut Client) -> u64 {
    client.calls("slaveof") + client.calls("replicaof")
}

/// Waits until a server that was promoted after some moment takes writes, and checks that it is in its
/// grace period and serves those who wait in order when that ends. On a busy machine it may be over
/// already.
pub fn check_grace(server: &Server, times: Times, after: Instant) {
    let mut reply = String::new();
    eventually("it takes writes", || {
        reply = server.client().run("LOCK.ACQUIRE {orders} me 1");
        reply.starts_with("[1 ") || reply.starts_with("[0 ")
    });
    let promoted = Instant::now();
    let left = server.client().counter("grace_ms_left");
    if left == 0 || reply.starts_with("[1 ") {
        assert!(after.elapsed().as_millis() as u64 >= times.grace, "{reply}");
        return;
    }
    assert!(left <= times.grace + 2, "{left}");
    let wait = |owner| format!("LOCK.ACQUIRE {{orders}} {owner} 1000 WAIT 0 SESSION");
    let mut line = ["a", "b", "c"].map(|owner| (owner, Waiter::start(server, &wait(owner))));
    for (owner, waiter) in &mut line {
        assert_eq!(waiter.grant()[..2], [1, 1], "{owner}");
        assert!(promoted.elapsed().as_millis() as u64 + 1 >= left, "{owner}");
        assert_eq!(waiter.run(&format!("LOCK.RELEASE {{orders}} {owner}")), "0");
    }
}
