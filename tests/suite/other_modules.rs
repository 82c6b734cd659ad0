//! Locks beside another module (`tests/bare_block`), which calls commands, also while it is told of a key that a lock has
//! just changed.

use crate::support::{eventually, Client, Server, Setup, Waiter};
use std::path::PathBuf;
use std::process::Command;

/// The other module. Built here where `cargo test --test suite` alone has not: into a directory of its own, since cargo
/// may choose other features than those of this run, and would take the module away from the other tests.
fn other_module() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // target/debug/deps/suite-...
    let profile = this.ancestors().nth(2).unwrap();
    let built = profile.join("examples/libbare_block.so");
    if built.exists() {
        return built;
    }
    let target = profile.parent().unwrap().join("bare");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "bare_block"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "it is not built"
    );
    target.join("debug/examples/libbare_block.so")
}

fn start() -> (Server, Client) {
    let server = Setup::new()
        .config(&format!("loadmodule {}", other_module().display()))
        .start();
    let client = server.client();
    (server, client)
}

/// One owner holds the lock `orders`, and this one waits for it.
fn one_waits(server: &Server, client: &mut Client) -> Waiter {
    client.grant("LOCK.ACQUIRE orders me 60000");
    Waiter::start(server, "LOCK.ACQUIRE orders you 60000 WAIT 0")
}

