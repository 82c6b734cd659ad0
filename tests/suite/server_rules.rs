//! The rules that the server has for every command, and what it counts of them.

use crate::support::{eventually, Client, Server, Setup, Waiter};

const WRITES: [&str; 4] = [
    "LOCK.ACQUIRE invoices you",
    "LOCK.RENEW orders me",
    "LOCK.RELEASE orders me",
    "LOCK.FORCERELEASE orders",
];

/// Checks that every write is refused with this code and changes nothing, and that reads go on.
fn assert_only_reads(client: &mut Client, code: &str) {
    let before = client.stored("orders");
    for line in WRITES {
        let reply = client.run(line);
        assert!(
            reply.starts_with(&format!("{code} ")),
            "{line}: not {code} but {reply}"
        );
    }
    assert_eq!(client.stored("orders"), before);
    assert_eq!(client.int("EXISTS invoices"), 0);
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert!(client.holder("orders").starts_with("me 1 "));
    assert_eq!(
        client.run("LOCK.ASSERT orders you"),
        "NOTOWNER the lock is held by another owner"
    );
}

#[test]
fn out_of_memory_an_acquire_is_refused_and_everything_else_works() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 60000");
    client.run("LOCK.ACQUIRE orders me 60000");
    client.run("LOCK.ACQUIRE invoices you 60000");
    let before = client.run("HGETALL orders");
    assert_eq!(client.run("CONFIG SET maxmemory 1"), "OK");
    for line in ["LOCK.ACQUIRE free me", "LOCK.ACQUIRE orders me"] {
        let reply = client.run(line);
        assert!(reply.starts_with("OOM "), "{line}: {reply}");
    }
    assert_eq!(client.run("HGETALL orders"), before);
    assert_eq!(client.int("EXISTS free"), 0);
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert!(client.holder("orders").starts_with("me 2 "));
    assert_eq!(client.grant("LOCK.RENEW orders me 5000")[3], 5000);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 1);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(client.int("LOCK.FORCERELEASE invoices"), 1);
}

#[test]
fn out_of_memory_a_release_hands_the_lock_to_one_who_waits_already() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 600000 WAIT 0");
    client.run("CONFIG SET maxmemory 1");
    let refused = client.run("LOCK.ACQUIRE orders they 600000 WAIT 0");
    assert!(refused.starts_with("OOM "), "{refused}");
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(client.run("LOCK.ASSERT orders you"), "OK");
}

#[test]
fn out_of_memory_a_script_can_release_and_not_acquire() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 60000");
    client.run("CONFIG SET maxmemory 1");
    let mut eval = |command: &str| {
        let script = format!("return redis.pcall('{command}', KEYS[1], 'me')");
        client.say(&[b"EVAL", script.as_bytes(), b"1", b"orders"])
    };
    let refused = eval("LOCK.ACQUIRE");
    assert!(refused.contains("OOM "), "{refused}");
    assert_eq!(eval("LOCK.ASSERT"), "OK");
    assert_eq!(eval("LOCK.RELEASE"), "0");
}

#[test]
fn a_replica_writable_or_not_refuses_writes_and_can_be_asked() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 60000");
    let replica = server.replica(Setup::new());
    assert_only_reads(&mut replica.client(), "READONLY");
    assert_eq!(
        replica.client().run("CONFIG SET replica-read-only no"),
        "OK"
    );
    assert_only_reads(&mut replica.client(), "READONLY");
    assert_eq!(replica.client().run("LOCK.LINES"), "[]");
    let before = client.holder("orders");
    assert_eq!(replica.client().holder("orders"), before);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    server.wait_for_replica(&replica);
    assert_eq!(replica.client().holder("orders"), "free");
}

#[test]
fn a_replica_takes_a_lapsed_lock_for_free_before_its_master_says_so() {
    let server = Server::start();
    let mut client = server.client();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.run("LOCK.ACQUIRE orders me 60000");
    let replica = server.replica(Setup::new());
    let mut asked = replica.client();
    assert_eq!(asked.run("LOCK.ASSERT orders me"), "OK");
    client.run("LOCK.RENEW orders me 20");
    // Nobody touches it on the master, so it is not deleted there.
    eventually("the lease ends", || asked.holder("orders") == "free");
    assert_eq!(
        asked.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is free"
    );
    assert_eq!(asked.int("DBSIZE"), 1, "still stored");
}

