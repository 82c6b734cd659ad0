//! Those who watch a lock: `WATCH` and client-side caching see every change, and nothing else.

use crate::support::{eventually, show, Client, Server};
use redis::{PushInfo, Value};
use std::sync::mpsc::{channel, Receiver};

/// Whether what `act` does makes the transaction of someone fail who watches `orders`.
fn breaks_a_watch(server: &Server, act: impl FnOnce(&mut Client)) -> bool {
    let (mut watcher, mut other) = (server.client(), server.client());
    assert_eq!(watcher.run("WATCH orders"), "OK");
    act(&mut other);
    watcher.run("MULTI");
    watcher.run("PING");
    match watcher.run("EXEC").as_str() {
        "[PONG]" => false,
        "nil" => true,
        other => panic!("EXEC replied {other}"),
    }
}

/// Sets up `orders` as the lines say, and tells whether the line then breaks a watch of it.
fn line_breaks_a_watch(setup: &[&str], line: &str) -> bool {
    let server = Server::start();
    let mut client = server.client();
    for line in setup {
        client.run(line);
    }
    breaks_a_watch(&server, |other| {
        other.run(line);
    })
}

const HELD: &[&str] = &["LOCK.ACQUIRE orders me 60000", "LOCK.ACQUIRE orders me"];

#[test]
fn a_busy_acquire_breaks_no_watch() {
    assert!(!line_breaks_a_watch(HELD, "LOCK.ACQUIRE orders you"));
    assert!(!line_breaks_a_watch(
        HELD,
        "LOCK.ACQUIRE orders you HOLDS 1"
    ));
}

#[test]
fn a_call_that_fails_breaks_no_watch() {
    let server = Server::start();
    for line in HELD {
        server.client().run(line);
    }
    for line in [
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.RELEASE orders me TOKEN 1",
        "LOCK.RENEW orders you",
        "LOCK.RENEW orders me TOKEN 1",
        "LOCK.ACQUIRE orders me HOLDS 9",
        "LOCK.ACQUIRE orders me TOKEN 1",
        "LOCK.ACQUIRE orders me soon",
        "LOCK.ASSERT orders you",
    ] {
        let broken = breaks_a_watch(&server, |other| {
            assert!(matches!(other.ask(line), Value::ServerError(_)), "{line}");
        });
        assert!(!broken, "{line}");
    }
}

#[test]
fn a_repeated_call_breaks_no_watch() {
    assert!(!line_breaks_a_watch(
        HELD,
        "LOCK.ACQUIRE orders me 1 HOLDS 2"
    ));
    assert!(!line_breaks_a_watch(HELD, "LOCK.RELEASE orders me HOLDS 2"));
    assert!(!line_breaks_a_watch(&[], "LOCK.RELEASE orders me HOLDS 0"));
}

#[test]
fn reading_a_lock_breaks_no_watch() {
    assert!(!line_breaks_a_watch(HELD, "LOCK.INFO orders"));
    assert!(!line_breaks_a_watch(HELD, "LOCK.ASSERT orders me"));
    assert!(!line_breaks_a_watch(&[], "LOCK.INFO orders"));
    assert!(!line_breaks_a_watch(&[], "LOCK.FORCERELEASE orders"));
}

#[test]
fn taking_a_lock_breaks_a_watch() {
    assert!(line_breaks_a_watch(&[], "LOCK.ACQUIRE orders me"));
    assert!(line_breaks_a_watch(HELD, "LOCK.ACQUIRE orders me"));
}

#[test]
fn a_release_breaks_a_watch() {
    let once = &["LOCK.ACQUIRE orders me"];
    assert!(line_breaks_a_watch(once, "LOCK.RELEASE orders me"));
    assert!(line_breaks_a_watch(HELD, "LOCK.RELEASE orders me"));
    assert!(line_breaks_a_watch(HELD, "LOCK.FORCERELEASE orders"));
}

#[test]
fn a_renewal_breaks_a_watch() {
    assert!(line_breaks_a_watch(HELD, "LOCK.RENEW orders me 5000"));
}

#[test]
fn a_take_over_of_a_lapsed_lock_breaks_a_watch() {
    let server = Server::start();
    server.client().grant("LOCK.ACQUIRE orders me 50");
    assert!(breaks_a_watch(&server, |other| {
        eventually("the lock is taken over", || {
            other.grant("LOCK.ACQUIRE orders you 60000")[0] == 1
        });
    }));
}

