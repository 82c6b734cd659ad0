//! `LOCK.LINES`: which locks are waited for, and `INFO lock`: how long that took.

use crate::support::{eventually, show, Client, Server, Waiter};
use redis::Value;

/// Locks `a`, `b` and `c`, for which 1, 3 and 2 clients wait.
fn three_lines(server: &Server) -> Vec<Waiter> {
    let mut client = server.client();
    let mut waits = Vec::new();
    for (lock, count) in [("a", 1), ("b", 3), ("c", 2)] {
        client.grant(&format!("LOCK.ACQUIRE {lock} holder-of-{lock} 600000"));
        waits.extend((0..count).map(|n| format!("LOCK.ACQUIRE {lock} {lock}{n} WAIT 0")));
    }
    Waiter::start_all(server, waits)
}

fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        other => panic!("not a list: {}", show(other)),
    }
}

/// The value after a name in a flat list.
fn field(line: &Value, name: &str) -> Value {
    let mut pairs = parts(line).chunks(2);
    let pair = pairs.find(|pair| show(&pair[0]) == name);
    pair.unwrap_or_else(|| panic!("no {name} in {}", show(line)))[1].clone()
}

/// The names of the locks that are listed, in order.
fn listed(client: &mut Client, line: &str) -> Vec<String> {
    let reply = client.ask(line);
    let lines = parts(&reply).iter();
    lines.map(|line| show(&field(line, "lock"))).collect()
}

#[test]
fn the_locks_that_are_waited_for_are_listed_the_longest_line_first() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.run("LOCK.LINES"), "[]");
    client.grant("LOCK.ACQUIRE nobody-waits me 600000");
    let _waiters = three_lines(&server);
    assert_eq!(listed(&mut client, "LOCK.LINES"), ["b", "c", "a"]);
    assert_eq!(listed(&mut client, "lock.lines count 2"), ["b", "c"]);
    assert_eq!(listed(&mut client, "LOCK.LINES COUNT 1000000").len(), 3);
    client.run("SELECT 1");
    assert_eq!(client.run("LOCK.LINES"), "[]");
}

#[test]
fn ten_lines_are_listed_where_the_call_does_not_say_how_many() {
    let server = Server::start();
    let mut client = server.client();
    let mut waits = Vec::new();
    for n in 0..11 {
        client.grant(&format!("LOCK.ACQUIRE lock-{n} me 600000"));
        waits.push(format!("LOCK.ACQUIRE lock-{n} you WAIT 0"));
    }
    let _waiters = Waiter::start_all(&server, waits);
    // Of lines that are equally long the one that began earlier comes first.
    let first: Vec<String> = (0..10).map(|n| format!("lock-{n}")).collect();
    assert_eq!(listed(&mut client, "LOCK.LINES"), first);
}

#[test]
fn each_line_tells_who_holds_the_lock_how_many_wait_and_since_when() {
    let server = Server::start();
    let mut client = server.client();
    let _waiters = three_lines(&server);
    let token = show(&field(&client.ask("LOCK.INFO b"), "token"));
    eventually("someone has waited for 20 ms", || {
        let reply = client.ask("LOCK.LINES COUNT 1");
        let first = &parts(&reply)[0];
        let told = ["lock", "owner", "holds", "token", "waiters"].map(|n| show(&field(first, n)));
        assert_eq!(told, ["b", "holder-of-b", "1", &token, "3"]);
        let ttl: i64 = show(&field(first, "ttl")).parse().unwrap();
        assert!((1..=600_000).contains(&ttl), "{ttl}");
        let queue = field(first, "queue");
        let owners: Vec<String> = parts(&queue)
            .iter()
            .map(|w| show(&field(w, "owner")))
            .collect();
        assert_eq!(owners, ["b0", "b1", "b2"]);
        let waited = show(&field(&parts(&queue)[0], "waited"));
        waited.parse::<i64>().unwrap() >= 20
    });
}

#[test]
fn a_lock_that_is_given_to_nobody_for_now_is_listed_without_an_owner() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 0");
    client.at_once(&["PEXPIRE orders 100", "CLIENT PAUSE 600000 WRITE"]);
    eventually("the lease is over", || {
        let reply = client.ask("LOCK.LINES");
        let told = ["owner", "holds", "token", "ttl", "waiters"];
        told.map(|name| show(&field(&parts(&reply)[0], name))) == ["nil", "0", "0", "0", "1"]
    });
    client.run("CLIENT UNPAUSE");
    assert_eq!(waiter.grant()[0], 1);
    assert_eq!(client.run("LOCK.LINES"), "[]");
}

