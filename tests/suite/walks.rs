//! What the server calls the module for in the middle of a walk over its own tables: of keys that
//! expire, of a slot that it has lost, of a hash's fields. Memory that is freed there is read again.
//!
//! Each of these ended a server, some of them only under AddressSanitizer. A server here has what it
//! frees overwritten, so that more of it shows.

use crate::support::{
    allow_many_files, eventually, has_slot, skip, three_masters, Client, Server, Setup, Waiter,
};

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

/// Sends a line each, on connections of their own, and waits for the server to have run them.
fn begin(server: &Server, lines: impl Iterator<Item = String>) -> Vec<Waiter> {
    allow_many_files();
    let waiters: Vec<Waiter> = lines
        .map(|line| Waiter::begin(server, &[], &line))
        .collect();
    let mut probe = server.client();
    for waiter in &waiters {
        eventually("the client waits or has a reply", || {
            waiter.has_arrived() || waiter.is_blocked(&mut probe)
        });
    }
    waiters
}

/// The reply to each of them; fails with the server's log where it has ended.
fn replies(server: &Server, waiters: &mut [Waiter]) -> Vec<String> {
    let replies = waiters.iter_mut().map(Waiter::reply).collect();
    server.assert_sound();
    replies
}

fn all_start_with(replies: &[String], starts: &[&str]) {
    for reply in replies {
        assert!(
            starts.iter().any(|start| reply.starts_with(start)),
            "{reply}"
        );
    }
}

/// Keeps the server from growing its tables, so that many keys share a bucket: it walks them bucket by
/// bucket, and remembers the next key of the bucket. It does not grow them while a child of it saves,
/// until FLUSHALL ends that.
fn keep_tables_small(client: &mut Client) {
    client.run("SET saved slowly");
    let microseconds = 20_000_000;
    client.run(&format!("CONFIG SET rdb-key-save-delay {microseconds}"));
    client.run("BGSAVE");
    eventually("a child saves", || {
        client
            .info("persistence", "rdb_bgsave_in_progress")
            .as_deref()
            == Some("1")
    });
}

/// Lets a time go by in a write pause, and the module find that it may not serve now the locks whose
/// leases end: once the pause is over the server's walk comes first.
fn until_past(client: &mut Client, deadline: i64) {
    eventually("all leases have ended", || client.clock() > deadline + 20);
}

#[test]
fn many_leases_that_end_in_a_write_pause_beside_sessions_do_not_stop_the_server() {
    let server = Setup::new().junk_freed_memory().start();
    let mut client = server.client();
    client.run("CONFIG SET hz 100");
    keep_tables_small(&mut client);
    let [staying, leaving, waited_for] =
        ["staying", "leaving", "waited-for"].map(|kind| names(kind, 36));
    let bound = |lock| format!("LOCK.ACQUIRE {lock} w1 60000 SESSION");
    let mut sessions = begin(&server, staying.iter().map(bound));
    all_start_with(&replies(&server, &mut sessions), &["[1 1 "]);
    for _ in 0..5 {
        client.run(&format!("DEL {}", waited_for.join(" ")));
        for lock in &waited_for {
            client.run(&format!("LOCK.ACQUIRE {lock} w1 60000"));
        }
        let wait = |lock| format!("LOCK.ACQUIRE {lock} w2 60000 WAIT 0");
        let mut waiters = begin(&server, waited_for.iter().map(wait));
        let ending = begin(&server, leaving.iter().map(bound));
        // Later than the last of these is run: a deadline that has passed deletes the key at once.
        let deadline = client.clock() + 1500;
        for lock in staying.iter().chain(&leaving).chain(&waited_for) {
            client.run(&format!("PEXPIREAT {lock} {deadline}"));
        }
        // The module looks at what others changed, once the server has been round its event loop.
        (0..3).for_each(|_| drop(client.run("PING")));
        client.run("CLIENT PAUSE 60000 WRITE");
        drop(ending);
        until_past(&mut client, deadline);
        client.run("CLIENT UNPAUSE");
        all_start_with(&replies(&server, &mut waiters), &["[1 1 "]);
        // Nobody deleted them: they go on with the same hold.
        for (session, lock) in sessions.iter_mut().zip(&staying) {
            let assert = format!("LOCK.ASSERT {lock} w1");
            eventually("the session's lease is written again", || {
                session.run(&assert) == "OK"
            });
        }
        let exist = format!("EXISTS {}", leaving.join(" "));
        eventually("the other sessions are over", || client.int(&exist) == 0);
    }
    client.run("FLUSHALL");
    let ends = replies(&server, &mut sessions);
    all_start_with(&ends, &["closed"]);
}

