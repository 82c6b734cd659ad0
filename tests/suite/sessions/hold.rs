//! `lock.max-hold`: a session of a process that hangs does not last for ever.

use super::{eventually, holder, is_closed, told, wait, worker};
use crate::support::{send_signal, Journal, Server, Setup};
use std::thread::spawn;

/// How long a hold may last in most tests here, in ms: longer than the shortest ttl of a session.
const HOLD: i64 = 4000;

fn setup(more: &str) -> Setup {
    Setup::new().module_args(&format!("max-hold {HOLD} {more}"))
}

/// When the hold that begins with this token has to be over, in microseconds.
fn end(token: i64) -> i64 {
    token + HOLD * 1000
}

/// How many clients are connected but the one that asks.
fn others(server: &Server) -> usize {
    let list = server.client().run("CLIENT LIST TYPE normal");
    list.lines().filter(|line| !line.is_empty()).count() - 1
}

#[test]
fn the_lock_of_a_worker_that_is_stopped_is_the_next_ones_when_it_has_held_it_for_too_long() {
    let stories = ["", "session-loss ignore"]
        .map(|loss| [1000, 60_000].map(|ttl| spawn(move || worker_that_is_stopped(loss, ttl))));
    for story in stories.into_iter().flatten() {
        story.join().unwrap();
    }
}

fn worker_that_is_stopped(loss: &str, ttl: u32) {
    let server = setup(loss).start();
    let mut worker = worker(&server, ttl);
    send_signal(worker.id(), libc::SIGSTOP);
    let mut other = server.client();
    let held: i64 = told(&mut other, "token").parse().unwrap();
    let mut next = wait(&server, "next");
    let [acquired, holds, token, _] = next.grant();
    assert_eq!([acquired, holds], [1, 1]);
    // A token is the time of its grant.
    assert!(token >= end(held), "{loss} {ttl}: {}", token - held);
    assert_eq!(told(&mut other, "owner"), "next");
    assert_eq!(other.counter("sessions_lost"), 1, "{loss}");
    assert_eq!(other.counter("sessions_ended"), 0, "{loss}");
    assert_eq!(other.counter("sessions"), 0, "{loss}");
    drop(next);
    eventually("the worker's connection is closed", || others(&server) == 1);
    let text = "\"worker\" no longer holds \"orders\" (db 0): lock.max-hold has passed";
    assert!(server.log().contains(text), "{}", server.log());
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn a_session_that_nobody_waits_for_ends_too() {
    // The second is not to be renewed before the end of the hold, and the server tells of no expiry.
    for (ttl, loss) in [(1000, ""), (600_000, ""), (1000, "session-loss ignore")] {
        let server = setup(loss).start();
        let mut other = server.client();
        other.run("DEBUG SET-ACTIVE-EXPIRE 0");
        let mut client = holder(&server, ttl);
        eventually("the session is over", || other.counter("sessions") == 0);
        assert_eq!(other.counter("sessions_lost"), 1);
        assert!(is_closed(&mut client));
        assert_eq!(other.run("LOCK.INFO orders"), "nil");
        assert_eq!(other.counter("sessions_renewed") > 0, ttl == 1000);
    }
}

#[test]
fn no_renewal_writes_a_deadline_after_the_end_of_the_hold() {
    // A server that stands still meanwhile, on a busy machine, may miss the last renewals.
    let is_renewed_to_the_end = (0..5).any(|_| last_deadline_is_that_of_the_hold());
    assert!(is_renewed_to_the_end);
}

fn last_deadline_is_that_of_the_hold() -> bool {
    let server = setup("").start();
    let mut journal = Journal::of_replication(&server);
    let _client = holder(&server, 1000);
    let mut other = server.client();
    let held: i64 = told(&mut other, "token").parse().unwrap();
    let latest = (end(held) + 999) / 1000;
    eventually("the session is over", || other.counter("sessions") == 0);
    let written = journal.read(&mut other).join("; ");
    let deadlines = written.split("PEXPIREAT orders ").skip(1);
    let deadlines = deadlines.map(|rest| rest.split([';', ' ']).next().unwrap().parse::<i64>());
    let last = deadlines.map(Result::unwrap).max();
    assert!(last <= Some(latest), "{latest}: {written}");
    last == Some(latest)
}

#[test]
fn each_hold_is_bound_and_not_the_connection() {
    let server = Setup::new().module_args("max-hold 600000").start();
    let mut client = server.client();
    let mut last = 0;
    for _ in 0..5 {
        let [_, _, token, _] = client.grant("LOCK.ACQUIRE orders me 900000 SESSION");
        let deadline = client.deadline("orders").unwrap();
        assert_eq!(deadline, (token + 999) / 1000 + 600_000);
        eventually("some time passes", || client.clock() * 1000 > token + 2000);
        assert!(deadline > last);
        last = deadline;
        assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    }
}

#[test]
fn a_lease_that_ran_out_after_the_end_of_its_hold_is_not_written_again() {
    let server = setup("").start();
    let mut client = holder(&server, 1000);
    let held: i64 = told(&mut client, "token").parse().unwrap();
    let mut next = wait(&server, "next");
    server.signal(libc::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(HOLD as u64 + 200));
    server.signal(libc::SIGCONT);
    let [acquired, _, token, _] = next.grant();
    assert_eq!(acquired, 1);
    assert!(token >= end(held));
    assert!(is_closed(&mut client));
    assert_eq!(server.client().counter("sessions_lost"), 1);
}

#[test]
fn what_lingers_ends_with_its_hold_at_the_latest() {
    let server = setup("").start();
    let mut client = server.client();
    let [_, _, token, _] = client.grant("LOCK.ACQUIRE orders me 1000 SESSION LINGER 60000");
    let mut other = server.client();
    drop(client);
    eventually("the session has ended", || {
        other.counter("sessions_ended") == 1
    });
    assert_eq!(other.deadline("orders"), Some((end(token) + 999) / 1000));
    assert_eq!(other.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn a_pause_in_which_the_hold_ends_closes_the_connection_and_frees_the_lock_after_it() {
    for loss in ["", "session-loss ignore"] {
        let server = setup(loss).start();
        let mut client = holder(&server, 1000);
        let mut next = wait(&server, "next");
        let mut other = server.client();
        other.run(&format!("CLIENT PAUSE {} WRITE", HOLD + 1500));
        eventually("the session is over", || other.counter("sessions") == 0);
        assert!(is_closed(&mut client), "{loss}");
        assert_eq!(other.counter("sessions_lost"), 1, "{loss}");
        assert_eq!(next.grant()[..2], [1, 1], "{loss}");
    }
}

#[test]
fn a_master_that_is_short_of_replicas_closes_the_connection_at_the_end_of_the_hold() {
    for loss in ["", "session-loss ignore"] {
        let server = setup(loss).start();
        let mut client = holder(&server, 60_000);
        let mut other = server.client();
        other.run("CONFIG SET min-replicas-to-write 1");
        eventually("the session is over", || other.counter("sessions") == 0);
        assert!(is_closed(&mut client), "{loss}");
        assert_eq!(other.counter("sessions_lost"), 1, "{loss}");
    }
}
