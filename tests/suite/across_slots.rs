//! Locks of several slots of one node of a cluster. While such a server runs a command, it finds the keys of no other slot
//! than that of the command (from Redis 7.4 and Valkey 8 on): what concerns other locks has to come after it.

use crate::deadlocks::close_by_a_hand_over;
use crate::support::{cluster, Client, Server, Setup, Waiter};

/// One node with all slots. The locks `a`, `b`, `c`, `orders` and `stock` are of different ones.
fn start() -> (Server, Client) {
    let server = cluster(Setup::new());
    let client = server.client();
    (server, client)
}

#[test]
fn a_cycle_of_waits_for_locks_of_different_slots_was_not_found() {
    let (server, mut client) = start();
    for (lock, owner) in [("a", "one"), ("b", "two"), ("c", "three")] {
        client.grant(&format!("LOCK.ACQUIRE {lock} {owner} 600000"));
    }
    let mut one = Waiter::start(&server, "LOCK.ACQUIRE b one 600000 WAIT 0");
    let mut two = Waiter::start(&server, "LOCK.ACQUIRE c two 600000 WAIT 0");
    let mut three = Waiter::start(&server, "LOCK.ACQUIRE a three 600000 WAIT 0");
    let wanted = "DEADLOCK waiting for \"a\" would close a cycle of 3 owners";
    assert_eq!(three.reply(), wanted);
    assert_eq!(client.counter("deadlocks_refused"), 1);
    client.run("LOCK.RELEASE c three");
    assert_eq!(two.grant()[0], 1);
    assert!(!one.has_reply());
    client.run("LOCK.RELEASE b two");
    assert_eq!(one.grant()[0], 1);
    assert_eq!(client.counter("waiters"), 0);
}

#[test]
fn a_cycle_that_a_hand_over_closes_over_two_slots_was_not_found() {
    let (server, _client) = start();
    close_by_a_hand_over(&server);
}

#[test]
fn a_lock_granted_to_one_who_was_gone_stayed_held_where_a_call_for_another_slot_came_next() {
    let (server, mut client) = start();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 600000 WAIT 0");
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 600000 WAIT 0");
    client.at_once(&[
        "LOCK.RELEASE orders me".to_owned(),
        format!("CLIENT KILL ID {}", waiter.id()),
        "LOCK.ACQUIRE stock me 600000".to_owned(),
    ]);
    assert_eq!(next.grant()[..2], [1, 1]);
    assert_eq!(client.run("LOCK.ASSERT orders next"), "OK");
    assert_eq!(client.run("LOCK.ASSERT stock me"), "OK");
}

#[test]
fn a_list_names_the_holders_of_all_slots_and_in_a_transaction_at_least_who_waits() {
    let (server, mut client) = start();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let _waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 600000 WAIT 0");
    let listed = client.run("LOCK.LINES");
    assert!(listed.contains("owner me"), "{listed}");
    let replies = client.at_once(&["MULTI", "LOCK.INFO stock", "LOCK.LINES", "EXEC"]);
    let last = replies.last().unwrap();
    let is_shown = last.contains("owner me") || last.contains("owner nil");
    assert!(is_shown && last.contains("[owner you"), "{last}");
}
