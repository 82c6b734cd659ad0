//! What there is to see when a round or a scenario is over: nobody waits, and nothing is left behind.

use crate::scenario::Scenario;
use crate::world::{client, Node, World};
use lock_test_support::{eventually, Client, PATIENCE};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Waits until no server knows of a waiter, a wait queue or a session.
pub fn nobody_is_left(world: &World) {
    for node in &world.nodes {
        let mut client = client(node);
        if !is_master(&mut client) || !client.has("LOCK.ACQUIRE") {
            continue;
        }
        let mut gauges = [0; 3];
        eventually("nobody waits, and there is no session", || {
            gauges = ["waiters", "lines", "sessions"].map(|gauge| client.counter(gauge));
            gauges == [0, 0, 0]
        });
        assert_eq!(client.run("LOCK.LINES COUNT 10"), "[]", "after {gauges:?}");
    }
}

/// Waits until every lease is over, and no lock is stored.
pub fn nothing_is_stored(world: &World, scenario: &Scenario) {
    for node in &world.nodes {
        let mut client = client(node);
        let end = Instant::now() + PATIENCE;
        // The server looks for what has expired by itself; to ask for all keys is to look at each.
        while client.run("KEYS *") != "[]" {
            assert!(
                Instant::now() < end,
                "there is a lock left on a server of {}: {}",
                scenario.name,
                what_is_stored(&mut client)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        node.server().assert_sound();
    }
}

/// Each key, how long its lease is, and what it holds.
fn what_is_stored(client: &mut Client) -> String {
    let names: Vec<String> = redis::from_redis_value(client.ask("KEYS *")).unwrap_or_default();
    let mut text = String::new();
    for name in names {
        let ttl = client.int(&format!("PTTL {name}"));
        let stored = client.stored(&name);
        let _ = write!(text, "{name} for {ttl} ms: {stored:?}; ");
    }
    text
}

fn is_master(client: &mut Client) -> bool {
    client.run("ROLE").starts_with("[master")
}

/// Compares what a server has with what it has when it has read its files again, after a crash.
pub fn is_stored(world: &World, node: &Node) -> Result<(), String> {
    let mut before = client(node);
    let names: Vec<String> = (0..50).map(|n| format!("kept:{n}")).collect();
    for name in &names {
        before.run(&format!("LOCK.ACQUIRE {name} me 600000"));
        before.run(&format!("LOCK.ACQUIRE {name} me 600000"));
    }
    let all = |client: &mut Client| {
        let stored = names.iter().map(|name| client.stored(name));
        stored.collect::<Vec<_>>()
    };
    let stored = all(&mut before);
    if !node.kill_and_restart(world, |_| ()) {
        return Ok(()); // which is told of by itself
    }
    let mut after = client(node);
    let loaded = all(&mut after);
    for name in &names {
        after.run(&format!("DEL {name}"));
    }
    match stored == loaded {
        true => Ok(()),
        false => Err(format!(
            "the server and its files differ: {stored:?} and {loaded:?}"
        )),
    }
}
