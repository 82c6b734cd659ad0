//! What replicas and the append-only file are told: the outcome of each command, as plain commands.

mod listeners;

use crate::support::{cluster, eventually, Client, Journal, Server, Setup};

const HOUR: i64 = 3_600_000;

/// A server, a client of it, and readers of what it tells replicas and of its append-only file.
struct Told {
    server: Server,
    client: Client,
    replicas: Journal,
    aof: Journal,
}

impl Told {
    fn by(server: Server) -> Told {
        Told {
            client: server.client(),
            replicas: Journal::of_replication(&server),
            aof: Journal::of_aof(&server),
            server,
        }
    }

    /// Checks what replicas and the file were told since the last time.
    fn assert(&mut self, replicas: &[&str], aof: &[&str]) {
        assert_eq!(self.replicas.read(&mut self.client), replicas, "replicas");
        assert_eq!(self.aof.read(&mut self.client), aof, "append-only file");
    }

    fn assert_both(&mut self, both: &[&str]) {
        self.assert(both, both);
    }

    /// Passes over what was told since the last time, of which there must be something.
    fn skip(&mut self) {
        assert!(!self.replicas.read(&mut self.client).is_empty());
        assert!(!self.aof.read(&mut self.client).is_empty());
    }

    /// How the deadline of a lock is told.
    fn expiry(&mut self, lock: &str) -> String {
        let at = self.client.deadline(lock).unwrap();
        format!("PEXPIREAT {lock} {at}")
    }
}

fn setup() -> Setup {
    Setup::new().config("appendonly yes")
}

fn start() -> Told {
    Told::by(setup().start())
}

#[test]
fn taking_a_lock_is_told_as_one_transaction_with_the_moment_of_its_end() {
    let mut told = start();
    let [_, _, token, _] = told.client.grant("LOCK.ACQUIRE orders me 60000");
    let expiry = told.expiry("orders");
    told.assert_both(&[&format!("HSET orders me 1 mode fenced:{token}; {expiry}")]);
}

#[test]
fn a_reentry_tells_the_count_and_the_deadline_only_where_it_is_later() {
    let mut told = start();
    told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.skip();
    told.client.grant("LOCK.ACQUIRE orders me 5000");
    told.assert_both(&["HSET orders me 2"]);
    told.client.grant("LOCK.ACQUIRE orders me 3600000");
    let expiry = told.expiry("orders");
    told.assert_both(&[&format!("HSET orders me 3; {expiry}")]);
    told.client.grant("LOCK.ACQUIRE orders me 7200000 HOLDS 3");
    let expiry = told.expiry("orders");
    told.assert_both(&[&expiry]);
}

#[test]
fn a_partial_release_tells_the_count_alone() {
    let mut told = start();
    told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.client.grant("LOCK.ACQUIRE orders me 60000 HOLDS 2");
    told.skip();
    assert_eq!(told.client.int("LOCK.RELEASE orders me"), 1);
    told.assert_both(&["HSET orders me 1"]);
}

#[test]
fn a_full_release_is_published_to_replicas_but_not_in_the_append_only_file() {
    for release in ["LOCK.RELEASE orders me", "LOCK.FORCERELEASE orders"] {
        let mut told = start();
        told.client.grant("LOCK.ACQUIRE orders me 60000");
        told.skip();
        told.client.int(release);
        told.assert(
            &["DEL orders; PUBLISH redisson_lock__channel:{orders} 0"],
            &["DEL orders"],
        );
    }
}

#[test]
fn a_silent_release_is_told_as_a_deletion_only() {
    let mut told = Told::by(setup().module_args("notify off").start());
    told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.skip();
    told.client.int("LOCK.RELEASE orders me");
    told.assert_both(&["DEL orders"]);
}

#[test]
fn in_a_cluster_no_publish_is_told_for_the_bus_carries_it() {
    for args in ["", "notify publish"] {
        let mut told = Told::by(cluster(setup().module_args(args)));
        told.client.grant("LOCK.ACQUIRE orders me 60000");
        told.skip();
        told.client.int("LOCK.RELEASE orders me");
        told.assert_both(&["DEL orders"]);
    }
}