#[test]
fn a_slot_that_is_taken_away_with_lapsed_locks_in_it_does_not_stop_the_server() {
    let nodes = three_masters(&Setup::new().junk_freed_memory());
    let mut clients: Vec<Client> = nodes.iter().map(Server::client).collect();
    let ids: Vec<String> = clients.iter_mut().map(|c| c.run("CLUSTER MYID")).collect();
    let locks = names("{orders}", 30);
    let slot = clients[0].int("CLUSTER KEYSLOT orders");
    assert!(slot * 3 < 16384, "the first node has it");
    for client in &mut clients {
        // They are to be there still when the slot goes.
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    }
    for round in 0..6 {
        let (from, to) = (round % 2, 1 - round % 2);
        eventually("the slot is there, and nowhere else", || {
            let mut has = |node: usize| has_slot(&clients[node].run("CLUSTER NODES"), slot);
            has(from) && !has(to)
        });
        for lock in &locks {
            clients[from].run(&format!("LOCK.ACQUIRE {lock} w1 250"));
        }
        let wait = |lock| format!("LOCK.ACQUIRE {lock} w2 60000 WAIT 30000");
        let mut waiters = begin(&nodes[from], locks.iter().map(wait));
        let deadline = clients[from].clock() + 250;
        clients[from].run("CLIENT PAUSE 60000 WRITE");
        until_past(&mut clients[from], deadline);
        clients[from].run("CLIENT UNPAUSE");
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[from]);
        assert_eq!(clients[to].run(&importing), "OK");
        let taken = format!("CLUSTER SETSLOT {slot} NODE {}", ids[to]);
        assert_eq!(clients[to].run(&taken), "OK");
        let replies = replies(&nodes[from], &mut waiters);
        all_start_with(&replies, &["[1 1 ", "TRYAGAIN ", "MOVED "]);
        // Had one been granted after the slot had gone, there would be another owner at the other node.
        let count = format!("CLUSTER COUNTKEYSINSLOT {slot}");
        eventually("no lock is left behind", || clients[from].int(&count) == 0);
    }
    for node in &nodes {
        let mut client = node.client();
        eventually("nobody waits", || client.counter("lines") == 0);
    }
}

#[test]
fn fields_of_locks_that_expire_beside_sessions_that_end_do_not_stop_the_server() {
    let server = Setup::new().junk_freed_memory().start();
    let mut client = server.client();
    if !client.has("HPEXPIRE") {
        return skip("the server's fields do not expire");
    }
    client.run("CONFIG SET hz 100");
    let locks = names("lock", 40);
    // Two: when the first has expired the module is told, and when it acted at once, the server was at
    // the second and had remembered the next one.
    let (lapse, last) = locks.split_at(2);
    for _ in 0..4 {
        let acquire = |lock| format!("LOCK.ACQUIRE {lock} w1 60000 SESSION");
        let mut sessions = begin(&server, locks.iter().map(acquire));
        all_start_with(&replies(&server, &mut sessions), &["[1 1 "]);
        let wait = |lock| format!("LOCK.ACQUIRE {lock} w2 60000 WAIT 30000");
        let mut waiters = begin(&server, locks.iter().skip(3).step_by(2).map(wait));
        let deadline = client.clock() + 200;
        // Each at a time of its own: the server keeps hashes of different times together.
        let soon = lapse.iter().zip(deadline - 2..);
        let later = last.iter().zip(deadline + 60_000..);
        for (lock, deadline) in soon.chain(later) {
            let fields = client.ask(&format!("HKEYS {lock}"));
            let fields: Vec<String> = redis::from_redis_value(fields).unwrap();
            let (count, fields) = (fields.len(), fields.join(" "));
            client.run(&format!(
                "HPEXPIREAT {lock} {deadline} FIELDS {count} {fields}"
            ));
        }
        client.run("CLIENT PAUSE 60000 WRITE");
        drop(sessions);
        until_past(&mut client, deadline);
        client.run("CLIENT UNPAUSE");
        all_start_with(&replies(&server, &mut waiters), &["[1 1 "]);
        eventually("the sessions have ended", || {
            client.counter("sessions") == 0
        });
        client.run("FLUSHALL");
        server.assert_sound();
    }
}
