//! Waiting in line: first come, first served, and nobody overtakes.

mod going_to_sleep;
mod together;
use crate::support::{eventually, show, Client, Server, Waiter};
use std::time::Duration;

/// How many the server blocks, and how many wait in line: they are the same.
fn waiting(client: &mut Client) -> u64 {
    let blocked = client.info("clients", "blocked_clients").unwrap();
    assert_eq!(blocked.parse(), Ok(client.counter("waiters")));
    client.counter("waiters")
}

/// A server on which `me` holds `orders`, and these wait for it.
fn held(lines: &[&str]) -> (Server, Client, Vec<Waiter>) {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    let waiters = Waiter::start_all(&server, lines.iter().map(|&line| line.to_owned()));
    assert_eq!(waiting(&mut client), lines.len() as u64);
    (server, client, waiters)
}

#[test]
fn a_thousand_are_served_in_the_order_they_came_one_a_release() {
    const COUNT: usize = 1000;
    let server = Server::start();
    let mut client = server.client();
    let [.., mut token, _] = client.grant("LOCK.ACQUIRE orders me 600000");
    let line = |n| format!("LOCK.ACQUIRE orders o{n} 600000 WAIT 0");
    let mut waiters = Waiter::start_all(&server, (0..COUNT).map(line));
    assert_eq!(waiting(&mut client), COUNT as u64);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    for n in 0..COUNT {
        let [acquired, holds, next, ttl] = waiters[n].grant();
        assert_eq!([acquired, holds, ttl], [1, 1, 600_000]);
        assert!(next > token, "{next} came after {token}");
        token = next;
        assert_eq!(waiting(&mut client), (COUNT - n - 1) as u64);
        if n % 50 == 0 {
            let early = waiters[n + 1..].iter().filter(|w| w.has_arrived()).count();
            assert_eq!(early, 0);
        }
        let release = format!("LOCK.RELEASE orders o{n}");
        assert_eq!(waiters[n].run(&release), "0");
    }
    assert_eq!(client.counter("handed_over"), COUNT as u64);
    assert_eq!(client.int("EXISTS orders"), 0);
}

#[test]
fn lines_of_many_locks_do_not_mix() {
    const LOCKS: usize = 12;
    const WAITERS: usize = 5;
    let server = Server::start();
    let mut clients: Vec<Client> = (0..2).map(|_| server.client()).collect();
    clients[1].run("SELECT 9");
    // The same names in two databases: those are different locks.
    let mut lines: Vec<(usize, Vec<Waiter>)> = Vec::new();
    for lock in 0..LOCKS {
        clients[lock % 2].grant(&format!("LOCK.ACQUIRE k{} o0 60000", lock / 2));
        lines.push((lock, Vec::new()));
    }
    for n in 1..=WAITERS {
        for (lock, line) in &mut lines {
            let select = ["SELECT 0", "SELECT 9"][*lock % 2];
            let acquire = format!("LOCK.ACQUIRE k{} o{n} 60000 WAIT 0", *lock / 2);
            line.push(Waiter::start_after(&server, &[select], &acquire));
        }
    }
    assert_eq!(clients[0].counter("lines"), LOCKS as u64);
    let mut left = (LOCKS * WAITERS) as u64;
    for n in 1..=WAITERS {
        for (lock, line) in lines.iter_mut().rev() {
            let (name, db) = (*lock / 2, *lock % 2);
            let release = format!("LOCK.RELEASE k{name} o{}", n - 1);
            assert_eq!(clients[db].run(&release), "0");
            assert_eq!(line[n - 1].grant()[..2], [1, 1]);
            left -= 1;
            assert_eq!(waiting(&mut clients[0]), left);
            let assert = format!("LOCK.ASSERT k{name} o{n}");
            assert_eq!(clients[db].run(&assert), "OK");
        }
    }
}