#[test]
fn a_renewal_tells_the_deadline_alone() {
    let mut told = start();
    told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.skip();
    told.client.grant(&format!("LOCK.RENEW orders me {HOUR}"));
    let expiry = told.expiry("orders");
    told.assert_both(&[&expiry]);
}

#[test]
fn a_lease_that_is_shortened_is_told_to_those_who_listen_on_replicas_too() {
    let mut told = start();
    told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.skip();
    told.client.grant("LOCK.RENEW orders me 5000");
    let expiry = told.expiry("orders");
    let publish = "PUBLISH redisson_lock__channel:{orders} 0";
    told.assert(&[&format!("{expiry}; {publish}")], &[&expiry]);
}

#[test]
fn a_hold_that_redisson_made_is_given_its_token_for_replicas_too() {
    for (call, count) in [("LOCK.RENEW", ""), ("LOCK.ACQUIRE", "me 2 ")] {
        let mut told = start();
        told.client.run("HSET orders me 1");
        told.client.run("PEXPIRE orders 5000");
        told.skip();
        let [_, _, token, _] = told.client.grant(&format!("{call} orders me {HOUR}"));
        let expiry = told.expiry("orders");
        told.assert_both(&[&format!("HSET orders {count}mode fenced:{token}; {expiry}")]);
    }
}

#[test]
fn a_lapsed_lock_is_deleted_before_it_is_told_anew() {
    let mut told = start();
    told.client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    told.client.grant("LOCK.ACQUIRE orders me 20");
    let deadline = told.client.deadline("orders").unwrap();
    told.skip();
    let client = &mut told.client;
    eventually("the lease ends", || client.clock() > deadline);
    let [_, _, token, _] = told.client.grant("LOCK.ACQUIRE orders you 60000");
    let expiry = told.expiry("orders");
    let taken = format!("HSET orders you 1 mode fenced:{token}; {expiry}");
    for journal in [&mut told.replicas, &mut told.aof] {
        // The server deletes a lapsed key itself where it can, in ways that differ.
        let all = journal.read(&mut told.client).join("; ");
        let all = all.replace("UNLINK", "DEL");
        assert_eq!(all, format!("DEL orders; {taken}"));
    }
}

#[test]
fn a_lease_that_ends_within_a_script_is_deleted_before_it_is_told_anew() {
    let mut told = start();
    // For the server, time stands still in a script: it keeps the key. For a lock it does not.
    let script = b"redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 20)
        while redis.call('LOCK.INFO', KEYS[1]) do end
        redis.call('LOCK.ACQUIRE', KEYS[1], 'you', 60000)
        return redis.call('HGET', KEYS[1], 'mode')";
    let mode = told.client.say(&[b"EVAL", script, b"1", b"orders"]);
    let expiry = told.expiry("orders");
    let end = format!("DEL orders; HSET orders you 1 mode {mode}; {expiry}");
    for journal in [&mut told.replicas, &mut told.aof] {
        let all = journal.read(&mut told.client);
        let [one] = all.as_slice() else {
            panic!("not one transaction: {all:?}")
        };
        assert!(one.starts_with("HSET orders me 1 mode fenced:"), "{one}");
        assert!(one.ends_with(&end), "{one}");
    }
    assert_eq!(told.client.stored("orders").fields.len(), 2);
}

#[test]
fn what_a_transaction_or_a_script_did_is_told_as_one() {
    let mut told = start();
    let two = |mode: &str, expiry: &str| {
        format!("HSET orders me 1 mode {mode}; {expiry}; HSET orders me 2")
    };
    for line in [
        "MULTI",
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders me 5",
    ] {
        told.client.run(line);
    }
    told.client.run("EXEC");
    let mode = told.client.run("HGET orders mode");
    let expiry = told.expiry("orders");
    told.assert_both(&[&two(&mode, &expiry)]);
    let script = b"redis.call('LOCK.RELEASE', KEYS[1], 'me')
        redis.call('LOCK.RELEASE', KEYS[1], 'me')
        redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 60000)
        return redis.call('LOCK.ACQUIRE', KEYS[1], 'me', 5)";
    told.client.say(&[b"EVAL", script, b"1", b"orders"]);
    let mode = told.client.run("HGET orders mode");
    let two = two(&mode, &told.expiry("orders"));
    let publish = "PUBLISH redisson_lock__channel:{orders} 0";
    told.assert(
        &[&format!("HSET orders me 1; DEL orders; {publish}; {two}")],
        &[&format!("HSET orders me 1; DEL orders; {two}")],
    );
}

