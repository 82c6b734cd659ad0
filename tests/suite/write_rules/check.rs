//! The check whether the server takes a write changes nothing and shows nowhere.

use super::{wait, END_SOON};
use crate::support::{eventually, version, Server, Waiter};

#[test]
fn a_set_and_a_hash_of_the_same_name_in_another_database_keep_their_members_without_a_name() {
    let server = Server::start();
    let mut zero = server.client();
    zero.send(&[b"SADD", b"jobs", b"", b"a"]);
    zero.send(&[b"HSET", b"tasks", b"", b"1"]);
    // The timer that serves locks is set in a call from database 0, and rings in it.
    zero.grant("LOCK.ACQUIRE other me 1000 SESSION");
    let mut five = server.client();
    five.run("SELECT 5");
    for lock in ["jobs", "tasks"] {
        five.grant(&format!("LOCK.ACQUIRE {lock} me 300"));
        let line = format!("LOCK.ACQUIRE {lock} you 1000 WAIT 0 SESSION");
        let mut waiter = Waiter::start_after(&server, &["SELECT 5"], &line);
        assert_eq!(waiter.grant()[..2], [1, 1]);
        let before = five.counter("sessions_renewed");
        eventually("it is renewed", || {
            five.counter("sessions_renewed") > before
        });
    }
    assert_eq!(zero.int("SCARD jobs"), 2);
    assert_eq!(zero.int("HLEN tasks"), 1);
}

#[test]
fn whatever_stands_in_a_locks_place_is_left_as_it_is() {
    let server = Server::start();
    let mut client = server.client();
    for plant in ["SADD", "HSET", "ZADD", "SET"] {
        client.grant("LOCK.ACQUIRE orders me 600000");
        let mut waiter = wait(&server, "you");
        let words: &[&[u8]] = match plant {
            "SADD" => &[b"SADD", b"orders", b"", b"a"],
            "HSET" => &[b"HSET", b"orders", b"", b"1", b"a", b"2", b"b", b"3"],
            "ZADD" => &[b"ZADD", b"orders", b"1", b""],
            _ => &[b"SET", b"orders", b""],
        };
        // At its end they are told.
        client.run("PEXPIRE orders 1500");
        client.run("MULTI");
        client.run("DEL orders");
        client.send(words);
        client.run("EXEC");
        let before = client.run("DUMP orders");
        let reply = waiter.reply();
        assert!(reply.starts_with("WRONGTYPE "), "{plant}: {reply}");
        assert_eq!(client.run("DUMP orders"), before, "{plant}");
        client.run("DEL orders");
    }
}

#[test]
fn the_check_counts_as_no_error_and_as_no_call_where_the_server_has_dry_runs() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut waiter = wait(&server, "you");
    let errors = client.run("INFO errorstats");
    client.run(END_SOON);
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(client.run("INFO errorstats"), errors);
    let calls = client.calls("pexpireat");
    // 7.0 has no dry runs: the call is run, and fails before it looks at the key.
    assert_eq!(calls > 0, version() < (7, 2), "{calls}");
}
