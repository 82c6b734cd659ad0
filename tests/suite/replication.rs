//! Replicas: they follow without the module, and know the holder when they are promoted.

use crate::support::{eventually, lasting, Client, Server, Setup, Walk};

/// A master with the module and a replica without it.
fn pair() -> (Server, Server) {
    let master = Setup::new().config("appendonly yes").start();
    let replica = master.replica(Setup::without_module());
    (master, replica)
}

/// Checks that both servers store the same under a name.
fn assert_same(master: &Server, replica: &Server, lock: &str) {
    master.wait_for_replica(replica);
    let (here, there) = (master.client().stored(lock), replica.client().stored(lock));
    assert_eq!(there, here);
}

#[test]
fn a_replica_without_the_module_follows() {
    let (master, replica) = pair();
    let mut client = master.client();
    for line in [
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders me 90000",
        "LOCK.RENEW orders me 30000",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me",
        "LOCK.ACQUIRE orders you 60000",
        "LOCK.FORCERELEASE orders",
    ] {
        client.run(line);
        assert_same(&master, &replica, "orders");
    }
    assert_eq!(replica.client().run("KEYS *"), "[]");
    assert_eq!(
        replica.client().run("LOCK.INFO orders").split(' ').next(),
        Some("ERR")
    );
}

#[test]
fn a_promoted_replica_without_the_module_keeps_the_locks_as_data_until_they_end() {
    let (master, replica) = pair();
    master.client().grant("LOCK.ACQUIRE orders me 600000");
    master.client().grant("LOCK.ACQUIRE invoices me 2000");
    assert_same(&master, &replica, "orders");
    let mut promoted = replica.client();
    assert_eq!(promoted.run("REPLICAOF NO ONE"), "OK");
    let refused = promoted.run("LOCK.ACQUIRE orders you");
    assert!(refused.starts_with("ERR unknown command"), "{refused}");
    assert_eq!(promoted.stored("orders").fields["me"], "1");
    eventually("its lease ends", || promoted.int("EXISTS invoices") == 0);
}

#[test]
fn a_replica_that_comes_later_gets_the_locks_that_there_are() {
    let master = Server::start();
    master.client().grant("LOCK.ACQUIRE orders me 60000");
    let replica = master.replica(Setup::without_module());
    assert_same(&master, &replica, "orders");
    assert_eq!(replica.client().stored("orders").fields["me"], "1");
}

#[test]
fn a_replica_of_a_replica_follows_too() {
    let (master, replica) = pair();
    let second = replica.replica(Setup::without_module());
    master.client().grant("LOCK.ACQUIRE orders me 60000");
    master.client().grant("LOCK.ACQUIRE orders me 90000");
    assert_same(&master, &replica, "orders");
    assert_same(&replica, &second, "orders");
    assert_eq!(second.client().stored("orders").fields["me"], "2");
}

#[test]
fn the_deadline_is_the_same_on_master_and_replica() {
    let (master, replica) = pair();
    let mut client = master.client();
    for round in 0..100 {
        client.grant(&format!("LOCK.ACQUIRE lock-{round} me 60000"));
        match round % 3 {
            0 => client.grant(&format!("LOCK.ACQUIRE lock-{round} me 90000")),
            1 => client.grant(&format!("LOCK.RENEW lock-{round} me 30000")),
            _ => [0; 4],
        };
    }
    master.wait_for_replica(&replica);
    let mut there = replica.client();
    for round in 0..100 {
        let lock = format!("lock-{round}");
        let deadline = client.deadline(&lock);
        assert!(deadline.is_some());
        assert_eq!(there.deadline(&lock), deadline, "{lock}");
    }
}

#[test]
fn a_replica_runs_plain_commands_only() {
    let (master, replica) = pair();
    let mut there = replica.client();
    there.run("CONFIG RESETSTAT");
    let mut client = master.client();
    for line in [
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders me 90000",
        "LOCK.ACQUIRE orders you 90000",
        "LOCK.RENEW orders me 30000",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me",
        "LOCK.INFO orders",
    ] {
        client.run(line);
    }
    master.wait_for_replica(&replica);
    let ran = ["hset", "pexpireat", "del", "publish"].map(|command| there.calls(command));
    // The renewal shortens the lease, which is published as the release is.
    assert_eq!(ran, [3, 3, 1, 2]);
    assert!(there.calls("multi") >= 3);
    assert_eq!(there.calls("multi"), there.calls("exec"));
    let stats = there.run("INFO commandstats");
    assert!(!stats.contains("lock."), "{stats}");
}

#[test]
fn what_changes_nothing_does_not_reach_replicas() {
    // The master's own PINGs count too, so it sends none.
    let master = Setup::new().config("repl-ping-replica-period 3600").start();
    let replica = master.replica(Setup::without_module());
    let mut client = master.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    master.wait_for_replica(&replica);
    let offset = client.info("replication", "master_repl_offset");
    for line in [
        "LOCK.ACQUIRE orders you",
        "LOCK.ACQUIRE orders me 5000 HOLDS 1",
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RENEW orders you",
        "LOCK.ASSERT orders me",
        "LOCK.INFO orders",
        "LOCK.FORCERELEASE free",
    ] {
        client.run(line);
        assert_eq!(
            client.info("replication", "master_repl_offset"),
            offset,
            "{line}"
        );
    }
}

