//! The module's settings: by CONFIG, in the server's configuration file, and as arguments of the
//! module.

use crate::support::{eventually, Client, Listener, Server, Setup};

/// A server and a connection.
fn start(setup: Setup) -> (Server, Client) {
    let server = setup.start();
    let client = server.client();
    (server, client)
}

/// The setting, as CONFIG GET shows it.
fn get(client: &mut Client, name: &str) -> String {
    let shown = client.run(&format!("CONFIG GET lock.{name}"));
    let value = shown
        .strip_prefix(&format!("[lock.{name} "))
        .and_then(|rest| rest.strip_suffix(']'));
    value.unwrap_or_else(|| panic!("{shown}")).to_owned()
}

/// Every setting.
const SETTINGS: [&str; 7] = [
    "grace-period",
    "default-ttl",
    "max-ttl",
    "max-hold",
    "session-loss",
    "notify",
    "channel-prefix",
];

/// The ttl that an acquire gets that names none.
fn default_ttl(client: &mut Client) -> i64 {
    let [.., ttl] = client.grant("LOCK.ACQUIRE of-the-default me");
    client.run("LOCK.FORCERELEASE of-the-default");
    ttl
}

#[test]
fn nothing_configured_means_the_documented_defaults() {
    let (_server, mut client) = start(Setup::new());
    let defaults = [
        "0",
        "30000",
        "0",
        "0",
        "close",
        "auto",
        "redisson_lock__channel",
    ];
    assert_eq!(SETTINGS.map(|name| get(&mut client, name)), defaults);
    assert_eq!(client.run("CONFIG GET lock.*").matches("lock.").count(), 8);
}

#[test]
fn the_default_ttl_is_that_of_an_acquire_or_renewal_that_names_none() {
    for args in ["", "default-ttl 7000"] {
        let server = Setup::new().module_args(args).start();
        let mut client = server.client();
        let default = if args.is_empty() { 30_000 } else { 7000 };
        assert_eq!(client.grant("LOCK.ACQUIRE orders me")[3], default);
        client.run("LOCK.RENEW orders me 900000");
        assert_eq!(client.grant("LOCK.RENEW orders me")[3], default);
        assert_eq!(client.grant("LOCK.RENEW orders me 9000")[3], 9000);
    }
}

#[test]
fn a_ttl_above_max_ttl_is_refused_by_the_settings_name() {
    let server = Setup::new()
        .module_args("max-ttl 60000 default-ttl 10000")
        .start();
    let mut client = server.client();
    let refusal = "ERR ttl must be a whole number from 1 to 60000 (lock.max-ttl), not \"60001\"";
    assert_eq!(client.run("LOCK.ACQUIRE orders me 60001"), refusal);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 60000")[3], 60_000);
    assert_eq!(client.run("LOCK.RENEW orders me 60001"), refusal);
    assert_eq!(client.grant("LOCK.RENEW orders me 60000")[3], 60_000);
    assert_eq!(default_ttl(&mut client), 10_000);
}

#[test]
fn config_set_changes_a_setting_for_the_next_call() {
    let (_server, mut client) = start(Setup::new());
    assert_eq!(client.run("CONFIG SET lock.default-ttl 5000"), "OK");
    assert_eq!(get(&mut client, "default-ttl"), "5000");
    assert_eq!(default_ttl(&mut client), 5000);
    assert_eq!(client.run("CONFIG SET lock.max-ttl 5000"), "OK");
    let refused = client.run("LOCK.ACQUIRE orders me 5001");
    assert!(refused.contains("from 1 to 5000 (lock.max-ttl)"));
    assert_eq!(client.run("CONFIG SET lock.max-ttl 0"), "OK");
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me 9007199254740991")[0],
        1
    );
}

#[test]
fn a_new_max_ttl_leaves_running_leases_as_they_are_and_holders_rely_on_no_more() {
    let (_server, mut client) = start(Setup::new());
    client.run("LOCK.ACQUIRE orders me 600000");
    client.run("CONFIG SET lock.default-ttl 1000 lock.max-ttl 1000");
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me")[1..],
        [2, client.stored("orders").token().parse().unwrap(), 1000]
    );
    let left = client.int("PTTL orders");
    assert!(left > 500_000, "{left}");
}

