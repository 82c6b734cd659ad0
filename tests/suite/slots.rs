//! Lines in a cluster of three masters: slots that move, and a cluster that is down.

use crate::support::{eventually, skip, three_masters, version, Client, Server, Setup, Waiter};
use redis_reentrant_lock::lock::slot_of;
use std::time::Duration;

/// The slot of the lock `orders`.
const SLOT: u32 = 105;

/// Three masters that share the slots; the first has [`SLOT`].
struct Cluster {
    nodes: Vec<Server>,
    ids: Vec<String>,
}

impl Cluster {
    fn start() -> Cluster {
        let setup = Setup::new().config("cluster-node-timeout 15000");
        let nodes = three_masters(&setup);
        let mut clients: Vec<Client> = nodes.iter().map(Server::client).collect();
        assert_eq!(clients[0].run("CLUSTER KEYSLOT orders"), SLOT.to_string());
        let ids = clients.iter_mut().map(|client| client.run("CLUSTER MYID"));
        let ids = ids.collect();
        Cluster { nodes, ids }
    }

    /// Has the slot begin to move from the first node to the second.
    fn begin_to_move(&self) {
        let [from, to] = [0, 1].map(|n: usize| &self.ids[n]);
        let importing = format!("CLUSTER SETSLOT {SLOT} IMPORTING {from}");
        assert_eq!(self.nodes[1].client().run(&importing), "OK");
        let migrating = format!("CLUSTER SETSLOT {SLOT} MIGRATING {to}");
        assert_eq!(self.nodes[0].client().run(&migrating), "OK");
    }

    /// Moves the keys that are still there, and ends the move of the slot.
    fn end_the_move(&self) {
        let mut from = self.nodes[0].client();
        let port = self.nodes[1].port();
        let keys = from.ask(&format!("CLUSTER GETKEYSINSLOT {SLOT} 100"));
        for key in redis::from_redis_value::<Vec<String>>(keys).unwrap() {
            let migrate = format!("MIGRATE 127.0.0.1 {port} {key} 0 60000");
            let reply = from.run(&migrate);
            assert!(["OK", "NOKEY"].contains(&reply.as_str()), "{reply}");
        }
        for n in [1, 0, 2] {
            let set = format!("CLUSTER SETSLOT {SLOT} NODE {}", self.ids[1]);
            assert_eq!(self.nodes[n].client().run(&set), "OK");
        }
    }

    /// How many keys of the slot each of the two nodes has.
    fn keys(&self) -> [i64; 2] {
        let count = format!("CLUSTER COUNTKEYSINSLOT {SLOT}");
        [0, 1].map(|n: usize| self.nodes[n].client().int(&count))
    }

    /// Runs a command as a cluster's client does: it goes where it is sent.
    fn run(&self, line: &str) -> String {
        let (mut at, mut asking) = (0, false);
        for _ in 0..1000 {
            let mut client = self.nodes[at].client();
            if asking {
                assert_eq!(client.run("ASKING"), "OK");
            }
            let reply = client.run(line);
            match self.sent_to(&reply) {
                Some(node) => (at, asking) = (node, reply.starts_with("ASK ")),
                None if reply.starts_with("TRYAGAIN") => (at, asking) = (0, false),
                None => return reply,
            }
        }
        panic!("{line} is sent to and fro")
    }

    /// The node that a MOVED or ASK names.
    fn sent_to(&self, reply: &str) -> Option<usize> {
        let mut words = reply.split(' ');
        let ("MOVED" | "ASK") = words.next()? else {
            return None;
        };
        let port: u16 = words.next_back()?.rsplit(':').next()?.parse().ok()?;
        self.nodes.iter().position(|node| node.port() == port)
    }
}

fn wait(node: &Server, owner: &str) -> Waiter {
    Waiter::start(node, &format!("LOCK.ACQUIRE orders {owner} 600000 WAIT 0"))
}