#[test]
fn a_replica_with_the_module_tells_the_holder_and_changes_nothing() {
    let master = Server::start();
    let replica = master.replica(Setup::new());
    let [_, _, token, _] = master.client().grant("LOCK.ACQUIRE orders me 60000");
    master.wait_for_replica(&replica);
    let mut client = replica.client();
    assert_eq!(client.holder("orders"), format!("me 1 {token}"));
    assert_eq!(
        client.run(&format!("LOCK.ASSERT orders me TOKEN {token}")),
        "OK"
    );
    for line in [
        "LOCK.ACQUIRE orders me",
        "LOCK.ACQUIRE free me",
        "LOCK.RELEASE orders me",
        "LOCK.RENEW orders me",
        "LOCK.FORCERELEASE orders",
    ] {
        assert_eq!(
            client.run(line).split(' ').next(),
            Some("READONLY"),
            "{line}"
        );
    }
    assert_same(&master, &replica, "orders");
}

#[test]
fn a_lapsed_lock_is_free_to_those_who_ask_a_replica() {
    let master = Server::start();
    let replica = master.replica(Setup::new());
    // The master deletes nothing, so the replica is not told that the lease ended.
    master.client().run("DEBUG SET-ACTIVE-EXPIRE 0");
    master.client().grant("LOCK.ACQUIRE orders me 50");
    master.wait_for_replica(&replica);
    let mut client = replica.client();
    eventually("the lease ends", || client.holder("orders") == "free");
    assert_eq!(
        client.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is free"
    );
}

#[test]
fn a_promoted_replica_knows_the_holder() {
    let mut master = Server::start();
    let replica = master.replica(Setup::new());
    let mut client = master.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    master.wait_for_replica(&replica);
    master.kill();
    let mut client = replica.client();
    assert_eq!(client.run("REPLICAOF NO ONE"), "OK");
    assert_eq!(client.grant("LOCK.ACQUIRE orders you 60000")[0], 0);
    assert_eq!(
        client.int(&format!("LOCK.RELEASE orders me TOKEN {token}")),
        1
    );
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    let [acquired, _, next, _] = client.grant("LOCK.ACQUIRE orders you 60000");
    assert_eq!(acquired, 1);
    assert!(next > token, "{next} after {token}");
}

/// Runs random commands on the master, and checks the replica from time to time.
fn walk(master: &Server, replica: &Server, seed: u64) {
    let mut walk = Walk::new(seed);
    let (mut here, mut there) = (master.client(), replica.client());
    for stretch in 0..5 {
        walk.run(&mut here, 400);
        assert_same_data(master, replica, &mut here, &mut there, (seed, stretch));
    }
}

fn assert_same_data(
    master: &Server,
    replica: &Server,
    here: &mut Client,
    there: &mut Client,
    at: (u64, u32),
) {
    master.wait_for_replica(replica);
    let (data, copy) = (lasting(here), lasting(there));
    assert!(!data.is_empty(), "nothing to compare at {at:?}");
    assert_eq!(copy, data, "at {at:?}");
}

#[test]
fn master_and_replica_hold_the_same_after_thousands_of_random_commands() {
    let (master, replica) = pair();
    for seed in 1..=3 {
        walk(&master, &replica, seed * 1_000_003);
    }
    let mut client = master.client();
    for counter in ["acquired", "reentered", "released", "renewed", "forced"] {
        let times = client.counter(counter);
        assert!(times > 30, "{counter} only {times} times");
    }
    let lapsed: u32 = client
        .info("stats", "expired_keys")
        .unwrap()
        .parse()
        .unwrap();
    assert!(lapsed > 30, "{lapsed}");
    let stats = replica.client().run("INFO commandstats");
    assert!(!stats.contains("lock."), "{stats}");
}

#[test]
fn master_and_replica_hold_the_same_where_nothing_expires_by_itself() {
    let (master, replica) = pair();
    // So it is always a command that meets a lapsed lease.
    master.client().run("DEBUG SET-ACTIVE-EXPIRE 0");
    for seed in 1..=3 {
        walk(&master, &replica, seed * 7_654_321);
    }
}

#[test]
fn the_append_only_file_holds_the_same_after_thousands_of_random_commands() {
    for preamble in ["yes", "no"] {
        let preamble = format!("aof-use-rdb-preamble {preamble}");
        let setup = |setup: Setup| setup.config("appendonly yes").config(&preamble);
        let mut server = setup(Setup::new()).start();
        let mut client = server.client();
        let mut walk = Walk::new(0xdead_beef);
        walk.run(&mut client, 1000);
        client.run("SELECT 0");
        client.run("BGREWRITEAOF");
        walk.run(&mut client, 1000);
        eventually("the file is rewritten", || {
            client
                .info("persistence", "aof_rewrite_in_progress")
                .unwrap()
                == "0"
        });
        let before = lasting(&mut client);
        assert!(!before.is_empty());
        server.shut_down();
        for kind in [Setup::without_module(), Setup::new()] {
            let mut again = setup(kind).data_of(&server).start();
            assert_eq!(lasting(&mut again.client()), before);
            again.shut_down();
        }
    }
}
