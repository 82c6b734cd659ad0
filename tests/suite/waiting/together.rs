//! Several waits of one owner for one lock.

use super::held;
use crate::support::{eventually, Client, Waiter};

#[test]
fn two_waits_of_one_owner_are_granted_together() {
    let (_server, mut client, mut waiters) = held(&[
        "LOCK.ACQUIRE orders twice 30000 WAIT 0",
        "LOCK.ACQUIRE orders other 60000 WAIT 0",
        "LOCK.ACQUIRE orders twice 50000 WAIT 0",
    ]);
    client.run("LOCK.RELEASE orders me");
    let [acquired, holds, token, ttl] = waiters[0].grant();
    assert_eq!([acquired, holds, ttl], [1, 1, 30_000]);
    assert_eq!(waiters[2].grant(), [1, 2, token, 50_000]);
    assert!(!waiters[1].has_reply());
    assert_eq!(client.holder("orders"), format!("twice 2 {token}"));
    assert_eq!(client.run("LOCK.RELEASE orders twice"), "1");
    assert!(!waiters[1].has_reply());
    assert_eq!(client.run("LOCK.RELEASE orders twice"), "0");
    assert_eq!(waiters[1].grant()[..2], [1, 1]);
}

/// The retry of a wait on a new connection: both calls stand for the same one hold.
const RETRIED: [&str; 3] = [
    "LOCK.ACQUIRE orders twice 60000 HOLDS 1 WAIT 0",
    "LOCK.ACQUIRE orders twice 60000 HOLDS 1 WAIT 0",
    "LOCK.ACQUIRE orders next 60000 WAIT 0",
];

#[test]
fn a_wait_that_was_retried_makes_one_hold() {
    let (_server, mut client, mut waiters) = held(&RETRIED);
    client.run("LOCK.RELEASE orders me");
    let first = waiters[0].grant();
    assert_eq!(first[..2], [1, 1]);
    assert_eq!(waiters[1].grant()[..3], first[..3]);
    assert_eq!(client.holder("orders"), format!("twice 1 {}", first[2]));
    assert_eq!(client.run("LOCK.RELEASE orders twice HOLDS 0"), "0");
    assert_eq!(waiters[2].grant()[..2], [1, 1]);
}

#[test]
fn a_wait_that_was_retried_makes_one_hold_whichever_client_goes_away_before() {
    for gone in [0, 1] {
        let (server, mut client, mut waiters) = held(&RETRIED);
        waiters.remove(gone).close();
        server.until_waiting(2);
        client.run("LOCK.RELEASE orders me");
        assert_eq!(waiters[0].grant()[..2], [1, 1]);
        assert!(client.holder("orders").starts_with("twice 1 "));
        assert!(!waiters[1].has_reply());
    }
}

/// Frees the lock and kills clients before they can be told: they are granted it and gone.
fn release_and_kill(client: &mut Client, gone: &[&Waiter]) {
    client.run("MULTI");
    client.run("LOCK.RELEASE orders me");
    for waiter in gone {
        client.run(&format!("CLIENT KILL ID {}", waiter.id()));
    }
    let reply = client.run("EXEC");
    assert_eq!(reply, format!("[0{}]", " 1".repeat(gone.len())));
}

#[test]
fn a_wait_that_was_retried_makes_one_hold_whichever_client_goes_away_during_the_grant() {
    for gone in [0, 1] {
        let (_server, mut client, mut waiters) = held(&RETRIED);
        release_and_kill(&mut client, &[&waiters[gone]]);
        let [acquired, holds, token, _] = waiters[1 - gone].grant();
        assert_eq!([acquired, holds], [1, 1]);
        assert_eq!(waiters[gone].reply(), "closed");
        assert!(!waiters[2].has_reply());
        assert_eq!(client.holder("orders"), format!("twice 1 {token}"));
    }
}

#[test]
fn a_hold_stays_that_a_repeat_without_waiting_was_answered_meanwhile() {
    let (_server, mut client, mut waiters) = held(&RETRIED);
    client.run("MULTI");
    client.run("LOCK.RELEASE orders me");
    client.run("LOCK.ACQUIRE orders twice 60000 HOLDS 1");
    for waiter in &waiters[..2] {
        client.run(&format!("CLIENT KILL ID {}", waiter.id()));
    }
    let reply = client.run("EXEC");
    assert!(reply.starts_with("[0 [1 1 "), "{reply}");
    assert!(!waiters[2].has_reply());
    assert!(client.holder("orders").starts_with("twice 1 "));
    assert_eq!(client.run("LOCK.RELEASE orders twice"), "0");
    assert_eq!(waiters[2].grant()[..2], [1, 1]);
}

#[test]
fn a_retried_wait_whose_clients_are_both_gone_leaves_the_lock_to_the_next() {
    let (_server, mut client, mut waiters) = held(&RETRIED);
    release_and_kill(&mut client, &[&waiters[0], &waiters[1]]);
    assert_eq!(waiters[2].grant()[..2], [1, 1]);
    assert!(client.holder("orders").starts_with("next 1 "));
}

#[test]
fn a_client_that_goes_away_takes_only_its_own_hold_with_it() {
    for gone in [0, 1] {
        let (_server, mut client, mut waiters) = held(&[
            "LOCK.ACQUIRE orders twice 60000 WAIT 0",
            "LOCK.ACQUIRE orders twice 60000 WAIT 0",
        ]);
        release_and_kill(&mut client, &[&waiters[gone]]);
        assert_eq!(waiters[1 - gone].grant()[0], 1);
        eventually("its hold is undone", || {
            client.holder("orders").starts_with("twice 1 ")
        });
    }
}
