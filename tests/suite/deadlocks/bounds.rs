//! However many wait, no command takes long.

use crate::support::{eventually, Client, Server, Waiter};
use std::time::Duration;

/// A command may take so many steps: one for a wait that is followed, ten for a lock that is
/// looked up, twenty for a wait that is refused.
const STEPS: usize = 10_000;

/// How many keys the server has looked up.
fn lookups(client: &mut Client) -> usize {
    let mut number = |name| -> usize {
        let value = client.info("stats", name).unwrap();
        value.parse().unwrap()
    };
    number("keyspace_hits") + number("keyspace_misses")
}

/// Takes locks, many in one go.
fn take(client: &mut Client, holds: impl IntoIterator<Item = (String, String)>) {
    let mut pipe = redis::pipe();
    for (lock, owner) in holds {
        pipe.cmd("LOCK.ACQUIRE").arg(lock).arg(owner).arg(600_000);
    }
    let _: Vec<[i64; 4]> = pipe.query(&mut client.raw).unwrap();
}

/// So many wait, in no order.
fn wait(server: &Server, waits: impl IntoIterator<Item = (String, String)>) -> Vec<Waiter> {
    crate::support::allow_many_files();
    let before = server.client().counter("waiters");
    let line = |(lock, owner)| format!("LOCK.ACQUIRE {lock} {owner} 600000 WAIT 0");
    let waits = waits.into_iter().map(line);
    let waiters: Vec<Waiter> = waits
        .map(|line| Waiter::begin(server, &[], &line))
        .collect();
    server.until_waiting(before + waiters.len() as u64);
    waiters
}

fn each(names: std::ops::Range<usize>, lock: &str, owner: &str) -> Vec<(String, String)> {
    let name = |text: &str, n| text.replace('#', &format!("{n}"));
    names.map(|n| (name(lock, n), name(owner, n))).collect()
}

#[test]
fn a_release_to_one_who_waited_for_many_locks_of_one_who_waited_for_many_took_seconds() {
    const MANY: usize = 800;
    let server = Server::start();
    let mut client = server.client();
    take(&mut client, each(0..MANY, "g-#", "g"));
    take(&mut client, each(0..MANY, "other-#", "owner-#"));
    client.grant("LOCK.ACQUIRE next first 600000");
    let mut next = wait(&server, [("next".to_owned(), "h".to_owned())]);
    let _after = wait(&server, [("next".to_owned(), "last".to_owned())]);
    let _h = wait(&server, each(0..MANY, "g-#", "h"));
    let _g = wait(&server, each(0..MANY, "other-#", "g"));
    let before = lookups(&mut client);
    let cpu = server.cpu();
    assert_eq!(client.run("LOCK.RELEASE next first"), "0");
    let took = server.cpu() - cpu;
    let after = lookups(&mut client);
    assert_eq!(next[0].grant()[..2], [1, 1]);
    // It looked each lock up once where it looked, and gave up in time.
    assert!(after - before <= STEPS / 10 + 5, "{}", after - before);
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(client.counter("deadlocks_refused"), 0);
}

#[test]
fn a_cycle_is_found_within_the_steps_that_a_command_may_take() {
    // The waits but the last one, and ten for each lock.
    const MOST: usize = (STEPS + 1) / 11;
    let server = Server::start();
    let mut client = server.client();
    take(&mut client, each(0..MOST + 1, "lock-#", "owner-#"));
    // Each waits for the next. The last ones come last, so that nobody has far to look.
    let chain = |n: usize| (format!("lock-{}", n + 1), format!("owner-{n}"));
    let _waiters = wait(&server, (1..MOST).map(chain));
    let close = |lock: usize| format!("LOCK.ACQUIRE lock-1 owner-{lock} 600000 WAIT 5");
    let refused = format!("DEADLOCK waiting for \"lock-1\" would close a cycle of {MOST} owners");
    assert_eq!(client.run(&close(MOST)), refused);
    // One more is beyond. That cycle ends by the time-out of its last wait.
    let _one_more = wait(&server, [("lock-0".to_owned(), format!("owner-{MOST}"))]);
    let before = lookups(&mut client);
    let late = client.grant("LOCK.ACQUIRE lock-1 owner-0 600000 WAIT 5");
    assert_eq!(late[0], 0);
    assert!(lookups(&mut client) - before <= STEPS / 10 + 5);
    assert_eq!(client.counter("deadlocks_refused"), 1);
}