#[test]
fn a_master_short_of_replicas_refuses_writes_and_can_be_asked() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 60000");
    assert_eq!(client.run("CONFIG SET min-replicas-to-write 1"), "OK");
    assert_only_reads(&mut client, "NOREPLICAS");
    let _replica = server.replica(Setup::without_module());
    eventually("the replica counts", || {
        !client
            .run("LOCK.ACQUIRE invoices you")
            .starts_with("NOREPLICAS")
    });
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
}

#[test]
fn a_master_that_cannot_save_refuses_writes_and_can_be_asked() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 60000");
    client.say(&[b"CONFIG", b"SET", b"save", b"3600 1"]);
    // No file can take the place of a folder that is not empty.
    std::fs::create_dir_all(server.dir().join("dump.rdb/full")).unwrap();
    client.run("BGSAVE");
    eventually("the save fails", || {
        client
            .info("persistence", "rdb_last_bgsave_status")
            .unwrap()
            == "err"
    });
    assert_only_reads(&mut client, "MISCONF");
}

/// How often the server has counted errors with this code.
fn errors(client: &mut Client, code: &str) -> u32 {
    let count = client.info("errorstats", &format!("errorstat_{code}"));
    count.map_or(0, |count| {
        count.strip_prefix("count=").unwrap().parse().unwrap()
    })
}

#[test]
fn the_server_counts_each_refusal_by_its_code() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    client.run("SET plain text");
    for (code, line) in [
        ("NOTOWNER", "LOCK.RELEASE orders you"),
        ("NOTOWNER", "LOCK.RELEASE free me"),
        ("NOTOWNER", "LOCK.RENEW orders you"),
        ("NOTOWNER", "LOCK.ASSERT orders you"),
        ("NOTOWNER", "LOCK.ACQUIRE orders you TOKEN 7"),
        ("HOLDCOUNT", "LOCK.ACQUIRE orders me HOLDS 5"),
        ("HOLDCOUNT", "LOCK.RELEASE orders me HOLDS 5"),
        ("WRONGTYPE", "LOCK.ACQUIRE plain me"),
        ("WRONGTYPE", "LOCK.INFO plain"),
        ("ERR", "LOCK.ACQUIRE orders me soon"),
        ("ERR", "LOCK.ACQUIRE orders me HOLDS"),
    ] {
        let before = errors(&mut client, code);
        let reply = client.run(line);
        assert!(reply.starts_with(&format!("{code} ")), "{line}: {reply}");
        assert_eq!(errors(&mut client, code), before + 1, "{line}");
    }
    assert_eq!(errors(&mut client, "NOTOWNER"), 5);
}

#[test]
fn the_server_counts_each_command_under_its_own_name() {
    let server = Server::start();
    let mut client = server.client();
    for line in [
        "LOCK.ACQUIRE orders me",
        "lock.acquire orders you",
        "LOCK.RENEW orders me",
        "LOCK.ASSERT orders me",
        "LOCK.INFO orders",
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders me",
        "LOCK.FORCERELEASE orders",
    ] {
        client.run(line);
    }
    for (command, calls) in [
        ("acquire", 2),
        ("renew", 1),
        ("assert", 1),
        ("info", 1),
        ("release", 2),
        ("forcerelease", 1),
    ] {
        assert_eq!(client.calls(&format!("lock.{command}")), calls, "{command}");
    }
    let stats = client.info("commandstats", "cmdstat_lock.release").unwrap();
    assert!(stats.contains("failed_calls=1"), "{stats}");
}

#[test]
fn a_call_shows_up_in_the_slow_log_as_it_was_sent() {
    let server = Setup::new().config("slowlog-log-slower-than 0").start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me 5000");
    let log = client.run("SLOWLOG GET 1");
    assert!(log.contains("[LOCK.ACQUIRE orders me 5000]"), "{log}");
}

#[test]
fn a_user_of_the_latency_histogram_finds_each_command() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    let told = client.run("LATENCY HISTOGRAM lock.acquire");
    assert!(told.contains("lock.acquire"), "{told}");
}
