//! `lockctl ls`, `info` and `release`.

use crate::{Running, assert_one_line, is_held, lockctl, outcome, run, until_waiting};
use lock_test_support::Server;
use serde_json::{Value, json};

/// Each line of an output in JSON.
pub fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_locks_that_are_held_are_listed_and_nothing_else() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE lock:b worker-1 600000");
    client.run("LOCK.ACQUIRE lock:b worker-1 600000");
    client.run("LOCK.ACQUIRE lock:a worker-2 600000 SESSION");
    client.run("LOCK.ACQUIRE other worker-3 600000");
    for line in [
        "HSET lock:user name x",
        "SET lock:word 1",
        "RPUSH lock:list 1",
        "LOCK.ACQUIRE lock:gone me 600000",
    ] {
        client.run(line);
    }
    client.run("LOCK.RELEASE lock:gone me");
    let (printed, _, status) = outcome(&mut lockctl(&server.url(), "ls lock:*"));
    assert_eq!(status, 0);
    let lines: Vec<Vec<&str>> = printed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 3, "{printed}");
    assert_eq!(
        lines[0],
        [
            "LOCK", "HOLDER", "HOLDS", "TOKEN", "LEFT", "SESSION", "WAITERS"
        ]
    );
    assert_eq!(lines[1][..3], ["lock:a", "worker-2", "1"]);
    assert_eq!(lines[2][..3], ["lock:b", "worker-1", "2"]);
    assert_eq!(
        (lines[1].last(), lines[1][lines[1].len() - 2]),
        (Some(&"0"), "yes")
    );
    // The columns align: those of numbers at their ends.
    let ends: Vec<usize> = printed.lines().map(str::len).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{printed}");
}

#[test]
fn the_list_uses_scan_and_never_keys() {
    let server = Server::start();
    let mut client = server.client();
    for n in 0..2500 {
        client.run(&format!("LOCK.ACQUIRE lock:{n} me 600000"));
    }
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "ls --json"));
    assert_eq!(records(&printed).len(), 2500);
    assert!(
        client.calls("scan") >= 2,
        "{} calls of SCAN",
        client.calls("scan")
    );
    assert_eq!(client.calls("keys"), 0);
}

#[test]
fn a_lock_in_json_has_all_that_info_tells() {
    let server = Server::start();
    let mut client = server.client();
    let token = client.grant("LOCK.ACQUIRE a me 600000")[2];
    let mut waiting = server.client();
    waiting.forget("LOCK.ACQUIRE a next WAIT 0");
    until_waiting(&mut client, 1);
    let (printed, _, status) = outcome(&mut lockctl(&server.url(), "info a --json"));
    assert_eq!(status, 0);
    let mut record = records(&printed).remove(0);
    let left = record["ttl_ms"].take().as_u64().unwrap();
    assert!((500_000..=600_000).contains(&left), "{left}");
    assert!(record["queue"][0]["waited_ms"].take().is_u64());
    let expected = json!({
        "lock": "a", "owner": "me", "holds": 1, "token": token, "ttl_ms": null, "session": false, "waiters": 1,
        "queue": [{"owner": "next", "waited_ms": null}], "server": format!("127.0.0.1:{}", server.port()),
    });
    assert_eq!(record, expected);
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "ls --json"));
    assert!(records(&printed)[0].get("queue").is_none());
}

#[test]
fn the_queue_of_a_lock_is_shown_in_order() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a me 600000");
    let mut waiting: Vec<_> = (0..12).map(|_| server.client()).collect();
    for (n, client) in waiting.iter_mut().enumerate() {
        client.forget(&format!("LOCK.ACQUIRE a w{n} WAIT 0"));
        until_waiting(&mut server.client(), n as u64 + 1);
    }
    let (printed, _, status) = outcome(&mut lockctl(&server.url(), "info a"));
    assert_eq!(status, 0);
    assert!(printed.contains("holder   me\n"), "{printed}");
    let queue: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("waited"))
        .collect();
    assert_eq!(queue.len(), 10);
    assert!(queue[0].starts_with("     1.  w0  waited "), "{printed}");
    assert!(printed.ends_with("and 2 more\n"), "{printed}");
}

#[test]
fn a_free_lock_is_told_by_the_status() {
    let server = Server::start();
    let free = outcome(&mut lockctl(&server.url(), "info a"));
    assert_eq!(free, ("a is free\n".to_owned(), String::new(), 1));
    let (printed, _, status) = outcome(&mut lockctl(&server.url(), "info a --json"));
    assert_eq!((&records(&printed)[0]["owner"], status), (&Value::Null, 1));
}

#[test]
fn names_of_clients_cannot_steer_the_terminal() {
    let server = Server::start();
    let words: [&[u8]; 4] = [b"LOCK.ACQUIRE", b"a\x1b[2J\xff", b"me\nyou", b"600000"];
    server.client().say(&words);
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "ls"));
    assert!(printed.contains(r"a\u{1b}[2J\xff  me\nyou  "), "{printed}");
    assert_eq!(printed.lines().count(), 2);
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "ls --json"));
    assert_eq!(records(&printed)[0]["lock_hex"], "611b5b324aff");
}

#[test]
fn a_release_by_force_tells_whether_the_lock_was_held() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a me 600000");
    let (_, text, status) = outcome(&mut lockctl(&server.url(), "release --force a"));
    assert_eq!(status, 122);
    assert_one_line(&text, "--yes");
    assert!(is_held(&mut client, "a"));
    for (expected, status) in [("a released\n", 0), ("a was free\n", 1)] {
        let released = outcome(&mut lockctl(&server.url(), "release --force --yes a"));
        assert_eq!(released, (expected.to_owned(), String::new(), status));
    }
    assert!(!is_held(&mut client, "a"));
}

#[test]
fn a_release_by_force_gives_the_lock_to_the_next() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a dead 600000");
    let mut next = Running::start(&run(&server, "--wait 60 a", "echo mine"));
    until_waiting(&mut client, 1);
    outcome(&mut lockctl(&server.url(), "release --force --yes a"));
    assert_eq!(next.line(), "mine");
    assert_eq!(next.end().0, 0);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let server = Server::start();
    let mut client = server.client();
    for n in 0..2000 {
        client.run(&format!("LOCK.ACQUIRE lock:{n} me 600000"));
    }
    let mut listing = lockctl(&server.url(), "ls");
    listing
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut listing = listing.spawn().unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    assert_eq!(crate::outcome_of(&output).1, "");
    assert!(output.status.success());
}
