//! Hundreds wait, release, time out and go away while the server is paused, reloaded, demoted and
//! promoted: it lives, nobody is left waiting, and all copies of the data are the same in the end.

use crate::support::{eventually, lasting, Client, Server, Setup, Waiter};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many connections are busy at a time.
const CLIENTS: u64 = 40;

/// What the clients did.
#[derive(Default)]
struct Crowd {
    over: AtomicBool,
    granted: AtomicU64,
    others: AtomicU64,
}

impl Crowd {
    /// One client after the other that wants a lock, until it is over.
    fn take_part(&self, server: &Server, mut seed: u64) {
        while !self.over.load(Relaxed) {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            let (lock, kind) = ((seed >> 33) % 5, (seed >> 40) % 10);
            let owner = format!("o{}", (seed >> 50) % 200);
            let wait = 1 + (seed >> 45) % 60;
            let session = if matches!(kind, 2 | 3) {
                " SESSION"
            } else {
                ""
            };
            let line = format!("LOCK.ACQUIRE k{lock} {owner} 600000 WAIT {wait}{session}");
            let mut waiter = Waiter::begin(server, &[], &line);
            if kind == 0 {
                waiter.close_noticed(&mut server.client());
                // Who went away may have got it before: someone has to free it.
                let mut other =
                    Waiter::begin(server, &[], &format!("LOCK.RELEASE k{lock} {owner}"));
                other.reply();
                continue;
            }
            let reply = waiter.reply();
            if !reply.starts_with("[1 ") {
                let known = [
                    "[0 0 0 ",
                    "UNBLOCKED ",
                    "DEADLOCK ",
                    "READONLY ",
                    "LOADING ",
                    "closed",
                    "MASTERDOWN ",
                ];
                assert!(known.iter().any(|k| reply.starts_with(k)), "{reply}");
                self.others.fetch_add(1, Relaxed);
                continue;
            }
            self.granted.fetch_add(1, Relaxed);
            if kind == 2 {
                waiter.close();
                continue; // the session ends with the connection
            }
            // Some keep it, and an operator comes.
            let release = match kind {
                1 => format!("LOCK.FORCERELEASE k{lock}"),
                _ => format!("LOCK.RELEASE k{lock} {owner}"),
            };
            Waiter::begin(server, &[], &release).reply();
        }
    }

    /// Runs something while they all are busy.
    fn busy(&self, servers: &[&Server], upheaval: impl FnOnce()) {
        std::thread::scope(|scope| {
            for n in 0..CLIENTS {
                let server = servers[n as usize % servers.len()];
                scope.spawn(move || self.take_part(server, n + 1));
            }
            self.go_on();
            upheaval();
            self.go_on();
            self.over.store(true, Relaxed);
        });
    }

    /// Waits until some more were granted a lock.
    fn go_on(&self) {
        let before = self.granted.load(Relaxed);
        eventually("locks are granted", || {
            self.granted.load(Relaxed) > before + 20
        });
    }
}

/// Hundreds who wait for one lock all the time.
fn stand_in_line(server: &Server) -> Vec<Waiter> {
    server.client().grant("LOCK.ACQUIRE line me 900000");
    let line = |n| format!("LOCK.ACQUIRE line l{n} 900000 WAIT 0");
    Waiter::start_all(server, (0..200).map(line))
}

/// Checks that they are all still there, and are served in order.
fn assert_all_served(server: &Server, line: Vec<Waiter>) {
    assert_eq!(server.client().run("LOCK.RELEASE line me"), "0");
    for (n, mut waiter) in line.into_iter().enumerate() {
        assert_eq!(waiter.grant()[..2], [1, 1], "l{n}");
        assert_eq!(waiter.run(&format!("LOCK.RELEASE line l{n}")), "0");
    }
}

