//! Who may do what: access control lists.

use crate::support::{skip, Client, Listener, Server};

/// A connection of a new user with these rules.
fn user(server: &Server, rules: &str) -> Client {
    let set = format!("ACL SETUSER worker reset on >secret {rules}");
    assert_eq!(server.client().run(&set), "OK");
    let mut client = server.client();
    assert_eq!(client.run("AUTH worker secret"), "OK");
    client
}

fn assert_refused(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let reply = client.run(line);
        assert!(reply.starts_with("NOPERM "), "{line}: {reply}");
    }
}

fn assert_allowed(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let reply = client.run(line);
        assert!(!reply.starts_with("NOPERM"), "{line}: {reply}");
    }
}

const LOCK_AND_RELEASE: &str = "~lock:* +lock.acquire +lock.release";

/// Whether the server has ACL categories of modules' own.
fn has_categories(server: &Server) -> bool {
    !server.client().run("ACL CAT lock").starts_with("ERR")
}

#[test]
fn a_user_who_may_lock_and_release_under_a_prefix_can_do_that_and_no_more() {
    let server = Server::start();
    let mut worker = user(&server, LOCK_AND_RELEASE);
    assert_eq!(worker.grant("LOCK.ACQUIRE lock:orders me HOLDS 1")[1], 1);
    assert_eq!(worker.grant("lock.acquire lock:orders me 5000")[1], 2);
    assert_eq!(worker.int("LOCK.RELEASE lock:orders me"), 1);
    assert_eq!(worker.int("LOCK.RELEASE lock:orders me HOLDS 0"), 0);
    worker.run("LOCK.ACQUIRE lock:orders me");
    assert_refused(
        &mut worker,
        &[
            "LOCK.ACQUIRE orders me",
            "LOCK.ACQUIRE lock me",
            "LOCK.RELEASE orders me",
            "LOCK.INFO lock:orders",
            "LOCK.ASSERT lock:orders me",
            "LOCK.RENEW lock:orders me",
            "LOCK.FORCERELEASE lock:orders",
            "HGETALL lock:orders",
            "DEL lock:orders",
            "PUBLISH redisson_lock__channel:{lock:orders} 0",
            "CONFIG GET lock.*",
            "KEYS *",
        ],
    );
    assert!(server.client().holder("lock:orders").starts_with("me 1 "));
}

#[test]
fn a_user_who_may_not_publish_still_has_the_unlock_published() {
    let server = Server::start();
    let mut worker = user(&server, &format!("{LOCK_AND_RELEASE} resetchannels"));
    let channel = "redisson_lock__channel:{lock:orders}";
    let mut listener = Listener::subscribe(&server, channel);
    worker.run("LOCK.ACQUIRE lock:orders me");
    assert_refused(&mut worker, &[&format!("PUBLISH {channel} 0")]);
    listener.assert_quiet();
    assert_eq!(worker.int("LOCK.RELEASE lock:orders me"), 0);
    assert_eq!(listener.next(), (channel.to_owned(), "0".to_owned()));
}

#[test]
fn a_script_does_no_more_than_its_user_may() {
    let server = Server::start();
    let rules = format!("{LOCK_AND_RELEASE} +eval +multi +exec");
    let mut worker = user(&server, &rules);
    let mut eval = |call: &str| {
        let script = format!("return redis.call({call})");
        worker.say(&[b"EVAL", script.as_bytes(), b"0"])
    };
    assert!(eval("'LOCK.ACQUIRE', 'lock:orders', 'me'").starts_with("[1 1 "));
    for call in [
        "'LOCK.ACQUIRE', 'orders', 'me'",
        "'LOCK.INFO', 'lock:orders'",
        "'LOCK.FORCERELEASE', 'lock:orders'",
    ] {
        let reply = eval(call).to_lowercase();
        assert!(
            reply.contains("can't") || reply.contains("permission"),
            "{call}: {reply}"
        );
    }
    let mut operator = server.client();
    assert!(operator.holder("lock:orders").starts_with("me 1 "));
    assert_eq!(operator.holder("orders"), "free");
    worker.run("MULTI");
    assert_refused(&mut worker, &["LOCK.ACQUIRE orders me"]);
}

#[test]
fn a_user_who_may_only_read_keys_can_look_but_not_take() {
    let server = Server::start();
    server.client().run("LOCK.ACQUIRE orders me");
    let mut reader = user(&server, "%R~* +@all");
    assert_allowed(&mut reader, &["LOCK.ASSERT orders me", "LOCK.INFO orders"]);
    assert_refused(
        &mut reader,
        &[
            "LOCK.ACQUIRE invoices me",
            "LOCK.RELEASE orders me",
            "LOCK.RENEW orders me",
            "LOCK.FORCERELEASE orders",
        ],
    );
    let mut writer = user(&server, "%W~* +@all");
    assert_refused(
        &mut writer,
        &[
            "LOCK.ACQUIRE invoices me",
            "LOCK.RELEASE orders me",
            "LOCK.INFO orders",
        ],
    );
}

#[test]
fn the_category_lock_without_the_dangerous_ones_gives_no_force_release_and_no_lines() {
    let server = Server::start();
    if !has_categories(&server) {
        return skip("the server has no ACL categories of modules' own");
    }
    let mut worker = user(&server, "~* +@lock -@dangerous");
    assert_allowed(
        &mut worker,
        &[
            "LOCK.ACQUIRE orders me",
            "LOCK.RENEW orders me",
            "LOCK.ASSERT orders me",
            "LOCK.INFO orders",
            "LOCK.RELEASE orders me",
        ],
    );
    let dangerous = ["LOCK.FORCERELEASE orders", "LOCK.LINES", "GET orders"];
    assert_refused(&mut worker, &dangerous);
}

#[test]
fn a_user_who_may_not_write_can_look_but_not_take() {
    let server = Server::start();
    if !has_categories(&server) {
        return skip("the server has no ACL categories for modules");
    }
    let mut reader = user(&server, "~* +@all -@write");
    assert_allowed(&mut reader, &["LOCK.INFO orders", "LOCK.ASSERT orders me"]);
    assert_refused(&mut reader, &["LOCK.ACQUIRE orders me"]);
}

#[test]
fn a_user_without_the_dangerous_commands_may_neither_force_a_release_nor_see_the_lines() {
    let server = Server::start();
    server.client().run("LOCK.ACQUIRE orders me");
    // Servers without categories for modules have to be told the command itself.
    let by_name = ["", " -lock.forcerelease -lock.lines"];
    for rule in &by_name[usize::from(!has_categories(&server))..] {
        let mut worker = user(&server, &format!("~* +@all -@dangerous{rule}"));
        assert_refused(&mut worker, &["LOCK.FORCERELEASE orders", "LOCK.LINES"]);
        assert_allowed(&mut worker, &["LOCK.INFO orders", "LOCK.ACQUIRE orders me"]);
    }
}