#[test]
fn a_bad_value_is_refused_with_its_name_and_range() {
    let (_server, mut client) = start(Setup::new());
    let before = client.run("CONFIG GET lock.*");
    let from_1 = "between 1 and 9007199254740991";
    let from_0 = "between 0 and 9007199254740991";
    let long = "x".repeat(513);
    for (name, value, range) in [
        ("default-ttl", "0", from_1),
        ("default-ttl", "-1", from_1),
        ("default-ttl", "9007199254740992", from_1),
        ("default-ttl", "soon", "parsed into an integer"),
        ("max-ttl", "-1", from_0),
        ("max-ttl", "9007199254740992", from_0),
        ("max-hold", "-1", from_0),
        ("max-hold", "999", "0 or a whole number from 1000 to"),
        ("notify", "loud", "auto, publish, spublish, off"),
        ("channel-prefix", "", "1 to 512 bytes long, not 0"),
        ("channel-prefix", &long, "1 to 512 bytes long, not 513"),
    ] {
        let setting = format!("lock.{name}");
        let words: [&[u8]; 4] = [b"CONFIG", b"SET", setting.as_bytes(), value.as_bytes()];
        let refused = client.say(&words);
        assert!(refused.starts_with("ERR "), "{name} {value}: {refused}");
        assert!(refused.contains(name), "{name} {value}: {refused}");
        assert!(refused.contains(range), "{name} {value}: {refused}");
        assert_eq!(client.run("CONFIG GET lock.*"), before, "{name} {value}");
    }
    assert_eq!(default_ttl(&mut client), 30_000);
}

#[test]
fn a_default_ttl_above_max_ttl_counts_as_max_ttl() {
    let (_server, mut client) = start(Setup::new());
    assert_eq!(client.run("CONFIG SET lock.max-ttl 10000"), "OK");
    assert_eq!(get(&mut client, "default-ttl"), "30000");
    assert_eq!(default_ttl(&mut client), 10_000);
    client.grant("LOCK.ACQUIRE orders me 9000");
    assert_eq!(client.grant("LOCK.RENEW orders me")[3], 10_000);
    let refused = client.run("LOCK.ACQUIRE orders me 10001");
    assert!(
        refused.contains("from 1 to 10000 (lock.max-ttl)"),
        "{refused}"
    );
    assert_eq!(client.run("CONFIG SET lock.default-ttl 40000"), "OK");
    assert_eq!(default_ttl(&mut client), 10_000);
    assert_eq!(client.run("CONFIG SET lock.max-ttl 0"), "OK");
    assert_eq!(default_ttl(&mut client), 40_000);
}

#[test]
fn a_session_that_names_no_ttl_has_one_that_fits_max_ttl() {
    let server = Setup::new().module_args("max-ttl 10000").start();
    let mut client = server.client();
    let [acquired, _, _, ttl] = client.grant("LOCK.ACQUIRE orders me SESSION");
    assert_eq!([acquired, ttl], [1, 10_000]);
    let server = Setup::new().module_args("max-ttl 500").start();
    let refused = server.client().run("LOCK.ACQUIRE orders me SESSION");
    assert!(refused.starts_with("ERR ttl must be "), "{refused}");
}

#[test]
fn max_hold_is_0_or_a_second_and_more() {
    let (_server, mut client) = start(Setup::new());
    for ms in ["1000", "9007199254740991", "0"] {
        assert_eq!(client.run(&format!("CONFIG SET lock.max-hold {ms}")), "OK");
        assert_eq!(get(&mut client, "max-hold"), ms);
    }
    for ms in ["1", "500", "999"] {
        let refused = client.run(&format!("CONFIG SET lock.max-hold {ms}"));
        let why = "max-hold must be 0 or a whole number from 1000 to 9007199254740991, not ";
        assert!(refused.ends_with(&format!("{why}{ms}")), "{refused}");
        assert_eq!(get(&mut client, "max-hold"), "0");
    }
}

