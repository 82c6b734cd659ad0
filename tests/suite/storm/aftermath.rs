//! What there is to see when a storm is over: everyone was answered, nothing is left behind, and the
//! data is the same everywhere.

use super::control::Control;
use super::trouble;
use super::world::{self, World};
use crate::support::{eventually, show, Client, Server};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What expires sooner is not compared, in ms: it may do so in between.
const LASTS: i64 = 5000;

/// Has those who wait for locks get them, one after the other. What nobody waits for is left alone.
pub fn let_waiters_go(world: &World, node: usize) {
    let mut control = Control::new(world, node, Rng::with_seed(0));
    control.say("CLIENT UNPAUSE");
    for database in 0..world.databases {
        if world.databases > 1 {
            control.say(&format!("SELECT {database}"));
        }
        let lines = control.say("LOCK.LINES COUNT 10000");
        let mut words = lines.split([' ', '[', ']']).filter(|word| !word.is_empty());
        while words.any(|word| word == "lock") {
            if let Some(lock) = words.next() {
                control.say(&format!("DEL {lock}"));
            }
        }
    }
}

/// Each master that has a replica among the nodes of a cluster, and that replica.
pub fn pairs(nodes: &[Server]) -> Vec<(usize, &Server)> {
    let master_of = |node: &Server| master_of(nodes, &node.client().run("ROLE"));
    let pairs = nodes
        .iter()
        .filter_map(|node| Some((master_of(node)?, node)));
    pairs.collect()
}

/// The master that a replica's ROLE names.
pub fn master_of(nodes: &[Server], role: &str) -> Option<usize> {
    let mut words = role.strip_prefix("[slave ")?.split(' ');
    let port: u16 = words.nth(1)?.parse().ok()?;
    nodes.iter().position(|node| node.port() == port)
}

/// Waits until a server has nothing left of those who have gone.
pub fn nothing_is_left(server: &Server) {
    let mut client = server.client();
    eventually("nobody waits, is blocked, or has a session", || {
        let blocked = client.info("clients", "blocked_clients").unwrap();
        let gauges = ["waiters", "lines", "sessions"].map(|gauge| client.counter(gauge));
        blocked == "0" && gauges == [0, 0, 0]
    });
    server.assert_sound();
}

/// Compares what a master, its replica, and its append-only file have.
pub fn check_data(master: &Server, replica: &Server, databases: usize) {
    let mut client = master.client();
    for n in 0..20 {
        client.run(&format!("SELECT {}", n % databases));
        client.run(&format!("LOCK.ACQUIRE {{{n}}}left me 600000"));
    }
    // Fields that expire have no deadline of their keys'.
    std::thread::sleep(Duration::from_millis(700));
    master.wait_for_replica(replica);
    // A slot that is taken may leave keys at a replica (Redis 7.0 does not pass their deletion on), and
    // Valkey 8.1 and its replica may differ where roles change (seen with plain commands only).
    let in_part = databases == 1 || client.run("INFO server").contains("valkey_version");
    let stored = |client: &mut Client| {
        let mut stored = lasting(client, databases);
        stored.retain(|key, _| !in_part || key.ends_with("}left"));
        stored
    };
    let (here, there) = (stored(&mut client), stored(&mut replica.client()));
    assert!(here.keys().any(|key| key.ends_with("}left")), "{here:?}");
    assert_same(&here, &there, "the master and the replica");
    if client.run("CONFIG GET appendonly").contains("yes") {
        eventually("the append-only file is whole", || {
            trouble::has_whole_aof(&client.run("INFO persistence"))
        });
        assert_eq!(client.run("DEBUG LOADAOF"), "OK");
        let loaded = stored(&mut client);
        assert_same(&here, &loaded, "the server and its append-only file");
    }
}

fn assert_same(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>, what: &str) {
    let keys = a.keys().chain(b.keys());
    let other: Vec<String> = keys
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("{key}: {:?} and {:?}", a.get(key), b.get(key)))
        .collect();
    assert!(other.is_empty(), "{what} differ in {other:#?}");
}

/// All that is stored and does not expire soon.
fn lasting(client: &mut Client, databases: usize) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // A replica of a cluster would send elsewhere else.
    client.run("READONLY");
    for database in 0..databases {
        client.run(&format!("SELECT {database}"));
        let keys: Vec<String> = redis::from_redis_value(client.ask("KEYS *")).unwrap();
        for key in keys {
            let read = match client.run(&format!("TYPE {key}")).as_str() {
                "hash" => "HGETALL",
                "string" => "GET",
                "set" => "SMEMBERS",
                "list" => "LRANGE",
                // It has just expired, or its slot was taken from this node when it was nobody's.
                _ => continue,
            };
            let deadline = client.deadline(&key);
            if deadline.is_some_and(|deadline| deadline < client.clock() + LASTS) {
                continue;
            }
            let range = if read == "LRANGE" { "0 -1" } else { "" };
            let value = show(&client.ask(&format!("{read} {key} {range}")));
            if ["[]", "nil"].contains(&value.as_str()) {
                continue; // it has expired since its type was asked for
            }
            // In any order, but for lists, whose items are all alike.
            let mut words: Vec<&str> = value.split([' ', '[', ']']).collect();
            words.sort_unstable();
            let value = format!("{} {deadline:?}", words.join(" "));
            found.insert(format!("{database}/{key}"), value);
        }
    }
    client.run("SELECT 0");
    found
}

/// The memory that a server takes without data, once what was freed has come back.
pub fn memory(server: &Server) -> u64 {
    let mut client = server.client();
    let mut lines = vec!["FLUSHALL", "CONFIG RESETSTAT", "MEMORY PURGE"];
    if world::forgets_scripts() {
        lines.push("SCRIPT FLUSH");
    }
    for line in lines {
        client.run(line);
    }
    let used = |client: &mut Client| {
        let used = client.info("memory", "used_memory").unwrap();
        used.parse::<u64>().unwrap()
    };
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        let now = used(&mut client);
        if now + 10_000 < least {
            (least, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    least
}

/// Unloads the module, which is refused while anything of it is still to come.
pub fn unload(server: &Server) {
    let mut client = server.client();
    let start = Instant::now();
    let mut reply = String::new();
    while reply != "OK" && start.elapsed() < Duration::from_secs(10) {
        reply = client.run("MODULE UNLOAD lock");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(reply, "OK", "the module can be unloaded");
    assert_eq!(client.run("PING"), "PONG");
    server.assert_sound();
}
