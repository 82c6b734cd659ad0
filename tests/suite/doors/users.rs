//! What the users of `users.acl` may do. On a plain port, since that is the same with TLS and without.

use super::{auth, make, House};
use crate::support::{Client, Server, Setup};
use std::path::Path;
use tempfile::TempDir;

/// A server with these users, and where their passwords are.
fn server() -> (Server, TempDir) {
    let dir = TempDir::new().unwrap();
    make("init", dir.path(), &[]);
    make("users", dir.path(), &[]);
    let users = dir.path().join("users.acl");
    let server = Setup::new().config(&format!("aclfile {}", users.display()));
    (server.start(), dir)
}

fn login(server: &Server, dir: &Path, user: &str) -> Client {
    let mut client = server.client();
    assert_eq!(client.run(&auth(dir, user)), "OK");
    client
}

fn assert_refused(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let reply = client.run(line);
        assert!(reply.starts_with("NOPERM "), "{line}: {reply}");
    }
}

/// What no user may do with locks: go around the module, or do as they like with the server.
const AROUND: [&str; 12] = [
    "HGETALL lock:orders",
    "HSET lock:orders me 1",
    "DEL lock:orders",
    "PEXPIRE lock:orders 1",
    "DUMP lock:orders",
    "SET lock:orders 1",
    "KEYS *",
    "SCAN 0",
    "EVAL return{1} 0",
    "SUBSCRIBE redisson_lock__channel:{lock:orders}",
    "MONITOR",
    "FLUSHALL",
];

const ADMIN: [&str; 5] = [
    "ACL SETUSER worker allcommands",
    "CONFIG GET *",
    "CLIENT KILL TYPE normal",
    "SLOWLOG GET",
    "MODULE LIST",
];

#[test]
fn a_worker_locks_under_its_prefix_and_can_neither_force_a_release_nor_touch_another() {
    let (server, dir) = server();
    let mut worker = login(&server, dir.path(), "worker");
    assert_eq!(
        worker.grant("LOCK.ACQUIRE lock:orders me 60000")[..2],
        [1, 1]
    );
    assert_eq!(worker.grant("LOCK.RENEW lock:orders me 90000")[0], 1);
    assert_eq!(worker.run("LOCK.ASSERT lock:orders me"), "OK");
    assert_refused(
        &mut worker,
        &[
            "LOCK.FORCERELEASE lock:orders",
            "LOCK.INFO lock:orders",
            "LOCK.LINES",
            "LOCK.ACQUIRE other:orders me",
            "LOCK.ACQUIRE lock me",
            "LOCK.RELEASE other:orders me",
            "LOCK.RENEW other:orders me",
            "LOCK.ASSERT other:orders me",
        ],
    );
    assert_refused(&mut worker, &AROUND);
    assert_refused(&mut worker, &ADMIN);
    assert_eq!(worker.int("LOCK.RELEASE lock:orders me"), 0);
}

#[test]
fn an_operator_can_force_a_release_under_the_prefix_and_see_who_waits() {
    let (server, dir) = server();
    let mut worker = login(&server, dir.path(), "worker");
    worker.grant("LOCK.ACQUIRE lock:orders me 60000");
    let mut operator = login(&server, dir.path(), "operator");
    assert!(operator.run("LOCK.INFO lock:orders").contains("owner me "));
    assert_eq!(operator.run("LOCK.LINES"), "[]");
    assert_eq!(operator.int("LOCK.FORCERELEASE lock:orders"), 1);
    let reply = worker.run("LOCK.ASSERT lock:orders me");
    assert_eq!(reply, "NOTOWNER the lock is free");
    assert_eq!(operator.grant("LOCK.ACQUIRE lock:orders op 60000")[0], 1);
    assert_eq!(operator.int("LOCK.RELEASE lock:orders op"), 0);
    assert_refused(
        &mut operator,
        &["LOCK.FORCERELEASE other:orders", "LOCK.INFO other:orders"],
    );
    assert_refused(&mut operator, &AROUND);
    assert_refused(&mut operator, &ADMIN);
}

#[test]
fn a_monitor_can_look_at_locks_and_do_nothing_else() {
    let (server, dir) = server();
    let mut worker = login(&server, dir.path(), "worker");
    worker.grant("LOCK.ACQUIRE lock:orders me 60000");
    let mut monitor = login(&server, dir.path(), "monitor");
    assert!(monitor.run("LOCK.INFO lock:orders").contains("owner me "));
    assert_refused(
        &mut monitor,
        &[
            "LOCK.INFO other:orders",
            "LOCK.ACQUIRE lock:stock me",
            "LOCK.RELEASE lock:orders me",
            "LOCK.RENEW lock:orders me",
            "LOCK.ASSERT lock:orders me",
            "LOCK.LINES",
            "LOCK.FORCERELEASE lock:orders",
        ],
    );
    assert_refused(&mut monitor, &AROUND);
    assert_refused(&mut monitor, &ADMIN);
    assert_eq!(worker.run("LOCK.ASSERT lock:orders me"), "OK");
}

#[test]
fn an_administrator_of_the_doors_touches_no_lock() {
    let (server, dir) = server();
    let mut admin = login(&server, dir.path(), "admin");
    assert_eq!(admin.run("ACL SETUSER worker off"), "OK");
    assert_refused(
        &mut admin,
        &[
            "LOCK.ACQUIRE lock:orders me",
            "LOCK.FORCERELEASE lock:orders",
            "LOCK.INFO lock:orders",
        ],
    );
    assert_refused(&mut admin, &AROUND);
}

#[test]
fn the_default_user_is_off_and_a_server_with_the_template_of_the_users_does_not_start() {
    let (server, _dir) = server();
    let mut nobody = server.client();
    assert!(nobody.run("PING").starts_with("NOAUTH"));
    assert!(nobody.run("AUTH default any").starts_with("WRONGPASS"));
    let template = super::folder().join("users.acl");
    let started = Setup::new().config(&format!("aclfile {}", template.display()));
    assert!(started.try_start().is_err());
}

#[test]
fn users_have_the_same_rights_by_tls() {
    let Some(house) = House::build() else { return };
    let mut worker = house.login("worker-1", "worker");
    let mut operator = house.login("admin-1", "operator");
    let mut monitor = house.login("worker-2", "monitor");
    let reply = worker.run("LOCK.ACQUIRE lock:orders me 60000").unwrap();
    assert!(reply.starts_with("[1 1 "), "{reply}");
    assert!(worker.run("LOCK.RENEW lock:orders me 60000").is_ok());
    assert_eq!(worker.run("LOCK.ASSERT lock:orders me").unwrap(), "OK");
    for line in ["LOCK.FORCERELEASE lock:orders", "LOCK.ACQUIRE orders me"] {
        assert!(worker.run(line).unwrap().starts_with("NOPERM "), "{line}");
    }
    assert_eq!(worker.run("LOCK.RELEASE lock:orders me").unwrap(), "0");
    assert_eq!(monitor.run("LOCK.INFO lock:orders").unwrap(), "nil");
    worker.run("LOCK.ACQUIRE lock:orders me 60000").unwrap();
    assert_eq!(operator.run("LOCK.FORCERELEASE lock:orders").unwrap(), "1");
}
