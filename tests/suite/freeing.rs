//! Every way a lock becomes free serves its line, and nothing else does.

mod lease;
use crate::support::{eventually, show, Client, Server, Waiter};

/// A server on which `me` holds `orders`, for which two wait.
struct Line {
    server: Server,
    client: Client,
    first: Waiter,
    second: Waiter,
}

fn line() -> Line {
    line_on(Server::start(), 600_000)
}

fn line_on(server: Server, lease: i64) -> Line {
    let mut client = server.client();
    client.grant(&format!("LOCK.ACQUIRE orders me {lease}"));
    let wait = |owner| {
        let line = format!("LOCK.ACQUIRE orders {owner} 7200000 WAIT 0");
        Waiter::start(&server, &line)
    };
    let (first, second) = (wait("first"), wait("second"));
    server.until_waiting(2);
    Line {
        server,
        client,
        first,
        second,
    }
}

impl Line {
    /// The first in line gets the lock now, and nobody else.
    fn is_served(&mut self, why: &str) {
        let [acquired, holds, token, ttl] = self.first.grant();
        assert_eq!([acquired, holds, ttl], [1, 1, 7_200_000], "{why}");
        let holder = self.client.holder("orders");
        assert_eq!(holder, format!("first 1 {token}"), "{why}");
        assert!(!self.second.has_reply(), "{why}");
        assert_eq!(self.client.counter("waiters"), 1, "{why}");
        assert_eq!(self.client.run("LOCK.RELEASE orders first"), "0");
        assert_eq!(self.second.grant()[..2], [1, 1], "{why}");
    }

    /// Everybody waits still.
    fn is_not_served(&mut self, why: &str) {
        assert!(!self.first.has_reply(), "{why}");
        assert!(!self.second.has_reply(), "{why}");
        assert_eq!(self.client.counter("waiters"), 2, "{why}");
    }
}

/// Runs the lines, each on a line of two of its own: the first gets the lock.
fn each_serves(lines: &[&str]) {
    for commands in lines {
        let mut line = line();
        for command in commands.split(" ; ") {
            let reply = line.client.ask(command);
            let failed = matches!(reply, redis::Value::ServerError(_));
            assert!(!failed, "{command}: {}", show(&reply));
        }
        line.is_served(commands);
    }
}

#[test]
fn a_release_serves_the_line() {
    each_serves(&[
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.ACQUIRE orders me ; LOCK.RELEASE orders me ; LOCK.RELEASE orders me",
        "MULTI ; LOCK.RELEASE orders me ; EXEC",
    ]);
}

#[test]
fn a_forced_release_serves_the_line() {
    each_serves(&[
        "LOCK.FORCERELEASE orders",
        "LOCK.ACQUIRE orders me ; LOCK.FORCERELEASE orders",
    ]);
}

#[test]
fn a_hold_that_redisson_made_is_passed_on_whole() {
    each_serves(&[
        "HDEL orders mode ; LOCK.RELEASE orders me",
        "HDEL orders mode ; LOCK.FORCERELEASE orders",
    ]);
}

#[test]
fn an_owner_that_waits_for_what_it_came_to_hold_is_its_own_next_one() {
    each_serves(&[
        "LOCK.ACQUIRE other first 7200000 ; MULTI ; RENAME other orders ; LOCK.FORCERELEASE orders ; EXEC",
    ]);
}

#[test]
fn a_deletion_serves_the_line() {
    each_serves(&[
        "DEL orders",
        "UNLINK orders",
        "MULTI ; DEL orders ; EXEC",
        "HDEL orders me mode",
        "PEXPIRE orders 0",
        "EXPIREAT orders 1",
        "DEL nothing ; SUNIONSTORE orders nothing",
    ]);
}

#[test]
fn a_lock_that_moves_away_serves_the_line() {
    each_serves(&[
        "RENAME orders elsewhere",
        "RENAMENX orders elsewhere",
        // Valkey 8.1 leaves the client in the other database where a module hears of events: valkey#4024.
        "MOVE orders 5 ; SELECT 0",
        "SWAPDB 0 5",
        "SWAPDB 5 0",
    ]);
}

#[test]
fn a_flush_serves_the_line() {
    each_serves(&[
        "FLUSHDB",
        "FLUSHDB ASYNC",
        "FLUSHALL",
        "FLUSHALL ASYNC",
        "MULTI ; FLUSHALL ; EXEC",
    ]);
}

#[test]
fn a_release_in_a_script_serves_the_line() {
    for script in [
        "return redis.call('LOCK.RELEASE', 'orders', 'me')",
        "return redis.call('DEL', 'orders')",
        "redis.call('FLUSHALL')",
        "redis.call('DEL', 'orders') redis.call('LOCK.INFO', 'orders')",
    ] {
        let mut line = line();
        line.client.send(&[b"EVAL", script.as_bytes(), b"0"]);
        line.is_served(script);
    }
}