/// Checks that nobody waits, and that those copies and the server's own file hold the same data.
fn assert_settled(mut server: Server, copies: &[&Server]) {
    let mut client = server.client();
    assert_eq!(client.counter("waiters"), 0);
    assert_eq!(client.counter("lines"), 0);
    eventually("no session is left", || client.counter("sessions") == 0);
    eventually("no client is blocked", || {
        client.info("clients", "blocked_clients") == Some("0".to_owned())
    });
    client.grant("LOCK.ACQUIRE last me 900000");
    let data = lasting(&mut client);
    assert!(data.contains_key("0/last"));
    for copy in copies {
        server.wait_for_replica(copy);
        assert_eq!(lasting(&mut copy.client()), data);
    }
    server.restart();
    assert_eq!(lasting(&mut server.client()), data);
}

fn aof() -> Setup {
    Setup::new().config("appendonly yes")
}

#[test]
fn pauses_among_hundreds_of_waits_leave_the_same_data_everywhere() {
    let master = aof().start();
    let replica = master.replica(Setup::without_module());
    let line = stand_in_line(&master);
    let crowd = Crowd::default();
    crowd.busy(&[&master], || {
        let mut client = master.client();
        for round in 0..20 {
            let what = ["WRITE", "ALL"][round % 2];
            client.run(&format!("CLIENT PAUSE 40 {what}"));
            let until = Instant::now() + Duration::from_millis(60);
            eventually("the pause is over", || Instant::now() > until);
        }
    });
    assert_all_served(&master, line);
    assert_settled(master, &[&replica]);
}

#[test]
fn reloads_among_hundreds_of_waits_leave_the_same_data_everywhere() {
    let master = aof().start();
    let replica = master.replica(Setup::without_module());
    let line = stand_in_line(&master);
    let crowd = Crowd::default();
    crowd.busy(&[&master], || {
        let mut client = master.client();
        for _ in 0..10 {
            assert_eq!(client.run("DEBUG RELOAD"), "OK");
            crowd.go_on();
        }
    });
    assert_all_served(&master, line);
    assert_settled(master, &[&replica]);
}

#[test]
fn demotions_and_promotions_among_hundreds_of_waits_leave_the_same_data_everywhere() {
    let (one, two) = (aof().start(), aof().start());
    two.client()
        .run(&format!("REPLICAOF 127.0.0.1 {}", one.port()));
    one.wait_for_replica(&two);
    let crowd = Crowd::default();
    crowd.busy(&[&one, &two], || {
        for round in 0..6 {
            let (old, new) = [(&one, &two), (&two, &one)][round % 2];
            assert_eq!(new.client().run("REPLICAOF NO ONE"), "OK");
            let demote = format!("REPLICAOF 127.0.0.1 {}", new.port());
            assert_eq!(old.client().run(&demote), "OK");
            linked(&mut old.client());
            crowd.go_on();
        }
    });
    assert_settled(one, &[&two]);
}

fn linked(replica: &mut Client) {
    eventually("the replica is linked", || {
        replica.info("replication", "master_link_status") == Some("up".to_owned())
    });
}

#[test]
fn failovers_among_hundreds_of_waits_leave_the_same_data_everywhere() {
    let (one, two) = (aof().start(), aof().start());
    two.client()
        .run(&format!("REPLICAOF 127.0.0.1 {}", one.port()));
    one.wait_for_replica(&two);
    let crowd = Crowd::default();
    crowd.busy(&[&one, &two], || {
        for round in 0..4 {
            let (old, new) = [(&one, &two), (&two, &one)][round % 2];
            let mut client = old.client();
            eventually("the failover begins", || client.run("FAILOVER") == "OK");
            let role = |server: &Server| server.client().info("replication", "role").unwrap();
            eventually("the failover has ended", || {
                role(old) == "slave" && role(new) == "master"
            });
            linked(&mut old.client());
            crowd.go_on();
        }
    });
    assert_settled(one, &[&two]);
}

#[test]
fn a_reload_keeps_the_holder_and_the_line() {
    let server = Server::start();
    let line = stand_in_line(&server);
    let mut client = server.client();
    let holder = client.holder("line");
    assert_eq!(client.run("DEBUG RELOAD"), "OK");
    assert_eq!(client.holder("line"), holder);
    assert_eq!(client.counter("waiters"), 200);
    assert_all_served(&server, line);
    assert_eq!(client.holder("line"), "free");
}
