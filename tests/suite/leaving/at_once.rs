//! Two things in one turn of the server's event loop: a grant, and an end of the wait.

use super::{assert_free, assert_nobody_waits, assert_served, held, wait};
use crate::support::{eventually, show, Client, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// How commands come to be run in one turn.
const TURNS: [fn(&mut Client, &[String]); 2] = [transaction, pipeline];

fn transaction(client: &mut Client, lines: &[String]) {
    assert_eq!(client.run("MULTI"), "OK");
    for line in lines {
        assert_eq!(client.run(line), "QUEUED");
    }
    client.run("EXEC");
}

fn pipeline(client: &mut Client, lines: &[String]) {
    client.at_once(lines);
}

/// What frees the lock.
const FREED: [&str; 3] = [
    "LOCK.RELEASE orders me",
    "LOCK.FORCERELEASE orders",
    "DEL orders",
];

/// Runs a test with everything that frees the lock together with a way out, in either order, as a
/// transaction and as a pipeline.
fn at_once(way_out: impl Fn(&Waiter) -> String, test: impl Fn(&Server, Waiter, Waiter)) {
    let (server, mut client) = held();
    for turn in TURNS {
        for freed in FREED {
            for grant_first in [true, false] {
                client.run("ACL SETUSER bob on nopass ~* &* +@all");
                let line = "LOCK.ACQUIRE orders you 600000 WAIT 0";
                let waiter = Waiter::start_after(&server, &["AUTH bob x"], line);
                let next = wait(&server, "next");
                let mut lines = [freed.to_owned(), way_out(&waiter)];
                if !grant_first {
                    lines.reverse();
                }
                eprintln!("{lines:?}");
                turn(&mut client, &lines);
                test(&server, waiter, next);
                client.run("LOCK.FORCERELEASE orders");
                assert_free(&server);
                client.run("LOCK.FORCERELEASE orders");
                client.grant("LOCK.ACQUIRE orders me 600000");
            }
        }
    }
}

/// Checks that this waiter got one reply, which says whether it has the lock, and that the next one
/// gets it then.
fn assert_one_reply(mut waiter: Waiter, mut next: Waiter, without: &str) {
    let reply = waiter.reply();
    assert_eq!(waiter.run("PING"), "PONG");
    if reply.starts_with("[1 1 ") {
        assert_eq!(waiter.run("LOCK.RELEASE orders you"), "0");
    } else {
        assert!(reply.starts_with(without), "{reply}");
    }
    assert_served(&mut next, "next");
}

#[test]
fn a_timeout_by_client_unblock_and_a_grant_at_once_give_one_reply() {
    at_once(
        |waiter| format!("CLIENT UNBLOCK {} TIMEOUT", waiter.id()),
        |_, waiter, next| assert_one_reply(waiter, next, "[0 0 0 "),
    );
}

#[test]
fn an_error_by_client_unblock_and_a_grant_at_once_give_one_reply() {
    at_once(
        |waiter| format!("CLIENT UNBLOCK {} ERROR", waiter.id()),
        |_, waiter, next| assert_one_reply(waiter, next, "UNBLOCKED "),
    );
}

#[test]
fn a_lock_granted_to_a_client_that_is_killed_at_once_goes_to_the_next() {
    at_once(
        |waiter| format!("CLIENT KILL ID {}", waiter.id()),
        |_, mut waiter, mut next| {
            assert_eq!(waiter.reply(), "closed");
            assert_served(&mut next, "next");
        },
    );
}

#[test]
fn a_lock_granted_to_a_client_that_the_server_is_about_to_close_goes_to_the_next() {
    at_once(
        |_| "ACL DELUSER bob".to_owned(),
        |_, mut waiter, mut next| {
            assert_eq!(waiter.reply(), "closed");
            assert_served(&mut next, "next");
        },
    );
}

#[test]
fn a_lock_granted_to_a_client_that_is_gone_is_free_where_nobody_is_next() {
    let (server, mut client) = held();
    for turn in TURNS {
        let waiter = wait(&server, "you");
        let kill = format!("CLIENT KILL ID {}", waiter.id());
        turn(&mut client, &["LOCK.RELEASE orders me".to_owned(), kill]);
        assert_free(&server);
        client.run("LOCK.FORCERELEASE orders");
        client.grant("LOCK.ACQUIRE orders me 600000");
    }
}

#[test]
fn a_lock_granted_to_many_clients_that_are_gone_goes_to_the_first_who_is_there() {
    let (server, mut client) = held();
    let gone: Vec<_> = (0..50).map(|n| wait(&server, &format!("o{n}"))).collect();
    let mut next = wait(&server, "next");
    let mut lines = vec!["LOCK.RELEASE orders me".to_owned()];
    lines.extend(gone.iter().map(|w| format!("CLIENT KILL ID {}", w.id())));
    transaction(&mut client, &lines);
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn only_what_the_lost_call_added_is_undone_when_one_of_two_calls_of_an_owner_is_gone() {
    for (options, left) in [("", "2"), ("HOLDS 1", "1")] {
        let (server, mut client) = held();
        let line = format!("LOCK.ACQUIRE orders you 600000 WAIT 0 {options}");
        let mut waiters = [(); 3].map(|()| Waiter::start(&server, &line));
        // With HOLDS the second and third call are repeats of the first.
        if !options.is_empty() {
            assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
            for waiter in &mut waiters {
                assert_eq!(waiter.grant()[..2], [1, 1]);
            }
            client.run("LOCK.RELEASE orders you");
            client.grant("LOCK.ACQUIRE orders me 600000");
            waiters = [(); 3].map(|()| Waiter::start(&server, &line));
        }
        let kill = format!("CLIENT KILL ID {}", waiters[1].id());
        transaction(&mut client, &["LOCK.RELEASE orders me".to_owned(), kill]);
        assert_eq!(waiters[0].grant()[0], 1);
        assert_eq!(waiters[1].reply(), "closed");
        assert_eq!(waiters[2].grant()[0], 1);
        let wanted = format!("you {left} ");
        eventually("what was lost is undone, and no more", || {
            client.holder("orders").starts_with(&wanted)
        });
        assert_nobody_waits(&mut client);
    }
}

/// A connection of the holder's that has sent nothing yet.
fn holder(server: &Server) -> Waiter {
    let mut holder = Waiter::start(server, "PING");
    assert_eq!(holder.reply(), "PONG");
    holder
}

#[test]
fn a_lock_granted_to_a_client_whose_socket_closes_right_after_goes_to_the_next() {
    let (server, mut client) = held();
    let (gone, mut next) = (wait(&server, "gone"), wait(&server, "next"));
    let mut holder = holder(&server);
    server.stand_still(|| {
        holder.send("LOCK.RELEASE orders me");
        holder.until_arrived();
        gone.hang_up();
    });
    assert_eq!(holder.reply(), "0");
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn a_lock_granted_to_a_client_whose_socket_closed_just_before_goes_to_the_next() {
    let (server, mut client) = held();
    let (gone, mut next) = (wait(&server, "gone"), wait(&server, "next"));
    let mut holder = holder(&server);
    server.stand_still(|| {
        gone.hang_up();
        holder.send("LOCK.RELEASE orders me");
        holder.until_arrived();
    });
    assert_eq!(holder.reply(), "0");
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn a_timeout_and_a_release_at_once_give_one_reply() {
    let (server, mut client) = held();
    let line = "LOCK.ACQUIRE orders you 600000 WAIT 1000";
    let began = Instant::now();
    let mut waiter = Waiter::start(&server, line);
    let mut next = wait(&server, "next");
    server.stand_still(|| {
        client.forget("LOCK.RELEASE orders me");
        // Its time is up when the server goes on.
        let ends = began + Duration::from_millis(1100);
        std::thread::sleep(ends.saturating_duration_since(Instant::now()));
    });
    client.raw.recv_response().unwrap();
    let reply = waiter.reply();
    assert_eq!(waiter.run("PING"), "PONG");
    match reply.starts_with("[1 1 ") {
        true => assert_eq!(waiter.run("LOCK.RELEASE orders you"), "0"),
        false => assert!(reply.starts_with("[0 0 0 "), "{reply}"),
    }
    assert_served(&mut next, "next");
    assert_nobody_waits(&mut client);
}

#[test]
fn waits_that_end_with_the_lease_are_answered_once_and_one_owner_at_most_has_the_lock() {
    let (server, mut client) = held();
    let line = |n: u32| format!("LOCK.ACQUIRE orders o{n} 600000 WAIT 300");
    let mut waiters: Vec<_> = (0..30)
        .map(|n| Waiter::begin(&server, &[], &line(n)))
        .collect();
    client.grant("LOCK.RENEW orders me 300");
    let mut granted = 0;
    for waiter in &mut waiters {
        granted += waiter.grant()[0];
        assert_eq!(waiter.run("PING"), "PONG");
    }
    assert!(granted <= 1, "{granted}");
    assert_nobody_waits(&mut client);
}

#[test]
fn a_client_unblock_that_was_queued_before_the_wait_began_gives_one_reply_too() {
    for (how, without) in [("TIMEOUT", "[0 0 0 "), ("ERROR", "UNBLOCKED ")] {
        let (server, mut client) = held();
        let mut waiter = Waiter::start(&server, "PING");
        assert_eq!(waiter.reply(), "PONG");
        let unblock = format!("CLIENT UNBLOCK {} {how}", waiter.id());
        for line in ["MULTI", "LOCK.RELEASE orders me", &unblock] {
            client.run(line);
        }
        waiter.send("LOCK.ACQUIRE orders you 600000 WAIT 0");
        server.until_waiting(1);
        let next = wait(&server, "next");
        client.run("EXEC");
        assert_one_reply(waiter, next, without);
    }
}

#[test]
fn a_client_unblock_by_another_name_and_a_grant_at_once_give_one_reply() {
    let server = Setup::new().config("rename-command CLIENT PERSON").start();
    let mut client = server.client();
    for (how, without) in [("TIMEOUT", "[0 0 0 "), ("ERROR", "UNBLOCKED ")] {
        client.grant("LOCK.ACQUIRE orders me 600000");
        let mut waiter = server.client();
        let unblock = format!("PERSON UNBLOCK {} {how}", waiter.int("PERSON ID"));
        waiter.forget("LOCK.ACQUIRE orders you 600000 WAIT 0");
        server.until_waiting(1);
        transaction(&mut client, &["LOCK.RELEASE orders me".to_owned(), unblock]);
        let reply = waiter.raw.recv_response();
        let reply = reply.map_or_else(|error| error.to_string(), |value| show(&value));
        assert_eq!(waiter.run("PING"), "PONG");
        if reply.starts_with("[1 1 ") {
            assert_eq!(waiter.run("LOCK.RELEASE orders you"), "0");
        } else {
            assert!(reply.starts_with(without), "{reply}");
        }
        assert_nobody_waits(&mut client);
        eventually("the lock is free", || client.holder("orders") == "free");
    }
}

#[test]
fn an_earlier_client_unblock_changes_nothing_for_a_client_that_is_killed_later() {
    for turn in TURNS {
        let (server, mut client) = held();
        let mut next = wait(&server, "next");
        let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE other you 600000 WAIT 0");
        assert_eq!(waiter.grant()[0], 1);
        let unblock = format!("CLIENT UNBLOCK {} TIMEOUT", waiter.id());
        assert_eq!(client.int(&unblock), 0);
        client.grant("LOCK.ACQUIRE fast me 600000");
        waiter.send("LOCK.ACQUIRE fast you 600000 WAIT 0");
        server.until_waiting(2);
        let kill = format!("CLIENT KILL ID {}", waiter.id());
        turn(&mut client, &["LOCK.RELEASE fast me".to_owned(), kill]);
        eventually("the lock is free again", || client.holder("fast") == "free");
        client.run("LOCK.RELEASE orders me");
        assert_served(&mut next, "next");
    }
}
