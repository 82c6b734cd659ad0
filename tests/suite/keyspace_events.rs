//! Keyspace events: those that the plain commands would raise, and none where nothing changed.

use crate::support::{Client, Listener, Server, Setup, PATIENCE};

/// A server that raises every keyspace event, and one who hears them.
struct Heard {
    server: Server,
    client: Client,
    listener: Listener,
}

impl Heard {
    fn start() -> Heard {
        let server = Setup::new().config("notify-keyspace-events KEA").start();
        let listener = Listener::psubscribe(&server, "__key*__:*");
        let client = server.client();
        Heard {
            server,
            client,
            listener,
        }
    }

    /// What was raised since the last call, as `event key`. Each event comes on the channel of its
    /// key and on its own.
    fn events(&mut self) -> Vec<String> {
        self.client.run("PUBLISH __keymark__:until here");
        let (mut of_keys, mut of_events) = (Vec::new(), Vec::new());
        loop {
            let (channel, message) = self.listener.next();
            let (kind, name) = channel.split_once(':').unwrap();
            match kind {
                "__keyspace@0__" => of_keys.push(format!("{message} {name}")),
                "__keyevent@0__" => of_events.push(format!("{name} {message}")),
                "__keymark__" => break,
                _ => panic!("a message on {channel}"),
            }
        }
        assert_eq!(of_keys, of_events);
        of_events
    }

    /// What a command raises.
    fn by(&mut self, line: &str) -> Vec<String> {
        self.client.run(line);
        self.events()
    }
}

#[test]
fn taking_a_lock_raises_what_hset_and_pexpire_raise() {
    let mut heard = Heard::start();
    heard.client.run("HSET plain me 1");
    heard.client.run("PEXPIRE plain 60000");
    assert_eq!(heard.events(), ["hset plain", "expire plain"]);
    assert_eq!(
        heard.by("LOCK.ACQUIRE orders me 60000"),
        ["hset orders", "expire orders"]
    );
}

#[test]
fn a_reentry_raises_hset_and_an_expire_only_where_it_extends_the_lease() {
    let mut heard = Heard::start();
    heard.by("LOCK.ACQUIRE orders me 60000");
    assert_eq!(heard.by("LOCK.ACQUIRE orders me 10"), ["hset orders"]);
    assert_eq!(
        heard.by("LOCK.ACQUIRE orders me 600000"),
        ["hset orders", "expire orders"]
    );
    // A repeat counts nothing, but may extend.
    assert_eq!(
        heard.by("LOCK.ACQUIRE orders me 6000000 HOLDS 3"),
        ["expire orders"]
    );
}

#[test]
fn a_partial_release_raises_hset_and_a_full_one_del() {
    let mut heard = Heard::start();
    heard.client.run("LOCK.ACQUIRE orders me");
    heard.client.run("LOCK.ACQUIRE orders me 1");
    heard.events();
    assert_eq!(heard.by("LOCK.RELEASE orders me"), ["hset orders"]);
    assert_eq!(heard.by("LOCK.RELEASE orders me"), ["del orders"]);
}

#[test]
fn a_renewal_raises_expire() {
    let mut heard = Heard::start();
    heard.by("LOCK.ACQUIRE orders me 60000");
    assert_eq!(heard.by("LOCK.RENEW orders me 50000"), ["expire orders"]);
    assert_eq!(heard.by("LOCK.RENEW orders me 90000"), ["expire orders"]);
}

#[test]
fn a_force_release_raises_del() {
    let mut heard = Heard::start();
    heard.by("LOCK.ACQUIRE orders me");
    assert_eq!(heard.by("LOCK.FORCERELEASE orders"), ["del orders"]);
}

#[test]
fn giving_a_hold_of_redisson_its_token_raises_hset() {
    let mut heard = Heard::start();
    heard.client.run("HSET orders me 1");
    heard.client.run("PEXPIRE orders 60000");
    heard.events();
    assert_eq!(
        heard.by("LOCK.RENEW orders me 90000"),
        ["hset orders", "expire orders"]
    );
}

#[test]
fn calls_that_change_nothing_raise_nothing() {
    let mut heard = Heard::start();
    heard.client.run("LOCK.ACQUIRE orders me 60000");
    heard.client.run("LOCK.ACQUIRE orders me 60000");
    heard.client.run("SET plain text");
    heard.events();
    for line in [
        "LOCK.ACQUIRE orders you",
        "LOCK.ACQUIRE orders you HOLDS 1",
        "LOCK.ACQUIRE orders you HOLDS 2",
        "LOCK.ACQUIRE orders me 1 HOLDS 2",
        "LOCK.ACQUIRE orders me HOLDS 5",
        "LOCK.ACQUIRE orders me TOKEN 1",
        "LOCK.ACQUIRE orders me soon",
        "LOCK.ACQUIRE free me HOLDS 2",
        "LOCK.ACQUIRE free me TOKEN 7",
        "LOCK.ACQUIRE plain me",
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RELEASE orders me HOLDS 2",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.RELEASE orders me TOKEN 1",
        "LOCK.RELEASE free me",
        "LOCK.RELEASE plain me",
        "LOCK.RENEW orders you 5000",
        "LOCK.RENEW orders me 5000 TOKEN 1",
        "LOCK.RENEW free me",
        "LOCK.ASSERT orders me",
        "LOCK.ASSERT orders you",
        "LOCK.ASSERT free you",
        "LOCK.INFO orders",
        "LOCK.INFO free",
        "LOCK.INFO plain",
        "LOCK.FORCERELEASE free",
        "LOCK.FORCERELEASE plain",
    ] {
        assert_eq!(heard.by(line), [""; 0], "{line}");
    }
}

#[test]
fn a_lapsed_lock_taken_anew_raises_expired_once() {
    let mut heard = Heard::start();
    heard.client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    // The lease is over one millisecond before the server drops the key, so the module may have to
    // do it itself. Asking without pause we meet that millisecond nearly each time.
    for round in 0..20 {
        heard.client.grant("LOCK.ACQUIRE orders me 5");
        assert_eq!(heard.events(), ["hset orders", "expire orders"]);
        let started = std::time::Instant::now();
        while heard.client.grant("LOCK.ACQUIRE orders you 60000")[0] == 0 {
            assert!(started.elapsed() < PATIENCE);
        }
        let raised = ["expired orders", "hset orders", "expire orders"];
        assert_eq!(heard.events(), raised, "round {round}");
        assert_eq!(heard.by("LOCK.RELEASE orders you"), ["del orders"]);
    }
}

#[test]
fn a_lock_in_another_database_raises_its_events_there() {
    let mut heard = Heard::start();
    let mut listener = Listener::psubscribe(&heard.server, "__keyevent@5__:*");
    heard.client.run("SELECT 5");
    heard.client.run("LOCK.ACQUIRE orders me");
    heard.client.run("LOCK.RELEASE orders me");
    for event in ["hset", "expire", "del"] {
        let channel = format!("__keyevent@5__:{event}");
        assert_eq!(listener.next(), (channel, "orders".to_owned()));
    }
    listener.assert_quiet();
}

#[test]
fn a_server_that_raises_no_events_publishes_only_the_unlock() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    client.run("LOCK.ACQUIRE orders me");
    client.run("LOCK.RENEW orders me");
    client.run("LOCK.RELEASE orders me");
    let channel = "redisson_lock__channel:{orders}".to_owned();
    assert_eq!(listener.next(), (channel, "0".to_owned()));
    listener.assert_quiet();
}
