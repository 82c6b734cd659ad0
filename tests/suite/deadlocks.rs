//! Deadlocks are refused and not waited out; and where nobody can be made to wait.

mod bounds;
mod connections;
mod holders;

use crate::support::{eventually, Server, Setup, Waiter};

/// Owner n holds lock n, and those from 1 on wait for the lock of the one before: the cycle is
/// closed when owner 0 waits for the last one's.
fn chain(server: &Server, owners: usize) -> Vec<Waiter> {
    let mut client = server.client();
    for n in 0..owners {
        client.grant(&format!("LOCK.ACQUIRE lock-{n} owner-{n} 600000"));
    }
    let waits = (1..owners).map(|n| format!("LOCK.ACQUIRE lock-{} owner-{n} WAIT 0", n - 1));
    let waiters = Waiter::start_all(server, waits);
    server.until_waiting(owners as u64 - 1);
    waiters
}

#[test]
fn the_wait_that_would_close_a_cycle_is_refused_and_the_others_go_on() {
    for owners in [2, 3, 10] {
        let server = Server::start();
        let mut client = server.client();
        let mut waiters = chain(&server, owners);
        let last = owners - 1;
        let reply = client.run(&format!("LOCK.ACQUIRE lock-{last} owner-0 WAIT 0"));
        let wanted =
            format!("DEADLOCK waiting for \"lock-{last}\" would close a cycle of {owners} owners");
        assert_eq!(reply, wanted);
        assert_eq!(client.counter("deadlocks_refused"), 1);
        let log = server.log();
        for n in 0..owners {
            let other = (n + owners - 1) % owners;
            let edge = format!("\"owner-{n}\" waits for \"lock-{other}\" (db 0)");
            assert!(log.contains(&edge), "{edge} is not in the log");
        }
        // The victim gives up what it holds, and one after the other is served.
        client.run("LOCK.RELEASE lock-0 owner-0");
        for (n, waiter) in waiters.iter_mut().enumerate() {
            assert_eq!(waiter.grant()[0], 1);
            client.run(&format!("LOCK.RELEASE lock-{} owner-{}", n + 1, n + 1));
        }
        assert_eq!(client.counter("waiters"), 0);
    }
}

#[test]
fn a_hand_over_that_closes_a_cycle_refuses_the_youngest_wait_of_it() {
    close_by_a_hand_over(&Server::start());
}

/// A hand-over closes a cycle over the locks `a` and `b`, and the youngest wait of it is refused.
pub fn close_by_a_hand_over(server: &Server) {
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a other 600000");
    client.grant("LOCK.ACQUIRE b two 600000");
    // One waits for both, from two connections; two waits for a behind it. When one gets a, two
    // waits for one and one for two.
    let mut first = Waiter::start(server, "LOCK.ACQUIRE a one WAIT 0");
    let mut older = Waiter::start(server, "LOCK.ACQUIRE b one WAIT 0");
    let mut youngest = Waiter::start(server, "LOCK.ACQUIRE a two WAIT 0");
    client.run("LOCK.RELEASE a other");
    assert_eq!(first.grant()[0], 1);
    let reply = youngest.reply();
    assert_eq!(
        reply,
        "DEADLOCK waiting for \"a\" would close a cycle of 2 owners"
    );
    assert!(!older.has_reply());
    client.run("LOCK.RELEASE b two");
    assert_eq!(older.grant()[0], 1);
}

#[test]
fn where_there_is_no_cycle_nothing_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.grant("LOCK.ACQUIRE b one 600000");
    // Many behind one, one behind many, and the same names in another database.
    let mut waiters = Waiter::start_all(
        &server,
        [
            "LOCK.ACQUIRE a two WAIT 0",
            "LOCK.ACQUIRE b two WAIT 0",
            "LOCK.ACQUIRE a three WAIT 0",
        ]
        .map(str::to_owned),
    );
    client.run("SELECT 1");
    client.grant("LOCK.ACQUIRE a two 600000");
    client.run("SELECT 0");
    assert_eq!(client.counter("deadlocks_refused"), 0);
    client.run("LOCK.RELEASE a one");
    client.run("LOCK.RELEASE b one");
    assert_eq!(waiters[0].grant()[0], 1);
    assert_eq!(waiters[1].grant()[0], 1);
    client.run("LOCK.RELEASE a two");
    assert_eq!(waiters[2].grant()[0], 1);
    assert_eq!(client.counter("deadlocks_refused"), 0);
}

