//! A lock in the server's files: a plain hash that comes back, with the module and without it.

use crate::support::{eventually, show, Client, Server, Setup, Stored};
use redis::Value;

/// Takes the lock `orders` twice, and says what is stored then.
fn take_twice(client: &mut Client) -> Stored {
    client.grant("LOCK.ACQUIRE orders me 600000");
    client.grant("LOCK.ACQUIRE orders me 900000");
    let stored = client.stored("orders");
    assert_eq!(stored.fields["me"], "2");
    stored
}

/// Checks that a server with the module has the lock as before, and that it still works.
fn check_lock(client: &mut Client, before: &Stored) {
    assert_eq!(client.stored("orders"), *before);
    let token = before.token();
    assert_eq!(client.holder("orders"), format!("me 2 {token}"));
    assert_eq!(client.grant("LOCK.ACQUIRE orders you 5000")[..3], [0; 3]);
    assert_eq!(
        client.int(&format!("LOCK.RELEASE orders me TOKEN {token}")),
        1
    );
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    let [_, _, next, _] = client.grant("LOCK.ACQUIRE orders you 5000");
    assert!(next > token.parse().unwrap(), "{next} after {token}");
}

/// Starts both kinds of server on what another one has left, the one without the module first, and
/// checks that each has the lock.
fn check_files(ended: &Server, setup: impl Fn(Setup) -> Setup, before: &Stored) {
    let mut plain = setup(Setup::without_module()).data_of(ended).start();
    assert_eq!(plain.client().stored("orders"), *before);
    plain.kill();
    let ours = setup(Setup::new()).data_of(ended).start();
    check_lock(&mut ours.client(), before);
}

#[test]
fn a_lock_is_a_plain_hash_with_a_ttl() {
    let server = Server::start();
    let mut client = server.client();
    let [_, _, token, _] = client.grant("LOCK.ACQUIRE orders me 60000");
    let hash = client.run("HGETALL orders");
    assert!(
        [
            format!("[me 1 mode fenced:{token}]"),
            format!("[mode fenced:{token} me 1]")
        ]
        .contains(&hash),
        "{hash}"
    );
    let left = client.int("PTTL orders");
    assert!((50_001..=60_001).contains(&left), "{left}");
    assert_eq!(client.run("TYPE orders"), "hash");
    let encoding = client.run("OBJECT ENCODING orders");
    let compact = ["listpack", "ziplist"].contains(&encoding.as_str());
    assert!(compact, "{encoding}");
}

#[test]
fn a_dump_of_a_lock_restores_without_the_module_and_with_it() {
    let (ours, plain, others) = (
        Server::start(),
        Setup::without_module().start(),
        Server::start(),
    );
    let before = take_twice(&mut ours.client());
    let deadline = before.deadline.unwrap().to_string();
    let mut from = ours.client();
    for to in [&plain, &others] {
        let Value::BulkString(dump) = from.ask("DUMP orders") else {
            panic!("DUMP replied {}", from.run("DUMP orders"))
        };
        let mut client = to.client();
        let restore: [&[u8]; 5] = [b"RESTORE", b"orders", deadline.as_bytes(), &dump, b"ABSTTL"];
        assert_eq!(client.say(&restore), "OK");
        assert_eq!(client.stored("orders"), before);
        from = client;
    }
    check_lock(&mut others.client(), &before);
}

#[test]
fn a_lock_migrates_to_a_server_without_the_module() {
    let (ours, plain) = (Server::start(), Setup::without_module().start());
    let before = take_twice(&mut ours.client());
    let migrate = format!("MIGRATE 127.0.0.1 {} orders 0 60000", plain.port());
    assert_eq!(ours.client().run(&migrate), "OK");
    assert_eq!(ours.client().holder("orders"), "free");
    let after = plain.client().stored("orders");
    assert_eq!(after.fields, before.fields);
    // The server itself sends the time left, not the moment.
    let late = after.deadline.unwrap() - before.deadline.unwrap();
    assert!((-5..60_000).contains(&late), "{late}");
}

#[test]
fn an_rdb_file_brings_a_lock_back() {
    let mut server = Server::start();
    let before = take_twice(&mut server.client());
    assert_eq!(server.client().run("SAVE"), "OK");
    server.kill();
    check_files(&server, |setup| setup, &before);
}

#[test]
fn a_saving_shutdown_brings_a_lock_back() {
    // Saves when it ends, and hardly before.
    let setup = |setup: Setup| setup.config("save 86400 1000000");
    let mut server = setup(Setup::new()).start();
    let before = take_twice(&mut server.client());
    server.shut_down();
    check_files(&server, setup, &before);
}