#[test]
fn a_user_sees_only_the_lines_of_keys_that_it_may_read() {
    let server = Server::start();
    let mut client = server.client();
    let _waiters = three_lines(&server);
    for (keys, seen) in [
        ("~*", &["b", "c", "a"][..]),
        ("~a ~c", &["c", "a"]),
        ("%R~b", &["b"]),
        ("%W~b %R~c", &["c"]),
        ("resetkeys", &[]),
    ] {
        let rules = format!("ACL SETUSER viewer reset on nopass {keys} +@all");
        assert_eq!(client.run(&rules), "OK");
        let mut viewer = server.client();
        viewer.run("AUTH viewer x");
        assert_eq!(listed(&mut viewer, "LOCK.LINES"), seen, "{keys}");
        // The best one that it may see, not the best one of all.
        let first: Vec<&str> = seen.iter().take(1).copied().collect();
        assert_eq!(listed(&mut viewer, "LOCK.LINES COUNT 1"), first, "{keys}");
        for script in ["LOCK.LINES", "LOCK.LINES', 'COUNT', '7"] {
            let script = format!("return redis.call('{script}')");
            let reply = viewer.send(&[b"EVAL", script.as_bytes(), b"0"]);
            assert_eq!(parts(&reply).len(), seen.len(), "{keys} in a script");
        }
        viewer.run("MULTI");
        viewer.run("LOCK.LINES");
        let reply = viewer.ask("EXEC");
        assert_eq!(
            parts(&parts(&reply)[0]).len(),
            seen.len(),
            "{keys} in MULTI"
        );
    }
}

#[test]
fn resp3_gives_a_map_for_each_line() {
    let server = Server::start();
    let _waiters = three_lines(&server);
    let reply = server.client3().ask("LOCK.LINES COUNT 1");
    let Value::Map(pairs) = &parts(&reply)[0] else {
        panic!("no map: {}", show(&reply))
    };
    let names: Vec<String> = pairs.iter().map(|(name, _)| show(name)).collect();
    let wanted = [
        "lock", "owner", "holds", "token", "ttl", "session", "waiters", "queue",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn wrong_arguments_are_refused_with_the_range() {
    let server = Server::start();
    let mut client = server.client();
    let range = "ERR COUNT must be a whole number from 1 to 1000000, not";
    for (line, error) in [
        ("LOCK.LINES COUNT 0", &format!("{range} \"0\"")[..]),
        ("LOCK.LINES COUNT -1", &format!("{range} \"-1\"")),
        ("LOCK.LINES COUNT many", &format!("{range} \"many\"")),
        ("LOCK.LINES COUNT", "ERR COUNT needs a value"),
        (
            "LOCK.LINES COUNT 1 COUNT 1",
            "ERR COUNT may be given only once",
        ),
        (
            "LOCK.LINES orders",
            "ERR unknown option \"orders\", expected COUNT",
        ),
    ] {
        assert_eq!(client.run(line), error, "{line}");
    }
}

#[test]
fn info_tells_how_long_those_waited_who_got_the_lock() {
    let server = Server::start();
    let mut client = server.client();
    let fields = ["wait_ms_p50", "wait_ms_p99", "wait_ms_p999", "wait_ms_max"];
    let mut told = || fields.map(|name| client.counter(name));
    assert_eq!(told(), [0; 4]);
    let mut other = server.client();
    // Nine waits of no time to speak of, and one of 300 ms or more, to a hundredth.
    for n in 0..9 {
        other.grant(&format!("LOCK.ACQUIRE orders me-{n} 600000"));
        let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 0");
        other.run(&format!("LOCK.RELEASE orders me-{n}"));
        assert_eq!(waiter.grant()[0], 1);
        other.run("LOCK.RELEASE orders you");
    }
    other.grant("LOCK.ACQUIRE orders me 600000");
    let since = std::time::Instant::now();
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 600000 WAIT 0");
    eventually("it has waited for 300 ms", || {
        let info = other.ask("LOCK.INFO orders");
        let waited = show(&field(&parts(&field(&info, "queue"))[0], "waited"));
        waited.parse::<i64>().unwrap() >= 300
    });
    other.run("LOCK.RELEASE orders me");
    assert_eq!(waiter.grant()[0], 1);
    let most = since.elapsed().as_millis() as u64;
    // One that gave up does not count.
    let longer = format!("LOCK.ACQUIRE orders they WAIT {}", 2 * most);
    assert_eq!(Waiter::start(&server, &longer).grant()[0], 0);
    let [p50, p99, p999, max] = told();
    assert!(p50 < 300, "{p50}");
    for long in [p99, p999, max] {
        assert!((297..=most + most / 100 + 1).contains(&long), "{long}");
    }
}
