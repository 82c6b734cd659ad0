//! What a client's write would meet holds for writes that no client sends: while the server refuses
//! them, nobody is granted a lock by timer or by a disconnect, and the line goes on when it is over.

mod check;
mod upheaval;

use crate::support::{eventually, mostly_within, Client, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// Ends the lease of `orders` in a while, at which it must not be acted on.
const END_SOON: &str = "PEXPIRE orders 300";

/// A server on which `me` holds the lock `orders`.
fn held(setup: Setup) -> (Server, Client) {
    let server = setup.start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    (server, client)
}

fn wait(server: &Server, owner: &str) -> Waiter {
    Waiter::start(
        server,
        &format!("LOCK.ACQUIRE orders {owner} 600000 WAIT 0"),
    )
}

/// One who gives up when the lease is over for long.
fn clock(server: &Server) -> Waiter {
    Waiter::start(server, "LOCK.ACQUIRE orders clock WAIT 3000")
}

/// Waits until the clock tells, and checks that the other one was granted nothing meanwhile.
fn assert_not_served(server: &Server, mut clock: Waiter, waiter: &Waiter) {
    assert_eq!(clock.grant(), [0; 4]);
    assert!(!waiter.has_arrived());
    assert_eq!(server.client().int("EXISTS orders"), 0);
}

fn assert_served(waiter: &mut Waiter, owner: &str) {
    assert_eq!(waiter.grant()[..2], [1, 1], "{owner}");
    assert_eq!(waiter.run(&format!("LOCK.ASSERT orders {owner}")), "OK");
}

/// Runs commands in one step.
fn transaction(client: &mut Client, lines: &[&str]) {
    client.run("MULTI");
    for line in lines {
        assert_eq!(client.run(line), "QUEUED");
    }
    let reply = client.run("EXEC");
    assert!(!reply.contains("ERR"), "{reply}");
}

#[test]
fn too_few_replicas_keep_the_lock_free_until_there_are_enough() {
    let (server, mut client) = held(Setup::new());
    let (mut waiter, clock) = (wait(&server, "you"), clock(&server));
    transaction(
        &mut client,
        &[END_SOON, "CONFIG SET min-replicas-to-write 1"],
    );
    assert_not_served(&server, clock, &waiter);
    assert_eq!(client.run("CONFIG SET min-replicas-to-write 0"), "OK");
    assert_served(&mut waiter, "you");
}

#[test]
fn a_replica_that_comes_lets_the_line_go_on() {
    let (server, mut client) = held(Setup::new());
    let (mut waiter, clock) = (wait(&server, "you"), clock(&server));
    transaction(
        &mut client,
        &[END_SOON, "CONFIG SET min-replicas-to-write 1"],
    );
    assert_not_served(&server, clock, &waiter);
    let replica = server.replica(Setup::without_module());
    assert_served(&mut waiter, "you");
    server.wait_for_replica(&replica);
    assert_eq!(replica.client().stored("orders"), client.stored("orders"));
}

#[test]
fn a_grant_to_a_client_that_is_gone_is_kept_while_there_are_too_few_replicas() {
    let (server, mut client) = held(Setup::new());
    let (gone, mut next) = (wait(&server, "gone"), wait(&server, "next"));
    let mut clock = clock(&server);
    let kill = format!("CLIENT KILL ID {}", gone.id());
    let refuse = "CONFIG SET min-replicas-to-write 1";
    transaction(&mut client, &["LOCK.RELEASE orders me", &kill, refuse]);
    assert_eq!(clock.grant()[0], 0);
    assert!(client.holder("orders").starts_with("gone 1 "));
    assert_eq!(client.run("CONFIG SET min-replicas-to-write 0"), "OK");
    assert_served(&mut next, "next");
}

#[test]
fn a_failing_disk_keeps_the_lock_free_until_it_works_again() {
    let setup = Setup::new().config("stop-writes-on-bgsave-error no");
    let (server, mut client) = held(setup.config("save 3600 1000000"));
    let (mut waiter, clock) = (wait(&server, "you"), clock(&server));
    // Nobody can write a file under the name of a folder, not even root.
    let file = server.dir().join("dump.rdb");
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("x"), "").unwrap();
    save(&mut client, "err");
    let stop_writes = "CONFIG SET stop-writes-on-bgsave-error yes";
    transaction(&mut client, &[END_SOON, stop_writes]);
    assert!(client.run("SET a b").starts_with("MISCONF "));
    assert_not_served(&server, clock, &waiter);
    std::fs::remove_dir_all(&file).unwrap();
    save(&mut client, "ok");
    assert_served(&mut waiter, "you");
}