#[test]
fn an_append_only_file_brings_a_lock_back() {
    let setup = |setup: Setup| setup.config("appendonly yes");
    let mut server = setup(Setup::new()).start();
    let before = take_twice(&mut server.client());
    server.shut_down();
    check_files(&server, setup, &before);
}

#[test]
fn an_append_only_file_brings_a_lock_back_after_a_crash() {
    let setup = |setup: Setup| setup.config("appendonly yes").config("appendfsync always");
    let mut server = setup(Setup::new()).start();
    let before = take_twice(&mut server.client());
    server.kill();
    check_files(&server, setup, &before);
}

#[test]
fn a_rewritten_append_only_file_brings_a_lock_back() {
    for preamble in ["yes", "no"] {
        let preamble = format!("aof-use-rdb-preamble {preamble}");
        let setup = |setup: Setup| setup.config("appendonly yes").config(&preamble);
        let mut server = setup(Setup::new()).start();
        let mut client = server.client();
        let before = take_twice(&mut client);
        rewrite(&mut client);
        server.shut_down();
        check_files(&server, setup, &before);
    }
}

#[test]
fn what_happens_to_a_lock_after_a_rewrite_is_in_the_file_too() {
    let setup = |setup: Setup| setup.config("appendonly yes");
    let mut server = setup(Setup::new()).start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    client.grant("LOCK.ACQUIRE freed me 600000");
    rewrite(&mut client);
    client.grant("LOCK.ACQUIRE orders me 900000");
    client.int("LOCK.RELEASE freed me");
    let before = client.stored("orders");
    server.shut_down();
    let again = setup(Setup::without_module()).data_of(&server).start();
    assert_eq!(again.client().run("KEYS *"), "[orders]");
    assert_eq!(again.client().stored("orders"), before);
}

#[test]
fn a_reload_keeps_a_lock() {
    let server = Setup::new().config("appendonly yes").start();
    let mut client = server.client();
    let before = take_twice(&mut client);
    for line in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
        assert_eq!(client.run(line), "OK");
        assert_eq!(client.stored("orders"), before, "after {line}");
    }
    check_lock(&mut client, &before);
}

#[test]
fn a_lock_that_lapsed_while_the_server_was_down_is_free() {
    for config in ["appendonly yes", "save 86400 1000000"] {
        let mut server = Setup::new().config(config).start();
        let mut client = server.client();
        let [_, _, old, _] = client.grant("LOCK.ACQUIRE orders me 100");
        let deadline = client.deadline("orders");
        let setup = Setup::new().config(config).data_of(&server);
        server.shut_down();
        let again = setup.start();
        let mut client = again.client();
        let seen = client.deadline("orders");
        assert!(seen.is_none() || seen == deadline, "{seen:?} {deadline:?}");
        eventually("the lease ends", || {
            client.grant("LOCK.ACQUIRE orders you 60000")[0] == 1
        });
        let holder = client.holder("orders");
        let token: i64 = holder.strip_prefix("you 1 ").unwrap().parse().unwrap();
        assert!(token > old, "{token} after {old}");
    }
}

#[test]
fn a_released_lock_does_not_come_back() {
    for config in ["appendonly yes", "save 86400 1000000"] {
        let mut server = Setup::new().config(config).start();
        let mut client = server.client();
        take_twice(&mut client);
        client.int("LOCK.RELEASE orders me");
        client.int("LOCK.RELEASE orders me");
        client.grant("LOCK.ACQUIRE forced me 600000");
        client.int("LOCK.FORCERELEASE forced");
        server.restart();
        assert_eq!(server.client().run("KEYS *"), "[]", "{config}");
    }
}

#[test]
fn owners_of_any_bytes_come_back() {
    let owner = b"\0\r\n\xff%s\"{}".as_slice();
    let acquire: [&[u8]; 4] = [b"LOCK.ACQUIRE", owner, owner, b"600000"];
    for config in ["appendonly yes", "save 86400 1000000"] {
        let mut server = Setup::new().config(config).start();
        let first = server.client().send(&acquire);
        server.restart();
        let again = server.client().send(&acquire);
        let [_, _, token, _]: [i64; 4] = redis::from_redis_value(first).unwrap();
        let reentered = show(&again);
        let wanted = format!("[1 2 {token} ");
        assert!(reentered.starts_with(&wanted), "{reentered}");
    }
}

/// Rewrites the append-only file, and waits until that is done.
fn rewrite(client: &mut Client) {
    let reply = client.run("BGREWRITEAOF");
    assert!(reply.starts_with("Background"), "{reply}");
    let mut done =
        |field: &str, value: &str| client.info("persistence", field).as_deref() == Some(value);
    eventually("the file is rewritten", || {
        done("aof_rewrite_in_progress", "0") && done("aof_rewrite_scheduled", "0")
    });
    assert!(done("aof_last_bgrewrite_status", "ok"));
}