#[test]
fn who_waits_may_be_in_any_protocol_and_names_options_in_any_order() {
    let (server, mut client, mut waiters) = held(&["LOCK.ACQUIRE orders a WAIT 0 holds 1"]);
    let line = "lock.acquire orders b 5000 HOLDS 1 wait 60000";
    waiters.push(Waiter::start_after(&server, &["HELLO 3"], line));
    client.run("LOCK.RELEASE orders me");
    let [acquired, holds, _, ttl] = waiters[0].grant();
    assert_eq!([acquired, holds, ttl], [1, 1, 30_000]);
    client.run("LOCK.RELEASE orders a");
    let [acquired, holds, _, ttl] = waiters[1].grant();
    assert_eq!([acquired, holds, ttl], [1, 1, 5000]);
}

#[test]
fn a_free_lock_is_taken_at_once_by_one_who_would_wait() {
    let server = Server::start();
    let mut client = server.client();
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders me 5000 WAIT 0");
    assert_eq!([acquired, holds, ttl], [1, 1, 5000]);
    let again = client.grant("LOCK.ACQUIRE orders me 5000 WAIT 60000");
    assert_eq!(again[..3], [1, 2, token]);
    assert_eq!(client.counter("waits_started"), 0);
}

#[test]
fn a_lease_begins_when_the_lock_is_granted() {
    let (_server, mut client, mut waiters) = held(&["LOCK.ACQUIRE orders you 40000 WAIT 0"]);
    let (before, waited) = (client.clock(), client.int("PTTL orders"));
    eventually("some time has passed", || client.clock() > before + 20);
    assert!(waited <= 60_001);
    let from = client.clock();
    client.run("LOCK.RELEASE orders me");
    let to = client.clock();
    assert_eq!(waiters[0].grant()[3], 40_000);
    let deadline = client.deadline("orders").unwrap();
    // It is rounded up to the whole millisecond.
    assert!((from + 40_000..=to + 40_001).contains(&deadline));
}

#[test]
fn a_newcomer_without_wait_never_overtakes_the_line() {
    // The release and the newcomer come at once: in one packet, one transaction, one script.
    for free in [
        "LOCK.RELEASE orders me",
        "LOCK.FORCERELEASE orders",
        "DEL orders",
    ] {
        for newcomer in [
            "LOCK.ACQUIRE orders new 60000",
            "LOCK.ACQUIRE orders new 60000 HOLDS 1",
            // One who waits too, but not first, takes no short cut.
            "LOCK.ACQUIRE orders second 60000",
        ] {
            for at_once in [in_one_packet, in_one_transaction, in_one_script] {
                let (_server, mut client, mut waiters) = held(&[
                    "LOCK.ACQUIRE orders first 60000 WAIT 0",
                    "LOCK.ACQUIRE orders second 60000 WAIT 0",
                ]);
                let reply = at_once(&mut client, &[free, newcomer]);
                assert!(reply.starts_with("[0 0 0 "), "{free}, {newcomer}: {reply}");
                assert_eq!(waiters[0].grant()[..2], [1, 1]);
                assert!(!waiters[1].has_reply());
                assert!(client.holder("orders").starts_with("first 1 "));
            }
        }
    }
}

/// Sends the lines in one packet, and returns the last reply.
fn in_one_packet(client: &mut Client, lines: &[&str]) -> String {
    client.at_once(lines).pop().unwrap()
}

/// Runs the lines as one transaction, and returns the last reply.
fn in_one_transaction(client: &mut Client, lines: &[&str]) -> String {
    client.run("MULTI");
    lines.iter().for_each(|line| {
        client.run(line);
    });
    let replies: Vec<redis::Value> = redis::from_redis_value(client.ask("EXEC")).unwrap();
    show(replies.last().unwrap())
}