#[test]
fn another_database_is_told_with_its_number() {
    let mut told = start();
    let mut there = told.server.client();
    there.run("SELECT 5");
    let [_, _, token, _] = there.grant("LOCK.ACQUIRE orders me 60000");
    let at = there.deadline("orders").unwrap();
    told.client.grant("LOCK.ACQUIRE other me 60000");
    let other = told.client.run("HGET other mode");
    let expiry = told.expiry("other");
    there.int("LOCK.RELEASE orders me");
    let taken = [
        &format!("[5] HSET orders me 1 mode fenced:{token}; [5] PEXPIREAT orders {at}"),
        &format!("HSET other me 1 mode {other}; {expiry}"),
    ];
    let freed = "[5] DEL orders; [5] PUBLISH redisson_lock__channel:{orders} 0";
    told.assert(
        &[taken[0], taken[1], freed],
        &[taken[0], taken[1], "[5] DEL orders"],
    );
}

#[test]
fn calls_that_change_nothing_are_not_told() {
    let mut told = start();
    let [_, _, token, _] = told.client.grant("LOCK.ACQUIRE orders me 60000");
    told.client.grant("LOCK.ACQUIRE orders me 60000 HOLDS 2");
    told.client.run("SET text x");
    told.client.run("HSET data a 1 b 2");
    told.skip();
    let before = told.client.stored("orders");
    for call in [
        "LOCK.ACQUIRE orders you 70000",
        "LOCK.ACQUIRE orders me 5000 HOLDS 2",
        "LOCK.ACQUIRE orders me 5000 HOLDS 4",
        "LOCK.ACQUIRE orders me 70000 TOKEN 7",
        "LOCK.ACQUIRE free me 70000 TOKEN 7",
        "LOCK.ACQUIRE free me HOLDS 2",
        "LOCK.ACQUIRE orders me 0",
        "LOCK.ACQUIRE orders me 70000 NOW",
        "LOCK.ACQUIRE orders",
        "LOCK.ACQUIRE text me 70000",
        "LOCK.ACQUIRE data me 70000",
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders me HOLDS 2",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RELEASE orders me HOLDS 0 TOKEN 7",
        "LOCK.RELEASE free me",
        "LOCK.RELEASE free me HOLDS 0",
        "LOCK.RELEASE text me",
        "LOCK.RENEW orders you 70000",
        "LOCK.RENEW orders me 70000 TOKEN 7",
        "LOCK.RENEW free me 70000",
        "LOCK.RENEW data me",
        "LOCK.ASSERT orders me",
        &format!("LOCK.ASSERT orders me TOKEN {token}"),
        "LOCK.ASSERT orders you",
        "LOCK.INFO orders",
        "LOCK.INFO free",
        "LOCK.INFO text",
        "LOCK.FORCERELEASE free",
        "LOCK.FORCERELEASE text",
    ] {
        told.client.run(call);
        let told_so = told.replicas.read(&mut told.client);
        assert!(told_so.is_empty(), "{call}: replicas were told {told_so:?}");
        let told_so = told.aof.read(&mut told.client);
        assert!(told_so.is_empty(), "{call}: the file was told {told_so:?}");
    }
    assert_eq!(told.client.stored("orders"), before);
    for line in [
        "MULTI",
        "LOCK.ACQUIRE orders you",
        "LOCK.RELEASE free me HOLDS 0",
        "EXEC",
    ] {
        told.client.run(line);
    }
    let script = b"return redis.call('LOCK.ACQUIRE', KEYS[1], 'you')[1]";
    assert_eq!(told.client.say(&[b"EVAL", script, b"1", b"orders"]), "0");
    told.assert_both(&[]);
}