#[test]
fn redissons_release_script_serves_the_line() {
    const UNLOCK: &str = "
        if redis.call('HINCRBY', KEYS[1], ARGV[1], -1) > 0 then
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
            return 0
        end
        redis.call('DEL', KEYS[1])
        redis.call('PUBLISH', KEYS[2], '0')
        return 1";
    let channel = "redisson_lock__channel:{orders}";
    let words = ["EVAL", UNLOCK, "2", "orders", channel, "me", "30000"].map(str::as_bytes);
    let mut line = line();
    line.client.run("HINCRBY orders me 1");
    assert_eq!(line.client.say(&words), "0");
    line.is_not_served("a hold is left");
    assert_eq!(line.client.say(&words), "1");
    line.is_served("none is left");
}

#[test]
fn a_restored_lock_is_waited_for_as_the_one_before() {
    let mut line = line();
    line.client.grant("LOCK.ACQUIRE other you 60000");
    let redis::Value::BulkString(dump) = line.client.ask("DUMP other") else {
        panic!("no dump")
    };
    let restore = |line: &mut Line, ttl: &[u8], dump: &[u8]| {
        let words: [&[u8]; 5] = [b"RESTORE", b"orders", ttl, dump, b"REPLACE"];
        assert_eq!(line.client.say(&words), "OK");
    };
    restore(&mut line, b"60000", &dump);
    line.is_not_served("another holds it");
    // With a lease that ends.
    restore(&mut line, b"50", &dump);
    line.is_served("the other's lease ended");
}

#[test]
fn a_restore_that_frees_the_lock_serves_the_line() {
    let mut line = line();
    let redis::Value::BulkString(dump) = line.client.ask("DUMP orders") else {
        panic!("no dump")
    };
    let words: [&[u8]; 6] = [b"RESTORE", b"orders", b"1", &dump, b"REPLACE", b"ABSTTL"];
    assert_eq!(line.client.say(&words), "OK");
    line.is_served("the lease ended long ago");
}

#[test]
fn a_lock_that_someone_plants_for_one_who_waits_is_granted() {
    let mut line = line();
    line.client.grant("LOCK.ACQUIRE other second 7200000");
    line.client.run("RENAME other orders");
    line.is_not_served("second holds it now, and is not first in line");
    assert_eq!(line.client.run("LOCK.RELEASE orders second"), "0");
    line.is_served("second has released it");
}

#[test]
fn an_eviction_serves_the_line() {
    let mut line = line();
    // Of all that may be evicted the lock ends first. After it goes a filler, with which there is
    // room again.
    let filler = "x".repeat(32 << 20);
    let words: [&[u8]; 5] = [b"SET", b"filler", filler.as_bytes(), b"PX", b"3600000"];
    assert_eq!(line.client.say(&words), "OK");
    for setting in ["maxmemory-policy volatile-ttl", "maxmemory-samples 10"] {
        assert_eq!(line.client.run(&format!("CONFIG SET {setting}")), "OK");
    }
    eventually("keys are evicted", || {
        // What the server took to read the filler it may give back at any time.
        if line.client.info("stats", "evicted_keys").unwrap() == "0" {
            let used = line.client.info("memory", "used_memory").unwrap();
            let room = used.parse::<u64>().unwrap() - (16 << 20);
            let set = format!("CONFIG SET maxmemory {room}");
            assert_eq!(line.client.run(&set), "OK");
        }
        line.client.info("stats", "evicted_keys").unwrap() == "2"
    });
    line.is_served("eviction");
}

#[test]
fn what_frees_nothing_serves_nobody() {
    let mut line = line();
    line.client.run("SET src x");
    line.client.run("SET other x");
    line.client.grant("LOCK.ACQUIRE orders me");
    line.client.grant("LOCK.ACQUIRE orders me");
    for command in [
        // A partial release.
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me HOLDS 1",
        "LOCK.RELEASE orders me HOLDS 1",
        // Calls of others, and calls that fail.
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RELEASE orders first HOLDS 0",
        "LOCK.RELEASE orders me HOLDS 7",
        "LOCK.RELEASE orders me TOKEN 5",
        "LOCK.RELEASE orders me HOLDS 0 TOKEN 5",
        "LOCK.RENEW orders me 900000",
        "LOCK.RENEW orders first 1",
        "LOCK.ASSERT orders first",
        "LOCK.ACQUIRE orders you",
        "LOCK.INFO orders",
        "LOCK.FORCERELEASE src",
        "LOCK.FORCERELEASE nothing",
        // Other commands on the lock.
        "COPY orders copy",
        "COPY src orders",
        "DUMP orders",
        "EXISTS orders",
        "HGETALL orders",
        "HINCRBY orders me 1",
        "MOVE orders 0",
        "OBJECT ENCODING orders",
        "PEXPIRE orders 800000",
        "RENAMENX src orders",
        "SET orders x NX",
        "TOUCH orders",
        "TTL orders",
        // Other commands on other keys, and in other databases.
        "DEL other",
        "LOCK.ACQUIRE other you 1",
        "LOCK.RELEASE other you",
        "PUBLISH redisson_lock__channel:{orders} 0",
        "RENAME src other",
        "SWAPDB 3 4",
        "SELECT 3",
        "LOCK.ACQUIRE orders me",
        "LOCK.RELEASE orders me",
        "SET orders x",
        "DEL orders",
        "FLUSHDB",
        "SELECT 0",
    ] {
        line.client.run(command);
        line.is_not_served(command);
    }
    line.client.run("HSET orders me 1");
    assert_eq!(line.client.run("LOCK.RELEASE orders me"), "0");
    line.is_served("a release");
}