/// A cluster in which `me` holds the lock `orders`, and a connection to its node.
fn held() -> (Cluster, Client) {
    let cluster = Cluster::start();
    let mut client = cluster.nodes[0].client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    (cluster, client)
}

/// Whether a reply has a cluster's client come again, here or elsewhere.
fn sends_on(reply: &str) -> bool {
    reply.starts_with(&format!("MOVED {SLOT} ")) || reply.starts_with("TRYAGAIN ")
}

#[test]
fn a_line_is_served_in_a_cluster_of_three_masters() {
    let (cluster, mut client) = held();
    let mut waiters = ["a", "b"].map(|owner| (owner, wait(&cluster.nodes[0], owner)));
    client.run("LOCK.RELEASE orders me");
    for (owner, waiter) in &mut waiters {
        assert_eq!(waiter.grant()[..2], [1, 1]);
        waiter.run(&format!("LOCK.RELEASE orders {owner}"));
    }
    assert!(cluster.nodes[1]
        .client()
        .run("LOCK.ACQUIRE orders you WAIT 0")
        .starts_with("MOVED "));
}

#[test]
fn a_release_in_a_slot_that_is_being_moved_hands_the_lock_on() {
    let (cluster, mut client) = held();
    let mut waiter = wait(&cluster.nodes[0], "you");
    cluster.begin_to_move();
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(cluster.keys(), [1, 0]);
    cluster.end_the_move();
    assert_eq!(cluster.run("LOCK.ASSERT orders you"), "OK");
}

#[test]
fn a_slot_is_looked_at_once_a_second_however_many_of_its_locks_are_waited_for() {
    let (cluster, mut client) = held();
    let locks: Vec<String> = (0..20).map(|n| format!("{{orders}}-{n}")).collect();
    for lock in &locks {
        client.grant(&format!("LOCK.ACQUIRE {lock} me 600000"));
    }
    let waits = locks
        .iter()
        .map(|lock| format!("LOCK.ACQUIRE {lock} you WAIT 0"));
    let _waiters = Waiter::start_all(&cluster.nodes[0], waits);
    if version() >= (7, 2) {
        return skip("the server's dry runs are not counted");
    }
    // The server is asked by a call that fails before it looks at the key.
    eventually("the slot was looked at twice", || {
        client.calls("pexpireat") >= 2
    });
    assert!(client.calls("pexpireat") < 20);
}