/// Runs the lines as one script, and returns the last reply.
fn in_one_script(client: &mut Client, lines: &[&str]) -> String {
    let calls = lines.iter().map(|line| {
        let words = line.split_whitespace().map(|word| format!("'{word}'"));
        format!("redis.call({}) ", words.collect::<Vec<_>>().join(","))
    });
    let calls = calls.collect::<Vec<_>>();
    let (last, first) = calls.split_last().unwrap();
    let script = format!("{} return {last}", first.concat());
    client.say(&[b"EVAL", script.as_bytes(), b"0"])
}

#[test]
fn a_newcomer_never_overtakes_the_line_when_a_lease_has_ended() {
    // The lease ends while the server is busy, so the newcomer comes before any timer can ring.
    let lines = [
        "PEXPIRE orders 5",
        "DEBUG SLEEP 0.02",
        "LOCK.ACQUIRE orders new 60000",
    ];
    for at_once in [in_one_packet, in_one_transaction] {
        let (_server, mut client, mut waiters) = held(&["LOCK.ACQUIRE orders first 60000 WAIT 0"]);
        let reply = at_once(&mut client, &lines);
        assert!(reply.starts_with("[0 0 0 "), "{reply}");
        assert_eq!(waiters[0].grant()[..2], [1, 1]);
        assert!(client.holder("orders").starts_with("first 1 "));
    }
}

#[test]
fn a_newcomer_who_waits_comes_last() {
    let (server, mut client, mut waiters) = held(&["LOCK.ACQUIRE orders a 60000 WAIT 0"]);
    client.run("LOCK.RELEASE orders me");
    let mut newcomer = Waiter::start(&server, "LOCK.ACQUIRE orders b 60000 WAIT 0");
    let mut last = Waiter::start(&server, "LOCK.ACQUIRE orders me 60000 WAIT 0");
    assert_eq!(waiters[0].grant()[0], 1);
    client.run("LOCK.RELEASE orders a");
    assert_eq!(newcomer.grant()[0], 1);
    assert!(!last.has_reply());
    client.run("LOCK.RELEASE orders b");
    assert_eq!(last.grant()[0], 1);
}

#[test]
fn a_reentry_goes_through_while_others_wait() {
    let (_server, mut client, mut waiters) = held(&["LOCK.ACQUIRE orders you WAIT 0"]);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 60000")[..2], [1, 2]);
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me 60000 WAIT 0")[..2],
        [1, 3]
    );
    assert_eq!(client.grant("LOCK.ACQUIRE orders me HOLDS 3")[..2], [1, 3]);
    for left in ["2", "1"] {
        assert_eq!(client.run("LOCK.RELEASE orders me"), left);
        assert!(!waiters[0].has_reply());
    }
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiters[0].grant()[..2], [1, 1]);
}

#[test]
fn a_wait_that_cannot_be_granted_is_refused_at_once() {
    let (_server, mut client, _waiters) = held(&[]);
    let reply = client.run("LOCK.ACQUIRE orders you HOLDS 2 WAIT 0");
    assert!(reply.starts_with("HOLDCOUNT "), "{reply}");
    let reply = client.run("LOCK.ACQUIRE orders you TOKEN 7 WAIT 0");
    assert_eq!(reply, "NOTOWNER the lock is held by another owner");
    assert_eq!(waiting(&mut client), 0);
}

#[test]
fn waiting_for_a_lease_of_hours_keeps_no_server_busy() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 7200000");
    let _waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 7200000");
    // Servers are at fault only when a timer that is far away was not the first to ring.
    let mut other = Waiter::start(&server, "LOCK.ACQUIRE orders other WAIT 1");
    assert_eq!(other.grant()[0], 0);
    let mut used = || -> f64 {
        let cpu = ["used_cpu_user", "used_cpu_sys"].map(|field| client.info("cpu", field));
        cpu.map(|field| field.unwrap().parse::<f64>().unwrap())
            .iter()
            .sum()
    };
    let before = used();
    // Nothing is to happen, for which no event can be waited for.
    std::thread::sleep(Duration::from_millis(300));
    let took = used() - before;
    assert!(took < 0.1, "{took} s of processor time in 0.3 s");
}
