//! Disturbs those who lock: kills and unblocks their clients, and takes their locks away.

use super::registry::Registry;
use super::{CALM, LOCKS};
use crate::support::{show, Client, Server};
use fastrand::Rng;
use redis::Value;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

/// Goes on until the soak ends. `clients` has the ids of the connections.
pub fn run(server: &Server, registry: &Registry, clients: &[AtomicI64], mut dice: Rng) {
    let mut client = server.client();
    while !registry.is_stopped() {
        let id = clients[dice.usize(..clients.len())].load(SeqCst);
        // Not known yet; and to kill the client 0 is to kill everyone.
        if id == 0 {
            continue;
        }
        match dice.usize(..10) {
            0..=2 => client.run(&format!("CLIENT UNBLOCK {id} TIMEOUT")),
            3..=4 => client.run(&format!("CLIENT UNBLOCK {id} ERROR")),
            5 | 6 => client.run(&format!("CLIENT KILL ID {id}")),
            _ => take_away(&mut client, registry, id, &mut dice),
        };
        std::thread::sleep(Duration::from_micros(500 * dice.usize(..5) as u64));
    }
}

/// Frees a lock that someone holds; half of the time a client is let go in the same step, which may
/// be the one that is granted the lock then.
fn take_away(client: &mut Client, registry: &Registry, id: i64, dice: &mut Rng) -> String {
    let lock = CALM + dice.usize(..LOCKS - CALM);
    let free = ["LOCK.FORCERELEASE", "DEL", "UNLINK"][dice.usize(..3)];
    let and = [
        format!("CLIENT KILL ID {id}"),
        format!("CLIENT UNBLOCK {id} TIMEOUT"),
        format!("CLIENT UNBLOCK {id} ERROR"),
        "PING".to_owned(),
        "PING".to_owned(),
    ];
    let and = &and[dice.usize(..and.len())];
    registry.forces(lock);
    client.run("MULTI");
    // The token of another lock: every hold until then has a smaller one, and every later hold a
    // larger one.
    client.run("LOCK.ACQUIRE scale troublemaker");
    client.run("LOCK.RELEASE scale troublemaker");
    for line in [&format!("{free} k{lock}"), and] {
        client.run(line);
    }
    let replies = client.ask("EXEC");
    let told = format!("{free} k{lock} and {and} -> {}", show(&replies));
    registry.note("troublemaker", &told);
    let token = match &replies {
        Value::Array(replies) => redis::from_redis_value(replies[0].clone()).ok(),
        _ => None,
    };
    let Some([1, 1, token, _]): Option<[i64; 4]> = token else {
        registry.fail("troublemaker", format!("EXEC replied {}", show(&replies)));
        return String::new();
    };
    registry.forced(lock, token);
    String::new()
}
