//! `INFO lock`: how often things happened.

use crate::support::{eventually, Client, Server};
use std::collections::BTreeMap;

const COUNTERS: [&str; 7] = [
    "acquired",
    "reentered",
    "busy",
    "released",
    "renewed",
    "forced",
    "asserts_failed",
];

/// The section `lock` of INFO.
fn section(client: &mut Client) -> BTreeMap<String, u64> {
    let text = client.run("INFO lock");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("# lock"));
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let name = name.strip_prefix("lock_").unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Which counters a line moves, and by how much.
fn moved(client: &mut Client, line: &str) -> Vec<(String, u64)> {
    let before = section(client);
    client.run(line);
    let after = section(client);
    after
        .into_iter()
        .map(|(name, value)| (name.clone(), value - before[&name]))
        .filter(|(_, by)| *by > 0)
        .collect()
}

#[test]
fn info_shows_each_counter_as_a_plain_number_from_zero() {
    let server = Server::start();
    let mut client = server.client();
    let section = section(&mut client);
    for name in COUNTERS {
        assert_eq!(section.get(name), Some(&0), "{name}");
    }
    for wider in ["modules", "everything"] {
        let text = client.run(&format!("INFO {wider}"));
        assert!(text.contains("lock_acquired:0"), "INFO {wider}");
    }
}

#[test]
fn each_call_moves_the_one_counter_that_it_belongs_to() {
    let server = Server::start();
    let mut client = server.client();
    for (line, counter) in [
        ("LOCK.ACQUIRE orders me 60000", "acquired"),
        ("LOCK.ACQUIRE orders me", "reentered"),
        ("LOCK.ACQUIRE orders me HOLDS 2", "reentered"),
        ("LOCK.ACQUIRE orders you", "busy"),
        ("LOCK.ACQUIRE orders you HOLDS 1", "busy"),
        ("LOCK.RENEW orders me", "renewed"),
        ("LOCK.ASSERT orders you", "asserts_failed"),
        ("LOCK.ASSERT free me", "asserts_failed"),
        ("LOCK.ASSERT orders me TOKEN 7", "asserts_failed"),
        ("LOCK.RELEASE orders me", ""),
        ("LOCK.RELEASE orders me", "released"),
        ("LOCK.ACQUIRE orders me HOLDS 1", "acquired"),
        ("LOCK.FORCERELEASE orders", "forced"),
        ("LOCK.FORCERELEASE orders", ""),
        ("LOCK.ASSERT orders me", "asserts_failed"),
        ("LOCK.INFO orders", ""),
    ] {
        let wanted: &[(String, u64)] = match counter {
            "" => &[],
            name => &[(name.to_owned(), 1)],
        };
        assert_eq!(moved(&mut client, line), wanted, "{line}");
    }
}

#[test]
fn calls_that_fail_or_repeat_a_release_move_no_counter() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    client.run("SET plain text");
    for line in [
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RELEASE orders me HOLDS 1",
        "LOCK.RELEASE free me HOLDS 0",
        "LOCK.RENEW orders you",
        "LOCK.RENEW orders me soon",
        "LOCK.ACQUIRE orders me HOLDS 9",
        "LOCK.ACQUIRE orders me TOKEN 7",
        "LOCK.ACQUIRE orders",
        "LOCK.ACQUIRE plain me",
        "LOCK.ASSERT orders me",
        "LOCK.ASSERT plain",
        "LOCK.FORCERELEASE plain",
    ] {
        assert_eq!(moved(&mut client, line), [], "{line}");
    }
}

#[test]
fn a_lapsed_lock_taken_over_counts_as_acquired() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 5");
    eventually("the lock is taken over", || {
        client.grant("LOCK.ACQUIRE orders you 60000")[0] == 1
    });
    let section = section(&mut client);
    assert_eq!(section["acquired"], 2);
    assert_eq!(section["reentered"], 0);
    assert_eq!(section["released"], 0);
}

#[test]
fn calls_in_transactions_scripts_and_all_databases_are_counted_together() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    client.run("MULTI");
    client.run("LOCK.ACQUIRE orders me");
    client.run("EXEC");
    let script = b"return redis.call('LOCK.RELEASE', KEYS[1], 'me')";
    assert_eq!(client.say(&[b"EVAL", script, b"1", b"orders"]), "1");
    client.run("SELECT 5");
    client.run("LOCK.ACQUIRE orders me");
    client.run("LOCK.RELEASE orders me");
    let section = section(&mut client);
    assert_eq!(section["acquired"], 2);
    assert_eq!(section["reentered"], 1);
    assert_eq!(section["released"], 1);
}
