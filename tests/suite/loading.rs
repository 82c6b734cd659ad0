//! Loading the module: its arguments, the server's configuration file, warnings, and unloading.

use crate::support::{module, skip, Client, Listener, Server, Setup, Waiter};
use std::process::Command;

/// The log of a server that must not start.
fn log_of_refusal(setup: Setup) -> String {
    match setup.try_start() {
        Ok(_) => panic!("the server started"),
        Err(log) => log,
    }
}

#[test]
fn a_server_older_than_7_0_refuses_the_module_in_a_line_that_says_why() {
    let Some(old) = std::env::var_os("LOCK_TEST_OLD_SERVER") else {
        return skip("LOCK_TEST_OLD_SERVER names no older server");
    };
    let dir = tempfile::TempDir::new().unwrap();
    let ended = Command::new(old)
        .args([
            "--port",
            "0",
            "--unixsocket",
            "socket",
            "--save",
            "",
            "--dir",
        ])
        .arg(dir.path())
        .arg("--loadmodule")
        .arg(module())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ended.stdout);
    assert!(!ended.status.success(), "{log}");
    let said: Vec<&str> = log.lines().filter(|line| line.contains("<lock>")).collect();
    assert!(
        matches!(said[..], [line] if line.contains("needs Redis 7.0 or newer")),
        "{log}"
    );
}

/// A setup that lets clients load modules.
fn loadable(setup: Setup) -> Setup {
    setup.config("enable-module-command yes")
}

fn load(client: &mut Client, args: &str) -> String {
    client.run(&format!("MODULE LOAD {} {args}", module().display()))
}

#[test]
fn module_arguments_set_the_settings() {
    let server = Setup::new()
        .module_args("DEFAULT-TTL 10000 max-ttl 60000 Notify publish channel-prefix shop")
        .start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[3], 10_000);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(
        listener.next(),
        ("shop:{orders}".to_owned(), "0".to_owned())
    );
    let refused = client.run("LOCK.ACQUIRE orders me 60001");
    assert!(refused.contains("60000"), "{refused}");
    assert_eq!(
        client.run("CONFIG GET lock.default-ttl"),
        "[lock.default-ttl 10000]"
    );
}

#[test]
fn module_arguments_can_turn_the_unlock_messages_off() {
    let server = Setup::new().module_args("notify off").start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    client.run("LOCK.ACQUIRE orders me");
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    listener.assert_quiet();
}

#[test]
fn a_longest_lease_needs_no_shorter_default_to_load() {
    let server = Setup::new().module_args("max-ttl 10000").start();
    let [.., ttl] = server.client().grant("LOCK.ACQUIRE orders me");
    assert_eq!(ttl, 10_000);
}

#[test]
fn a_bad_module_argument_keeps_the_server_from_starting_and_the_log_says_why() {
    let range = "must be a whole number from 1 to 9007199254740991, not";
    let long = "x".repeat(513);
    for (args, line) in [
        ("default-ttl", "\"default-ttl\" needs a value"),
        ("max-ttl 9 default-ttl", "\"default-ttl\" needs a value"),
        ("default-ttl 0", &format!("default-ttl {range} \"0\"")),
        ("default-ttl -5", &format!("default-ttl {range} \"-5\"")),
        ("default-ttl soon", &format!("default-ttl {range} \"soon\"")),
        (
            "default-ttl 9007199254740992",
            &format!("default-ttl {range} \"9007199254740992\""),
        ),
        (
            "max-ttl -1",
            "max-ttl must be a whole number from 0 to 9007199254740991, not \"-1\"",
        ),
        (
            "notify loud",
            "notify must be auto, publish, spublish or off, not \"loud\"",
        ),
        (
            &format!("channel-prefix {long}"),
            "channel-prefix must be 1 to 512 bytes long, not 513",
        ),
        ("lease 5000", "unknown argument \"lease\""),
        (
            "lock.default-ttl 5000",
            "unknown argument \"lock.default-ttl\"",
        ),
        ("%s%n %s%n", "unknown argument \"%s%n\""),
        (
            "max-hold 999",
            "max-hold must be 0 or a whole number from 1000 to 9007199254740991, not \"999\"",
        ),
    ] {
        let log = log_of_refusal(Setup::new().module_args(args));
        assert!(log.contains(&format!("<lock> {line}")), "{args}:\n{log}");
    }
}