#[test]
fn whoever_waits_for_a_slot_that_has_moved_is_sent_after_it_and_gets_the_lock_there() {
    let (cluster, _client) = held();
    let mut waiters = ["a", "b", "c"].map(|owner| wait(&cluster.nodes[0], owner));
    cluster.begin_to_move();
    cluster.end_the_move();
    for waiter in &mut waiters {
        let reply = waiter.reply();
        assert!(sends_on(&reply), "{reply}");
        assert_eq!(waiter.run("PING"), "PONG");
    }
    assert_eq!(cluster.nodes[0].client().counter("waiters"), 0);
    let mut waiter = wait(&cluster.nodes[1], "a");
    assert_eq!(cluster.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
}

#[test]
fn a_session_whose_slot_has_moved_is_lost_and_the_hold_goes_on_there_without_it() {
    let (cluster, mut client) = held();
    let bound = client.grant("LOCK.ACQUIRE orders me 600000 SESSION HOLDS 1");
    assert_eq!(bound[..2], [1, 1]);
    cluster.begin_to_move();
    cluster.end_the_move();
    let mut probe = cluster.nodes[0].client();
    eventually("it is lost", || probe.counter("sessions_lost") == 1);
    drop(client);
    assert_eq!(probe.counter("sessions_ended"), 0);
    assert_eq!(cluster.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn a_session_whose_slot_another_node_claims_with_the_keys_left_behind_is_lost() {
    let (cluster, mut client) = held();
    client.grant("LOCK.ACQUIRE orders me 600000 SESSION HOLDS 1");
    // The old node deletes its keys then, of which 7.0 does not tell.
    let mut claims = cluster.nodes[1].client();
    let importing = format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", cluster.ids[0]);
    assert_eq!(claims.run(&importing), "OK");
    let mine = format!("CLUSTER SETSLOT {SLOT} NODE {}", cluster.ids[1]);
    assert_eq!(claims.run(&mine), "OK");
    let mut probe = cluster.nodes[0].client();
    eventually("it is lost", || probe.counter("sessions_lost") == 1);
    assert_eq!(cluster.keys(), [0, 0]);
}

/// A lock ends at the source while its slot is on the move: a newcomer is sent to the target from
/// then on, so a waiter at the source must not have it too.
fn assert_one_owner(end: &str) {
    let (cluster, mut client) = held();
    let mut waiter = wait(&cluster.nodes[0], "waiter");
    cluster.begin_to_move();
    assert_eq!(client.int(end), 1);
    let mut newcomer = String::new();
    eventually("the newcomer has the lock, or the waiter", || {
        newcomer = cluster.run("LOCK.ACQUIRE orders newcomer 600000");
        newcomer.starts_with("[1 ") || waiter.has_arrived()
    });
    let told = waiter.reply();
    let owners = [&newcomer, &told].map(|reply| reply.starts_with("[1 "));
    assert_ne!(owners, [true; 2], "{newcomer}, {told}");
    assert!(sends_on(&told) || owners[1], "{told}");
    // Whoever was sent away comes again, and then there is one lock with one owner.
    cluster.run("LOCK.ACQUIRE orders waiter 600000");
    // A key whose lease is over may still be counted for a while.
    eventually("one lock is left", || {
        cluster.keys().iter().sum::<i64>() == 1
    });
}

#[test]
fn a_lock_that_is_deleted_in_a_slot_on_the_move_never_has_two_owners() {
    assert_one_owner("DEL orders");
}

#[test]
fn a_lock_that_lapses_in_a_slot_on_the_move_never_has_two_owners() {
    assert_one_owner("PEXPIRE orders 100");
}

#[test]
fn a_lock_that_has_gone_ahead_to_the_target_is_not_granted_at_the_source() {
    let (cluster, mut client) = held();
    let mut waiter = wait(&cluster.nodes[0], "waiter");
    cluster.begin_to_move();
    let port = cluster.nodes[1].port();
    assert_eq!(
        client.run(&format!("MIGRATE 127.0.0.1 {port} orders 0 60000")),
        "OK"
    );
    let reply = waiter.reply();
    assert!(sends_on(&reply), "{reply}");
    assert_eq!(cluster.keys(), [0, 1]);
    assert_eq!(cluster.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(cluster.keys(), [0, 0]);
}

#[test]
fn nothing_is_granted_while_the_cluster_is_down_and_the_line_goes_on_after_it() {
    let (cluster, mut client) = held();
    let mut waiter = wait(&cluster.nodes[0], "you");
    let down = |client: &mut Client| client.run("CLUSTER INFO").contains("cluster_state:fail");
    // One slot that nobody serves is enough.
    let replies = client.at_once(&["LOCK.RENEW orders me 700", "CLUSTER DELSLOTS 5000"]);
    assert_eq!(replies[1], "OK");
    eventually("the cluster is down", || down(&mut client));
    eventually("the lease has ended", || {
        client.run("LOCK.INFO orders").starts_with("CLUSTERDOWN ")
            && client.int(&format!("CLUSTER COUNTKEYSINSLOT {SLOT}")) == 0
            || waiter.has_arrived()
    });
    if waiter.has_arrived() {
        // The server sends those who wait away by itself.
        let reply = waiter.reply();
        assert!(reply.starts_with("CLUSTERDOWN "), "{reply}");
        waiter.send("PING");
    }
    assert_eq!(client.run("CLUSTER ADDSLOTS 5000"), "OK");
    eventually("the cluster is up", || !down(&mut client));
    let reply = waiter.reply();
    if !reply.starts_with("[1 1 ") {
        assert!(
            reply == "PONG" || reply.starts_with("CLUSTERDOWN "),
            "{reply}"
        );
        eventually("the lock can be had", || {
            client.run("LOCK.ACQUIRE orders you").starts_with("[1 1 ")
        });
    }
}

#[test]
fn the_connection_of_a_session_is_closed_when_the_cluster_is_down_for_longer_than_its_lease() {
    let cluster = Cluster::start();
    let mut client = cluster.nodes[0].client();
    let mut holder = Waiter::begin(
        &cluster.nodes[0],
        &[],
        "LOCK.ACQUIRE orders me 2000 SESSION",
    );
    assert_eq!(holder.grant()[..2], [1, 1]);
    assert_eq!(client.run("CLUSTER DELSLOTS 5000"), "OK");
    assert_eq!(holder.value(), None, "its connection is open");
    assert_eq!(client.counter("sessions_lost"), 1);
}

#[test]
fn an_atomic_move_of_a_slot_sends_the_line_after_it() {
    let (cluster, mut client) = held();
    let mut waiter = wait(&cluster.nodes[0], "you");
    let to = &cluster.ids[1];
    let reply = client.run(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE {SLOT} {SLOT} NODE {to}"
    ));
    if reply.to_lowercase().contains("unknown subcommand") {
        return skip("this server moves no slots by itself");
    }
    assert_eq!(reply, "OK");
    let told = waiter.reply();
    assert!(sends_on(&told), "{told}");
    assert_eq!(cluster.keys(), [0, 1]);
    let mut waiter = wait(&cluster.nodes[1], "you");
    assert_eq!(cluster.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
}

#[test]
fn a_session_at_the_target_of_a_slot_on_the_move_goes_on() {
    let (cluster, _client) = held();
    cluster.begin_to_move();
    let mut target = cluster.nodes[1].client();
    assert_eq!(target.run("ASKING"), "OK");
    let lock = "{orders}-new";
    let granted = target.grant(&format!("LOCK.ACQUIRE {lock} me 600000 SESSION"));
    assert_eq!(granted[..2], [1, 1]);
    // It is looked at once a second, and nothing tells of a look that is sent elsewhere.
    std::thread::sleep(Duration::from_millis(2500));
    let mut probe = cluster.nodes[1].client();
    assert_eq!(probe.counter("sessions"), 1);
    assert_eq!(probe.counter("sessions_lost"), 0);
    cluster.end_the_move();
    assert_eq!(target.int(&format!("LOCK.RELEASE {lock} me")), 0);
}

#[test]
fn sessions_in_a_slot_on_the_move_kept_the_others_from_being_renewed() {
    // More than are renewed at once.
    const ARRIVING: usize = 120;
    let (cluster, _client) = held();
    cluster.begin_to_move();
    let node = &cluster.nodes[1];
    let arriving = (0..ARRIVING).map(|n| {
        let mut client = node.client();
        assert_eq!(client.run("ASKING"), "OK");
        let granted = client.grant(&format!("LOCK.ACQUIRE {{orders}}-{n} me 3000 SESSION"));
        assert_eq!(granted[..2], [1, 1]);
        client
    });
    let _arriving: Vec<Client> = arriving.collect();
    let is_its_own = |name: &String| usize::from(slot_of(name.as_bytes())) * 3 / 16384 == 1;
    let own = (0..).map(|n| format!("own-{n}")).find(is_its_own).unwrap();
    let mut keeper = node.client();
    keeper.grant(&format!("LOCK.ACQUIRE {own} me 3000 SESSION"));
    let (mut probe, mut least) = (node.client(), 3000);
    eventually("it is renewed", || {
        let left = probe.int(&format!("PTTL {own}"));
        assert!(left > 0, "its lease has ended");
        least = least.min(left);
        left > least + 500
    });
}