#[test]
fn one_owner_in_two_databases_is_one_owner() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.run("SELECT 3");
    client.grant("LOCK.ACQUIRE b two 600000");
    let _waiter = Waiter::start(&server, "LOCK.ACQUIRE a two WAIT 0");
    let reply = client.run("LOCK.ACQUIRE b one WAIT 0");
    assert_eq!(
        reply,
        "DEADLOCK waiting for \"b\" would close a cycle of 2 owners"
    );
}

#[test]
fn a_wait_that_is_over_closes_no_cycle() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.grant("LOCK.ACQUIRE b two 600000");
    let mut late = Waiter::start(&server, "LOCK.ACQUIRE a two WAIT 20");
    assert_eq!(late.grant()[0], 0);
    Waiter::start(&server, "LOCK.ACQUIRE a two WAIT 0").close();
    server.until_waiting(0);
    let waiter = Waiter::start(&server, "LOCK.ACQUIRE b one WAIT 0");
    assert!(!waiter.has_reply());
    server.until_waiting(1);
}

#[test]
fn where_nobody_can_be_made_to_wait_the_answer_comes_at_once() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let busy = |reply: &str| assert!(reply.contains("[0 0 0 "), "{reply}");
    client.run("MULTI");
    client.run("LOCK.ACQUIRE orders you WAIT 0");
    busy(&client.run("EXEC"));
    let script = b"return redis.call('LOCK.ACQUIRE', KEYS[1], 'you', 'WAIT', '0')";
    busy(&client.say(&[b"EVAL", script, b"1", b"orders"]));
    let library = b"#!lua name=l\nredis.register_function('take', function(keys) \
        return redis.call('LOCK.ACQUIRE', keys[1], 'you', 'WAIT', '0') end)";
    client.say(&[b"FUNCTION", b"LOAD", library]);
    busy(&client.run("FCALL take 1 orders"));
    assert_eq!(client.counter("waits_started"), 0);
    // And where the lock is free, WAIT changes nothing.
    client.run("LOCK.RELEASE orders me");
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders you 5000 WAIT 0")[..2],
        [1, 1]
    );
}

#[test]
fn those_who_wait_are_seen() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let lines = (0..12).map(|n| format!("LOCK.ACQUIRE orders owner-{n} WAIT 0"));
    let waiters = Waiter::start_all(&server, lines);
    let info = client.run("LOCK.INFO orders");
    assert!(info.contains("waiters 12 queue "), "{info}");
    let queue: Vec<&str> = info
        .split("owner owner-")
        .skip(1)
        .map(|part| part.split(' ').next().unwrap())
        .collect();
    assert_eq!(queue, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(client.counter("waiters"), 12);
    assert_eq!(client.counter("lines"), 1);
    assert_eq!(client.counter("waits_started"), 12);
    assert_eq!(client.info("clients", "blocked_clients").unwrap(), "12");
    assert!(waiters.iter().all(|waiter| waiter.is_blocked(&mut client)));
    drop(waiters);
    eventually("all have left", || client.counter("waiters") == 0);
    assert_eq!(client.counter("waits_cancelled"), 12);
}

#[test]
fn no_more_wait_than_may() {
    let server = Setup::new().module_args("max-waiters 2").start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let mut first = Waiter::start(&server, "LOCK.ACQUIRE orders a WAIT 0");
    let _second = Waiter::start(&server, "LOCK.ACQUIRE orders b WAIT 0");
    let refused = "TOOMANYWAITERS 2 calls are waiting already (lock.max-waiters)";
    assert_eq!(client.run("LOCK.ACQUIRE orders c WAIT 0"), refused);
    assert_eq!(client.grant("LOCK.ACQUIRE orders c")[0], 0);
    client.run("LOCK.RELEASE orders me");
    assert_eq!(first.grant()[0], 1);
    let _third = Waiter::start(&server, "LOCK.ACQUIRE orders c WAIT 0");
    server.until_waiting(2);
}