#[test]
fn a_lock_that_changes_inside_a_transaction_or_script_breaks_a_watch() {
    let server = Server::start();
    assert!(breaks_a_watch(&server, |other| {
        other.run("MULTI");
        other.run("LOCK.ACQUIRE orders me");
        other.run("EXEC");
    }));
    assert!(breaks_a_watch(&server, |other| {
        let script = b"return redis.call('LOCK.RELEASE', KEYS[1], ARGV[1])";
        let reply = other.say(&[b"EVAL", script, b"1", b"orders", b"me"]);
        assert_eq!(reply, "0");
    }));
}

#[test]
fn a_watched_lock_guards_a_transaction() {
    let server = Server::start();
    let mut holder = server.client();
    holder.run("LOCK.ACQUIRE orders me");
    for (lost, reply) in [(false, "[OK]"), (true, "nil")] {
        holder.run("WATCH orders");
        assert_eq!(holder.run("LOCK.ASSERT orders me"), "OK");
        if lost {
            server.client().run("LOCK.FORCERELEASE orders");
            server.client().run("LOCK.ACQUIRE orders you");
        }
        holder.run("MULTI");
        holder.run("SET total 7");
        assert_eq!(holder.run("EXEC"), reply);
    }
}

/// A client that caches what it reads, and hears what it has to forget.
struct Cache {
    client: Client,
    pushes: Receiver<PushInfo>,
}

impl Cache {
    fn new(server: &Server, tracking: &str) -> Cache {
        let mut client = server.client3();
        let (sender, pushes) = channel();
        client.raw.set_push_sender(sender);
        assert_eq!(client.run(tracking), "OK");
        Cache { client, pushes }
    }

    /// The keys to forget by what was done before. They come before the reply to a PING.
    fn forgotten(&mut self) -> Vec<String> {
        self.client.run("PING");
        let pushes = self.pushes.try_iter();
        pushes.map(|push| show(&push.data[0])).collect()
    }
}

#[test]
fn a_cached_lock_is_forgotten_when_it_changes_and_not_by_a_busy_acquire() {
    for read in ["HGETALL orders", "LOCK.INFO orders"] {
        let server = Server::start();
        let mut other = server.client();
        let mut cache = Cache::new(&server, "CLIENT TRACKING ON");
        other.run("LOCK.ACQUIRE orders me 60000");
        for (line, forgotten) in [
            ("LOCK.ACQUIRE orders you", false),
            ("LOCK.ACQUIRE orders me 1 HOLDS 1", false),
            ("LOCK.RELEASE orders you", false),
            ("LOCK.ASSERT orders me", false),
            ("LOCK.INFO orders", false),
            ("LOCK.ACQUIRE orders me", true),
            ("LOCK.RENEW orders me 50000", true),
            ("LOCK.RELEASE orders me", true),
            ("LOCK.RELEASE orders me", true),
            ("LOCK.ACQUIRE orders you", true),
            ("LOCK.FORCERELEASE orders", true),
        ] {
            cache.client.run(read);
            assert_eq!(cache.forgotten(), [""; 0]);
            other.run(line);
            let wanted: &[&str] = if forgotten { &["[orders]"] } else { &[] };
            assert_eq!(cache.forgotten(), wanted, "{read}, then {line}");
        }
    }
}

#[test]
fn an_assert_that_was_cached_is_forgotten_when_the_lock_is_lost() {
    let server = Server::start();
    let mut other = server.client();
    let mut cache = Cache::new(&server, "CLIENT TRACKING ON");
    other.run("LOCK.ACQUIRE orders me");
    assert_eq!(cache.client.run("LOCK.ASSERT orders me"), "OK");
    other.run("LOCK.FORCERELEASE orders");
    assert_eq!(cache.forgotten(), ["[orders]"]);
}

#[test]
fn a_broadcast_of_changes_names_each_change_of_a_lock_once() {
    let server = Server::start();
    let mut other = server.client();
    let mut cache = Cache::new(&server, "CLIENT TRACKING ON BCAST PREFIX ord");
    for (line, forgotten) in [
        ("LOCK.ACQUIRE orders me 60000", 1),
        ("LOCK.ACQUIRE orders you", 0),
        ("LOCK.ACQUIRE others me", 0),
        ("LOCK.RELEASE orders me", 1),
        ("LOCK.RELEASE orders me HOLDS 0", 0),
    ] {
        other.run(line);
        let mut forgot = Vec::new();
        match forgotten {
            // They are collected, and sent at the end of a turn of the server's event loop.
            1 => eventually("the change is told", || {
                forgot.extend(cache.forgotten());
                !forgot.is_empty()
            }),
            _ => forgot = cache.forgotten(),
        }
        assert_eq!(forgot, vec!["[orders]"; forgotten], "{line}");
    }
}
