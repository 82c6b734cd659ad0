//! Nothing is propagated while it is certain that nobody listens, and whoever comes misses nothing.

use crate::support::{eventually, Client, Server, Setup};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often the server has counted a change since the last snapshot.
fn changes(client: &mut Client) -> u64 {
    let changes = client.info("persistence", "rdb_changes_since_last_save");
    changes.unwrap().parse().unwrap()
}

/// How many changes the server counts for an acquire: two where it is propagated as two commands.
fn counted(client: &mut Client) -> u64 {
    client.run("DEL counted");
    let before = changes(client);
    client.grant("LOCK.ACQUIRE counted me 60000");
    changes(client) - before
}

/// Returns when it is certain that nobody listens.
fn until_nobody_listens(client: &mut Client) {
    eventually("nothing is propagated", || counted(client) == 1);
}

/// Has four clients take locks while something is done, each some for good and some for a moment.
fn while_locks_are_taken(server: &Server, work: impl FnOnce()) {
    let (is_over, taken) = (&AtomicBool::new(false), &AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let mut client = server.client();
            scope.spawn(move || {
                for round in 0.. {
                    if is_over.load(Relaxed) {
                        return;
                    }
                    let (kept, passed) = (
                        format!("k{number}:{round}"),
                        format!("p{number}:{}", round % 7),
                    );
                    client.grant(&format!("LOCK.ACQUIRE {kept} me 3600000"));
                    client.grant(&format!("LOCK.ACQUIRE {passed} me 3600000"));
                    if round % 3 == 0 {
                        client.int(&format!("LOCK.RELEASE {passed} me"));
                    }
                    taken.fetch_add(1, Relaxed);
                }
            });
        }
        // So that some are taken before, and some after.
        let more = || {
            let so_far = taken.load(Relaxed);
            eventually("locks are taken", || taken.load(Relaxed) > so_far + 20);
        };
        more();
        work();
        more();
        is_over.store(true, Relaxed);
    });
}

/// All keys, with their values and deadlines.
fn digest(client: &mut Client) -> String {
    client.run("DEBUG DIGEST")
}

fn assert_has_all(replica: &Server, server: &Server) {
    server.wait_for_replica(replica);
    let (mut there, mut here) = (replica.client(), server.client());
    assert!(here.int("DBSIZE") > 40);
    let is_same = || digest(&mut there) == digest(&mut here);
    eventually("the replica has every lock", is_same);
    // Deadlines are no part of the digest of a hash's key everywhere.
    for key in ["k0:0", "k1:10", "k2:19"] {
        assert_eq!(there.deadline(key), here.deadline(key), "{key}");
    }
}

#[test]
fn a_write_that_nobody_listens_to_counts_among_the_changes_since_the_last_snapshot() {
    let server = Server::start();
    let mut client = server.client();
    until_nobody_listens(&mut client);
    for line in [
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders me 90000",
        "LOCK.RENEW orders me 120000",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me",
    ] {
        let before = changes(&mut client);
        client.run(line);
        assert_eq!(changes(&mut client) - before, 1, "{line}");
    }
    client.run("LOCK.ACQUIRE orders me 60000");
    let before = changes(&mut client);
    client.run("LOCK.ACQUIRE orders you 60000");
    assert_eq!(changes(&mut client), before);
}

#[test]
fn a_replica_that_comes_while_locks_are_taken_has_all_of_them() {
    // At once, and after a while in which other replicas could come too; by a file, and without one.
    for (diskless, delay) in [("yes", 0), ("no", 0), ("yes", 1)] {
        let server = Setup::new()
            .config(&format!("repl-diskless-sync {diskless}"))
            .config(&format!("repl-diskless-sync-delay {delay}"))
            .start();
        until_nobody_listens(&mut server.client());
        let mut replica = None;
        while_locks_are_taken(&server, || {
            replica = Some(server.replica(Setup::without_module()));
        });
        assert_has_all(&replica.unwrap(), &server);
        assert_eq!(counted(&mut server.client()), 2);
    }
}

#[test]
fn a_replica_that_syncs_over_two_connections_has_all_locks() {
    // Valkey's name of it, and Redis'. Where there is neither, this is a sync like any other.
    let over_two = |server: &Server| {
        for setting in ["dual-channel-replication-enabled", "repl-rdb-channel"] {
            server.client().run(&format!("CONFIG SET {setting} yes"));
        }
    };
    let server = Server::start();
    until_nobody_listens(&mut server.client());
    over_two(&server);
    let replica = Setup::without_module().start();
    over_two(&replica);
    while_locks_are_taken(&server, || {
        let master = format!("REPLICAOF 127.0.0.1 {}", server.port());
        replica.client().run(&master);
        server.wait_for_replica(&replica);
    });
    assert_has_all(&replica, &server);
}

#[test]
fn a_replica_that_comes_while_a_snapshot_is_written_has_all_locks() {
    let server = Setup::new().config("repl-diskless-sync no").start();
    let mut client = server.client();
    until_nobody_listens(&mut client);
    let mut replica = None;
    while_locks_are_taken(&server, || {
        // It lasts until the replica has asked.
        client.run("CONFIG SET rdb-key-save-delay 2000");
        client.run("BGSAVE");
        let setup = Setup::without_module().replica_of(&server);
        replica = Some(setup.start());
        std::thread::sleep(Duration::from_millis(200));
        client.run("CONFIG SET rdb-key-save-delay 0");
    });
    assert_has_all(&replica.unwrap(), &server);
}

#[test]
fn an_append_only_file_that_is_switched_on_while_locks_are_taken_has_all_of_them() {
    let mut server = Server::start();
    let mut client = server.client();
    until_nobody_listens(&mut client);
    while_locks_are_taken(&server, || {
        assert_eq!(server.client().run("CONFIG SET appendonly yes"), "OK");
    });
    assert_eq!(counted(&mut client), 2);
    eventually("the file is complete", || {
        client
            .info("persistence", "aof_rewrite_in_progress")
            .as_deref()
            == Some("0")
    });
    let (before, deadline) = (digest(&mut client), client.deadline("k0:0"));
    assert_eq!(client.run("DEBUG LOADAOF"), "OK");
    assert_eq!(digest(&mut client), before);
    assert_eq!(client.deadline("k0:0"), deadline);
    server.shut_down();
}

#[test]
fn a_master_that_was_a_replica_tells_its_replicas_everything_at_once() {
    let (first, second) = (Server::start(), Server::start());
    let mut client = second.client();
    until_nobody_listens(&mut client);
    client.run(&format!("REPLICAOF 127.0.0.1 {}", first.port()));
    first.wait_for_replica(&second);
    let third = second.replica(Setup::without_module());
    client.run("REPLICAOF NO ONE");
    assert_eq!(counted(&mut client), 2);
    second.wait_for_replica(&third);
    assert_eq!(digest(&mut third.client()), digest(&mut client));
}