#[test]
fn one_hand_over_that_closes_many_cycles_ends_all_of_them_by_and_by() {
    const MANY: usize = 700;
    let server = Server::start();
    let mut client = server.client();
    take(&mut client, each(0..MANY, "lock-#", "owner-#"));
    client.grant("LOCK.ACQUIRE next first 600000");
    let mut next = wait(&server, [("next".to_owned(), "h".to_owned())]);
    let _theirs = wait(&server, each(0..MANY, "next", "owner-#"));
    let mut refused = wait(&server, each(0..MANY, "lock-#", "h"));
    let cpu = server.cpu();
    client.run("LOCK.RELEASE next first");
    let took = server.cpu() - cpu;
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(next[0].grant()[..2], [1, 1]);
    for (n, waiter) in refused.iter_mut().enumerate() {
        let text = format!("DEADLOCK waiting for \"lock-{n}\" would close a cycle of 2 owners");
        assert_eq!(waiter.reply(), text);
    }
    assert_eq!(client.counter("deadlocks_refused"), MANY as u64);
    assert_eq!(client.counter("waiters"), MANY as u64);
    // The log is spared: ten lines for each go.
    let lines = server.log().matches("deadlock refused").count();
    assert!((10..=50).contains(&lines), "{lines}");
}

#[test]
fn however_often_an_owner_waits_for_one_lock_it_is_looked_at_once() {
    const MANY: usize = 700;
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE a one 600000");
    client.grant("LOCK.ACQUIRE b two 600000");
    client.grant("LOCK.ACQUIRE c other 600000");
    let mut first = wait(&server, [("c".to_owned(), "one".to_owned())]);
    let two = wait(&server, [("c".to_owned(), "two".to_owned())]);
    let mut refused = wait(&server, each(0..MANY, "b", "one"));
    let before = lookups(&mut client);
    let busy = client.grant("LOCK.ACQUIRE a last 600000 WAIT 5");
    assert_eq!(busy[0], 0);
    assert!(lookups(&mut client) - before <= 10);
    // When one gets c, all of its waits for b are part of a cycle, and younger than the other wait.
    client.run("LOCK.RELEASE c other");
    assert_eq!(first[0].grant()[..2], [1, 1]);
    for waiter in &mut refused {
        assert!(waiter.reply().starts_with("DEADLOCK"));
    }
    eventually("only two is left", || client.counter("waiters") == 1);
    assert!(!two[0].has_reply());
}

#[test]
fn a_cycle_was_left_that_a_hand_over_closed_after_others_had_used_up_the_search() {
    const CHAIN: usize = 300;
    const BEFORE: usize = 10;
    let server = Server::start();
    let mut client = server.client();
    // Each owner of the chain waits for the lock of the next one.
    take(&mut client, each(0..CHAIN, "chain-#", "link-#"));
    let chain = (1..CHAIN).map(|n| (format!("chain-{n}"), format!("link-{}", n - 1)));
    let _chain = wait(&server, chain);
    // The first in each of these queues waits for the chain, too: to search it takes a third of the steps.
    take(&mut client, each(0..BEFORE, "before-#", "holder"));
    let _first = wait(&server, each(0..BEFORE, "before-#", "first-#"));
    let _too = wait(&server, each(0..BEFORE, "chain-0", "first-#"));
    let _second = wait(&server, each(0..BEFORE, "before-#", "second-#"));
    client.grant("LOCK.ACQUIRE last holder 600000");
    client.grant("LOCK.ACQUIRE other two 600000");
    let mut one = Waiter::start(&server, "LOCK.ACQUIRE last one WAIT 0");
    let _older = Waiter::start(&server, "LOCK.ACQUIRE other one WAIT 0");
    let mut youngest = Waiter::start(&server, "LOCK.ACQUIRE last two WAIT 0");
    // All are handed over in one wakeup, by their names.
    let locks: Vec<String> = each(0..BEFORE, "before-#", "")
        .into_iter()
        .map(|(lock, _)| lock)
        .collect();
    client.run(&format!("DEL {} last", locks.join(" ")));
    assert_eq!(one.grant()[0], 1);
    let wanted = "DEADLOCK waiting for \"last\" would close a cycle of 2 owners";
    assert_eq!(youngest.reply(), wanted);
}