#[test]
fn several_settings_at_once_are_set_together_or_not_at_all() {
    let (_server, mut client) = start(Setup::new());
    for (default, max) in [(50, 100), (5000, 6000), (10, 10)] {
        for line in [
            format!("CONFIG SET lock.default-ttl {default} lock.max-ttl {max}"),
            format!("CONFIG SET lock.max-ttl {max} lock.default-ttl {default}"),
        ] {
            assert_eq!(client.run(&line), "OK", "{line}");
            assert_eq!(default_ttl(&mut client), default);
        }
    }
    let before = client.run("CONFIG GET lock.*");
    for line in [
        "CONFIG SET lock.notify off lock.default-ttl 20 lock.max-hold 15",
        "CONFIG SET lock.channel-prefix shop lock.default-ttl 0",
        "CONFIG SET lock.default-ttl 5 lock.notify loud",
    ] {
        assert!(client.run(line).starts_with("ERR "), "{line}");
        assert_eq!(client.run("CONFIG GET lock.*"), before, "{line}");
        assert_eq!(default_ttl(&mut client), 10);
    }
}

#[test]
fn config_set_changes_how_and_where_an_unlock_is_told() {
    let (server, mut client) = start(Setup::new());
    let free = |client: &mut Client| {
        client.run("LOCK.ACQUIRE orders me");
        client.run("LOCK.RELEASE orders me");
    };
    let mut listener = Listener::psubscribe(&server, "*");
    client.run("CONFIG SET lock.channel-prefix shop");
    assert_eq!(get(&mut client, "channel-prefix"), "shop");
    free(&mut client);
    assert_eq!(
        listener.next(),
        ("shop:{orders}".to_owned(), "0".to_owned())
    );
    client.run("CONFIG SET lock.notify off");
    free(&mut client);
    listener.assert_quiet();
    let mut sharded = Listener::ssubscribe(&server, "shop:{orders}");
    client.run("CONFIG SET lock.notify spublish");
    free(&mut client);
    assert_eq!(sharded.next().1, "0");
    listener.assert_quiet();
    client.run("CONFIG SET lock.notify publish");
    free(&mut client);
    assert_eq!(listener.next().1, "0");
    sharded.assert_quiet();
}

#[test]
fn config_rewrite_writes_a_file_that_brings_the_settings_back() {
    let setup = Setup::new().module_args("default-ttl 10000 max-ttl 60000");
    let (server, mut client) = start(setup);
    let set = "CONFIG SET lock.default-ttl 4000 lock.max-ttl 0 lock.max-hold 5000 lock.notify off \
               lock.grace-period 1 lock.session-loss ignore";
    assert_eq!(client.run(set), "OK");
    let prefix = b"two words \"quoted\" \xff";
    let words: [&[u8]; 4] = [b"CONFIG", b"SET", b"lock.channel-prefix", prefix];
    assert_eq!(client.say(&words), "OK");
    let before = SETTINGS.map(|name| get(&mut client, name));
    assert_eq!(before[..5], ["1", "4000", "0", "5000", "ignore"]);
    assert_eq!(client.run("CONFIG REWRITE"), "OK");

    let file = std::fs::read_to_string(server.dir().join("server.conf")).unwrap();
    let mut again = Setup::new();
    for line in file.lines() {
        if let Some((_, args)) = line.split_once("libredis_reentrant_lock.so") {
            again = again.module_args(args);
        } else if line.starts_with("lock.") {
            again = again.config(line);
        }
    }
    let again = again.start();
    let mut client = again.client();
    assert_eq!(SETTINGS.map(|name| get(&mut client, name)), before);
    eventually("the grace period is over", || {
        client.counter("grace_ms_left") == 0
    });
    assert_eq!(default_ttl(&mut client), 4000);
}

#[test]
fn config_resetstat_and_unrelated_settings_leave_the_locks_alone() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE orders me");
    assert_eq!(client.run("CONFIG RESETSTAT"), "OK");
    assert_eq!(client.run("CONFIG SET hz 20"), "OK");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(client.counter("acquired"), 1);
}