fn save(client: &mut Client, outcome: &str) {
    client.run("BGSAVE");
    eventually("the save has ended", || {
        let info = client.run("INFO persistence");
        info.contains("rdb_bgsave_in_progress:0")
            && info.contains(&format!("rdb_last_bgsave_status:{outcome}"))
    });
}

#[test]
fn a_pause_of_writes_or_of_everything_delays_the_grant_to_its_end() {
    for what in ["WRITE", "ALL"] {
        let (server, mut client) = held(Setup::new());
        mostly_within(Duration::from_millis(300), || {
            let mut waiter = wait(&server, "you");
            let pause = format!("CLIENT PAUSE 600 {what}");
            let paused = Instant::now();
            transaction(&mut client, &[END_SOON, &pause]);
            let (reply, at) = waiter.reply_at();
            assert!(reply.starts_with("[1 1 "), "{reply}");
            assert_eq!(waiter.run("LOCK.RELEASE orders you"), "0");
            client.grant("LOCK.ACQUIRE orders me 600000");
            let after = (at - paused).checked_sub(Duration::from_millis(600));
            after.expect("it was granted in the pause")
        });
    }
}

#[test]
fn waits_end_during_a_pause_with_the_lock_held_lapsed_or_deleted() {
    for what in ["WRITE", "ALL"] {
        let (server, mut client) = held(Setup::new());
        client.grant("LOCK.ACQUIRE long me 600000");
        client.grant("LOCK.ACQUIRE deleted me 600000");
        let lines = ["orders", "long", "deleted"]
            .map(|lock| Waiter::start(&server, &format!("LOCK.ACQUIRE {lock} you WAIT 600")));
        let pause = format!("CLIENT PAUSE 1200 {what}");
        transaction(&mut client, &[END_SOON, "DEL deleted", &pause]);
        for mut waiter in lines {
            // What is deleted in the very step is free before the pause is looked at, or not.
            let [acquired, ..] = waiter.grant();
            assert!((0..=1).contains(&acquired));
            assert_eq!(waiter.run("PING"), "PONG");
        }
        assert_eq!(client.counter("waiters"), 0);
    }
}

#[test]
fn who_leaves_during_a_pause_is_passed_over_after_it() {
    for what in ["WRITE", "ALL"] {
        let (server, mut client) = held(Setup::new());
        let (closed, mut killed) = (wait(&server, "closed"), wait(&server, "killed"));
        let (mut unblocked, mut next) = (wait(&server, "unblocked"), wait(&server, "next"));
        // Long enough for the server to learn of who closes the connection.
        let pause = format!("CLIENT PAUSE 2500 {what}");
        let kill = format!("CLIENT KILL ID {}", killed.id());
        let unblock = format!("CLIENT UNBLOCK {}", unblocked.id());
        transaction(&mut client, &[END_SOON, &pause, &kill, &unblock]);
        closed.close();
        assert_eq!(killed.reply(), "closed");
        assert_eq!(unblocked.grant()[0], 0);
        assert_served(&mut next, "next");
    }
}

#[test]
fn a_grant_to_a_client_that_is_gone_passes_on_after_a_pause() {
    for what in ["WRITE", "ALL"] {
        let (server, mut client) = held(Setup::new());
        let gone = wait(&server, "gone");
        let mut next = wait(&server, "next");
        let kill = format!("CLIENT KILL ID {}", gone.id());
        let pause = format!("CLIENT PAUSE 500 {what}");
        let paused = Instant::now();
        transaction(&mut client, &["LOCK.RELEASE orders me", &kill, &pause]);
        let (reply, at) = next.reply_at();
        assert!(reply.starts_with("[1 1 "), "{reply}");
        assert!(at - paused >= Duration::from_millis(500));
        assert_eq!(next.run("LOCK.ASSERT orders next"), "OK");
    }
}

#[test]
fn the_end_of_a_pause_by_hand_lets_the_line_go_on() {
    let (server, mut client) = held(Setup::new());
    let mut waiter = wait(&server, "you");
    transaction(&mut client, &[END_SOON, "CLIENT PAUSE 600000 WRITE"]);
    eventually("the lease has ended", || client.int("EXISTS orders") == 0);
    assert!(!waiter.has_reply());
    assert_eq!(client.run("CLIENT UNPAUSE"), "OK");
    assert_served(&mut waiter, "you");
}