#[test]
fn the_configuration_file_sets_the_settings_and_wins_over_the_arguments() {
    let server = Setup::new()
        .module_args("default-ttl 10000 max-ttl 60000")
        .config("lock.default-ttl 5000")
        .config("lock.channel-prefix \"two words\"")
        .start();
    let mut client = server.client();
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[3], 5000);
    assert!(client
        .run("LOCK.RENEW orders me 60001")
        .contains("60000 (lock.max-ttl)"));
    let mut listener = Listener::psubscribe(&server, "*");
    client.run("LOCK.RELEASE orders me");
    assert_eq!(listener.next().0, "two words:{orders}");
}

#[test]
fn a_bad_line_in_the_configuration_file_keeps_the_server_from_starting() {
    for (line, why) in [
        (
            "lock.default-ttl 0",
            "lock.default-ttl : argument must be between 1 and",
        ),
        ("lock.notify loud", "auto, publish, spublish, off"),
        ("lock.channel-prefix \"\"", "1 to 512 bytes long, not 0"),
        (
            "lock.max-hold 999",
            "max-hold must be 0 or a whole number from 1000 to 9007199254740991, not 999",
        ),
        ("lock.lease 5000", "odule Configuration"),
    ] {
        let log = log_of_refusal(Setup::new().config(line));
        assert!(log.contains(why), "{line}:\n{log}");
    }
}

#[test]
fn settings_in_the_file_are_taken_in_any_order() {
    let lines = ["lock.max-ttl 100", "lock.default-ttl 100"];
    for (first, second) in [(0, 1), (1, 0)] {
        let setup = Setup::new().config(lines[first]).config(lines[second]);
        let server = setup.start();
        assert_eq!(server.client().grant("LOCK.ACQUIRE orders me")[3], 100);
    }
}

#[test]
fn a_policy_that_may_evict_locks_is_warned_of_by_its_name() {
    for policy in ["allkeys-lru", "volatile-ttl", "volatile-random"] {
        let setup = Setup::new().config(&format!("maxmemory-policy {policy}"));
        let log = setup.start().log();
        let warning = format!("<lock> maxmemory-policy is {policy}: ");
        assert!(log.contains(&warning), "{log}");
        assert!(log.contains("set maxmemory-policy noeviction"), "{log}");
    }
    for setup in [
        Setup::new(),
        Setup::new().config("maxmemory-policy noeviction"),
    ] {
        let log = setup.start().log();
        assert!(!log.contains("maxmemory-policy"), "{log}");
    }
}

#[test]
fn a_timeout_that_closes_idle_holders_is_warned_of_at_load_and_when_it_is_set() {
    let warning = |seconds| format!("<lock> timeout is {seconds}: ");
    let log = Setup::new().config("timeout 300").start().log();
    assert!(log.contains(&warning(300)), "{log}");
    let server = Server::start();
    assert!(!server.log().contains("timeout is"), "{}", server.log());
    let mut client = server.client();
    assert_eq!(client.run("CONFIG SET timeout 60"), "OK");
    assert!(server.log().contains(&warning(60)), "{}", server.log());
    assert_eq!(client.run("CONFIG SET timeout 0"), "OK");
    assert!(!server.log().contains(&warning(0)), "{}", server.log());
    assert_eq!(client.run("CONFIG SET maxmemory-policy allkeys-lru"), "OK");
    let log = server.log();
    assert!(
        log.contains("<lock> maxmemory-policy is allkeys-lru: "),
        "{log}"
    );
}

#[test]
fn a_server_that_has_renamed_what_locks_are_propagated_as_does_not_load_the_module() {
    for name in ["HSET", "DEL", "PEXPIREAT"] {
        for other in ["\"\"", "hidden"] {
            let setup = Setup::new().config(&format!("rename-command {name} {other}"));
            let log = log_of_refusal(setup);
            let why = format!("<lock> the server has renamed {name}: ");
            assert!(log.contains(&why), "{log}");
        }
    }
    let server = Setup::new().config("rename-command CLIENT hidden").start();
    let log = server.log();
    assert!(
        log.contains("<lock> the server has renamed CLIENT: "),
        "{log}"
    );
}