/// The first line of what the other module was replied in a key event.
fn replied(server: &Server) -> String {
    const BEFORE: &str = "in a key event: ";
    let mut found = None;
    eventually("it called", || {
        let log = server.log();
        found = log
            .lines()
            .find_map(|line| Some(line.split_once(BEFORE)?.1.to_owned()));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn another_module_that_calls_the_command_is_answered_at_once() {
    let (_server, mut client) = start();
    client.grant("LOCK.ACQUIRE orders me 600000");
    let busy = client.grant("BARE.CALL LOCK.ACQUIRE orders you WAIT 0");
    assert_eq!(busy[..3], [0; 3]);
    assert_eq!(client.counter("waits_started"), 0);
    let refused = client.run("BARE.CALL LOCK.ACQUIRE orders me 60000 SESSION");
    assert!(
        refused.starts_with("ERR SESSION needs a connection"),
        "{refused}"
    );
    // It has no user that could be asked what it may see.
    let lines = client.run("BARE.CALL LOCK.LINES COUNT 10");
    assert_eq!(lines, "[]");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn a_lock_command_in_a_key_event_of_another_one_is_refused() {
    let (server, mut client) = start();
    client.run("BARE.ONEVENT LOCK.ACQUIRE orders you 60000");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 60000")[..2], [1, 1]);
    let refused = "-ERR a LOCK command cannot be called in a key event of another one";
    assert_eq!(replied(&server), refused);
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
}

#[test]
fn a_waiter_that_another_module_unblocked_in_a_key_event_stayed_in_its_queue() {
    let (server, mut client) = start();
    let mut waiter = one_waits(&server, &mut client);
    client.run(&format!("BARE.ONEVENT CLIENT UNBLOCK {}", waiter.id()));
    client.grant("LOCK.ACQUIRE invoices me 60000");
    assert_eq!(replied(&server), ":1");
    assert_eq!(waiter.grant()[..2], [0, 0]);
    assert_eq!(client.counter("waiters"), 0);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(client.run("LOCK.INFO orders"), "nil");
    assert_eq!(waiter.run("PING"), "PONG");
}

#[test]
fn a_waiter_that_another_module_let_go_in_the_event_of_its_own_grant_was_unblocked_twice() {
    for (how, heard) in [
        ("CLIENT UNBLOCK", "[0 0 0"),
        ("CLIENT UNBLOCK ERROR", "UNBLOCKED"),
        ("CLIENT KILL ID", "closed"),
    ] {
        let (server, mut client) = start();
        let mut waiter = one_waits(&server, &mut client);
        let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
        let (how, more) = how
            .strip_suffix(" ERROR")
            .map_or((how, ""), |how| (how, " ERROR"));
        client.run(&format!("BARE.ONEVENT {how} {}{more}", waiter.id()));
        assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
        assert_eq!(replied(&server), ":1");
        let reply = waiter.reply();
        assert!(reply.starts_with(heard), "{how}: {reply}");
        assert_eq!(next.grant()[..2], [1, 1], "{how}");
        assert_eq!(client.run("LOCK.ASSERT orders next"), "OK");
        // The server counts who waits.
        assert_eq!(client.info("clients", "blocked_clients").unwrap(), "0");
        client.run("LOCK.RELEASE orders next");
        let mut again = one_waits(&server, &mut client);
        client.run("LOCK.RELEASE orders me");
        assert_eq!(again.grant()[..2], [1, 1], "{how}");
        server.assert_sound();
    }
}

#[test]
fn a_lock_that_another_module_deletes_in_the_event_of_its_acquire_is_free() {
    let (server, mut client) = start();
    client.run("BARE.ONEVENT DEL orders");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 60000")[..2], [1, 1]);
    assert_eq!(replied(&server), ":1");
    assert_eq!(client.run("EXISTS orders"), "0");
    assert_eq!(client.grant("LOCK.ACQUIRE orders you 60000")[..2], [1, 1]);
}

#[test]
fn a_hand_over_wrote_the_lease_of_a_key_that_another_module_had_deleted_in_its_event() {
    let (server, mut client) = start();
    let mut waiter = one_waits(&server, &mut client);
    client.run("BARE.ONEVENT DEL orders");
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(waiter.grant()[..2], [1, 1]);
    assert_eq!(replied(&server), ":1");
    assert_eq!(client.run("EXISTS orders"), "0");
    assert_eq!(client.grant("LOCK.ACQUIRE orders they 60000")[..2], [1, 1]);
}

#[test]
fn a_session_whose_lock_another_module_deleted_in_the_event_of_its_acquire_was_not_told() {
    let (server, mut client) = start();
    // From the first session on the engine minds changes of keys.
    client.grant("LOCK.ACQUIRE invoices me 60000 SESSION");
    client.run("BARE.ONEVENT DEL orders");
    let mut holder = Waiter::begin(&server, &[], "LOCK.ACQUIRE orders you 60000 SESSION");
    assert_eq!(holder.grant()[..2], [1, 1]);
    assert_eq!(replied(&server), ":1");
    assert_eq!(holder.value(), None, "its connection is open");
    assert_eq!(client.counter("sessions_lost"), 1);
}

#[test]
fn those_who_wait_for_a_lock_that_another_module_deleted_in_its_own_event_waited_for_its_lease() {
    let (server, mut client) = start();
    let mut waiter = one_waits(&server, &mut client);
    client.run("BARE.ONEVENT DEL orders");
    client.run("LOCK.RENEW orders me 90000");
    assert_eq!(replied(&server), ":1");
    assert_eq!(waiter.grant()[..2], [1, 1]);
}

#[test]
fn settings_that_another_module_read_in_a_key_event_were_0_and_could_not_be_changed() {
    let (server, mut client) = start();
    client.run("CONFIG SET lock.max-ttl 90000");
    client.run("BARE.ONEVENT CONFIG GET lock.max-ttl");
    client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(replied(&server), "*2");
    let log = server.log();
    assert!(log.contains("$5\r\n90000"), "{log}");

    let (server, mut client) = start();
    client.run("BARE.ONEVENT CONFIG SET lock.max-ttl 90000");
    client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(replied(&server), "+OK");
    assert_eq!(
        client.run("CONFIG GET lock.max-ttl"),
        "[lock.max-ttl 90000]"
    );
    let refused = client.run("LOCK.ACQUIRE orders me 90001");
    assert!(refused.starts_with("ERR "), "{refused}");
}