#[test]
fn a_module_whose_last_session_or_wait_has_ended_is_unloaded_at_once() {
    let server = loadable(Setup::new()).start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 60000 SESSION");
    assert!(client.run("MODULE UNLOAD lock").starts_with("ERR "));
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(client.run("MODULE UNLOAD lock"), "OK");

    assert_eq!(load(&mut client, ""), "OK");
    client.grant("LOCK.ACQUIRE orders me 60000");
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 60000 WAIT 600000");
    assert!(client.run("MODULE UNLOAD lock").starts_with("ERR "));
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(waiter.grant()[..2], [1, 1]);
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 600000");
    let unblock = format!("CLIENT UNBLOCK {}", next.id());
    assert_eq!(client.run(&unblock), "1");
    assert_eq!(next.grant()[0], 0);
    assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
}

#[test]
fn the_server_lists_the_module_with_its_version() {
    let server = Server::start();
    let listed = server.client().run("MODULE LIST");
    assert!(listed.contains("name lock ver 100"), "{listed}");
}

#[test]
fn an_unloaded_module_leaves_locks_as_data_and_finds_them_when_it_is_back() {
    let server = loadable(Setup::new().module_args("default-ttl 60000")).start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me");
    client.run("LOCK.ACQUIRE orders me");
    let stored = client.stored("orders");
    assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
    assert!(!client.run("MODULE LIST").contains("name lock "));
    assert!(client.run("LOCK.INFO orders").starts_with("ERR unknown"));
    assert_eq!(client.run("INFO lock"), "");
    assert_eq!(client.stored("orders"), stored);

    assert_eq!(load(&mut client, "default-ttl 90000"), "OK");
    assert_eq!(client.stored("orders"), stored);
    assert_eq!(client.holder("orders"), format!("me 2 {token}"));
    assert_eq!(client.counter("acquired"), 0, "counted from the load on");
    assert_eq!(
        client.grant("LOCK.RENEW orders me")[1..],
        [2, token, 90_000]
    );
    assert_eq!(client.int("LOCK.RELEASE orders me HOLDS 1"), 1);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    let [.., next, _] = client.grant("LOCK.ACQUIRE orders you");
    assert!(next > token, "{next} after {token}");
}

#[test]
fn a_module_is_loaded_and_unloaded_again_and_again() {
    let server = loadable(Setup::without_module()).start();
    let mut client = server.client();
    for round in 1..=20 {
        assert_eq!(load(&mut client, ""), "OK", "{}", server.log());
        let [_, holds, ..] = client.grant("LOCK.ACQUIRE orders me");
        assert_eq!(holds, round);
        assert_eq!(client.counter("acquired"), u64::from(round == 1));
        assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
    }
}

#[test]
fn a_load_that_failed_leaves_nothing_behind() {
    let server = loadable(Setup::without_module()).start();
    let mut client = server.client();
    for args in [
        "default-ttl",
        "default-ttl 0",
        "max-hold 5",
        "lease 5",
        "notify 1",
    ] {
        let refused = load(&mut client, args);
        assert!(refused.starts_with("ERR "), "{args}: {refused}");
        assert!(client.run("LOCK.INFO orders").starts_with("ERR unknown"));
        assert!(!client.run("MODULE LIST").contains("name lock "));
        assert_eq!(load(&mut client, ""), "OK", "{}", server.log());
        assert_eq!(client.grant("LOCK.ACQUIRE orders me 5000")[0], 1);
        assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
    }
}

#[test]
fn a_load_with_settings_takes_them_or_fails_whole() {
    let server = loadable(Setup::without_module()).start();
    let mut client = server.client();
    let loadex = format!("MODULE LOADEX {}", module().display());
    let refused = client.run(&format!("{loadex} CONFIG lock.max-hold 100"));
    assert!(refused.starts_with("ERR "), "{refused}");
    let why = "max-hold must be 0 or a whole number from 1000";
    assert!(server.log().contains(why), "{}", server.log());
    let line = format!("{loadex} CONFIG lock.max-ttl 100 CONFIG lock.default-ttl 50");
    assert_eq!(client.run(&line), "OK");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[3], 50);
    assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
    let line = format!("{loadex} CONFIG lock.default-ttl 70 ARGS default-ttl 40");
    assert_eq!(client.run(&line), "OK");
    assert_eq!(client.grant("LOCK.ACQUIRE invoices me")[3], 70);
}
