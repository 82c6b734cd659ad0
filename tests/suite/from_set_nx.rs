//! From locks that are plain strings to `LOCK.*`, and back, without a stop. `docs/from-set-nx.md` has the steps and
//! the table of what is seen here.

mod old;

use crate::support::{nothing_sold, until_all_have_worked};
use crate::support::{Client, Server, Waiter, Worker};
use old::{old_clients, Old};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

/// In ms: longer than any test.
const LONG: u64 = 600_000;

/// Which of the two locks a worker takes.
const ONLY_OLD: u8 = 0;
const BOTH: u8 = 1;
const ONLY_OURS: u8 = 2;

#[test]
fn workers_move_from_a_string_to_ours_and_back_by_way_of_both_locks() {
    let server = Server::start();
    let Some(clients) = old_clients(&server, "orders", 30_000) else {
        return;
    };
    let mut probe = server.client();
    nothing_sold(&mut probe);
    let (workers, takes): (Vec<Worker>, Vec<Arc<AtomicU8>>) = clients
        .into_iter()
        .map(|(kind, old)| worker(&server, kind, old))
        .unzip();
    until_all_have_worked(&workers);
    for now in [BOTH, ONLY_OURS, BOTH, ONLY_OLD] {
        for takes in &takes {
            takes.store(now, Ordering::Relaxed);
            until_all_have_worked(&workers);
        }
        if now == ONLY_OURS {
            assert_eq!(probe.run("EXISTS orders"), "0");
        }
    }
    let holds: u64 = workers.into_iter().map(Worker::stop).sum();
    assert_eq!(probe.int("GET sold"), holds as i64);
    assert_eq!(probe.run("EXISTS orders orders:2"), "0");
}

/// A worker that first takes the old lock only.
fn worker(server: &Server, kind: &'static str, mut old: Old) -> (Worker, Arc<AtomicU8>) {
    let takes = Arc::new(AtomicU8::new(ONLY_OLD));
    let (taken, mut client) = (takes.clone(), server.client());
    let owner = kind.replace(' ', "-");
    let acquire = format!("LOCK.ACQUIRE orders:2 {owner} WAIT 600000 SESSION HOLDS 1");
    let worker = Worker::start(server, move |sell| {
        let takes = taken.load(Ordering::Relaxed);
        if takes != ONLY_OURS {
            old.acquire();
        }
        if takes == ONLY_OLD {
            sell();
        } else {
            let [acquired, _, token, _] = client.grant(&acquire);
            assert_eq!(acquired, 1);
            sell();
            let release = format!("LOCK.RELEASE orders:2 {owner} HOLDS 0 TOKEN {token}");
            assert_eq!(client.int(&release), 0);
        }
        if takes != ONLY_OURS {
            old.release();
        }
    });
    (worker, takes)
}

#[test]
fn a_worker_that_takes_both_locks_excludes_and_is_excluded_by_one_that_takes_the_old_one() {
    with_each_pair(|mut one, mut both, mut client| {
        assert!(one.try_acquire());
        assert!(!both.try_acquire());
        one.release();
        assert!(both.try_acquire());
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 both 600000")[0], 1);
        assert!(!one.try_acquire());
    });
}

#[test]
fn a_worker_that_takes_both_locks_excludes_and_is_excluded_by_one_that_takes_ours() {
    with_each_pair(|mut both, _, mut client| {
        client.grant("LOCK.ACQUIRE orders:2 new 600000");
        assert!(both.try_acquire());
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 both 600000")[0], 0);
        assert_eq!(client.int("LOCK.RELEASE orders:2 new"), 0);
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 both 600000")[0], 1);
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 new 600000")[0], 0);
    });
}

#[test]
fn a_worker_that_takes_the_old_lock_and_one_that_takes_ours_hold_both_at_once() {
    with_each_pair(|mut one, _, mut client| {
        assert!(one.try_acquire());
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 new 600000")[0], 1);
        one.release();
        assert_eq!(client.run("LOCK.ASSERT orders:2 new"), "OK");
    });
}

#[test]
fn two_workers_that_take_both_locks_in_different_orders_wait_for_each_other() {
    with_server(LONG, |[one, other, _], server| {
        let mut client = server.client();
        assert!(one.1.try_acquire());
        client.grant("LOCK.ACQUIRE orders:2 second-first 600000");
        let acquire = "LOCK.ACQUIRE orders:2 old-first 600000 WAIT 600000";
        let mut old_first = Waiter::start(server, acquire);
        // It is no cycle to the server, which knows of one of the two waits.
        assert!(!old_first.has_reply());
        assert!(!other.1.try_acquire());
        assert!(!old_first.has_reply());
        // Its time is over.
        client.run(&format!("CLIENT UNBLOCK {}", old_first.id()));
        assert_eq!(old_first.grant()[0], 0);
    });
}

#[test]
fn the_old_lock_of_a_worker_that_waits_for_ours_may_end_and_ours_still_excludes() {
    with_server(300, |[one, other, _], server| {
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE orders:2 new 600000");
        let wait = |owner: &str| {
            let acquire = format!("LOCK.ACQUIRE orders:2 {owner} 600000 WAIT 600000");
            Waiter::start(server, &acquire)
        };
        one.1.acquire();
        let mut first = wait("first");
        other.1.acquire();
        let mut second = wait("second");
        client.int("LOCK.RELEASE orders:2 new");
        assert_eq!(first.grant()[0], 1);
        assert!(!second.has_reply());
        client.int("LOCK.RELEASE orders:2 first");
        assert_eq!(second.grant()[0], 1);
    });
}

#[test]
fn a_worker_that_is_killed_frees_ours_at_once_and_leaves_the_old_lock_until_its_lease_ends() {
    with_server(LONG, |[one, other, _], server| {
        let mut client = server.client();
        one.1.acquire();
        let acquire = "LOCK.ACQUIRE orders:2 killed 600000 SESSION";
        let mut killed = Waiter::start(server, acquire);
        assert_eq!(killed.grant()[0], 1);
        let next = "LOCK.ACQUIRE orders:2 next 600000 WAIT 600000";
        let mut next = Waiter::start(server, next);
        killed.close();
        assert_eq!(next.grant()[0], 1);
        assert!(!other.1.try_acquire());
        // What is left of its lease passes.
        client.run("PEXPIRE orders 1");
        other.1.acquire();
    });
}

#[test]
fn ours_answers_wrongtype_where_the_name_holds_a_string_and_changes_nothing() {
    with_each_pair(|mut one, _, mut client| {
        assert!(one.try_acquire());
        let before = (client.run("GET orders"), client.run("PEXPIRETIME orders"));
        for call in [
            "LOCK.ACQUIRE orders me",
            "LOCK.ACQUIRE orders me WAIT 600000",
            "LOCK.ACQUIRE orders me SESSION",
            "LOCK.RELEASE orders me",
            "LOCK.RENEW orders me",
            "LOCK.INFO orders",
            "LOCK.FORCERELEASE orders",
        ] {
            let reply = client.run(call);
            assert!(reply.starts_with("WRONGTYPE "), "{call}: {reply}");
        }
        let after = (client.run("GET orders"), client.run("PEXPIRETIME orders"));
        assert_eq!(before, after);
        one.release();
    });
}

#[test]
fn no_old_lock_is_granted_where_ours_is_held_and_no_script_deletes_or_extends_ours() {
    with_each_pair(|mut one, mut late, mut client| {
        // Its lease ended while it worked, and it does not know that yet.
        assert!(late.try_acquire());
        client.run("DEL orders");
        client.grant("LOCK.ACQUIRE orders me 600000");
        let before = client.stored("orders");
        assert!(!one.try_acquire());
        for call in ["extend", "release"] {
            let outcome = late.call(call);
            assert!(outcome.contains("WRONGTYPE "), "{call}: {outcome}");
        }
        assert_eq!(client.stored("orders"), before);
    });
}

#[test]
fn an_old_client_that_deletes_or_sets_without_comparing_breaks_ours() {
    let server = Server::start();
    let mut client = server.client();
    for (call, left) in [("DEL orders", "free"), ("SET orders mine", "WRONGTYPE")] {
        let mut session = Waiter::start(&server, "LOCK.ACQUIRE orders me 600000 SESSION");
        assert_eq!(session.grant()[0], 1);
        client.run(call);
        assert_eq!(session.reply(), "closed", "{call}");
        let reply = client.run("LOCK.RELEASE orders me");
        assert!(reply.contains(left), "{call}: {reply}");
    }
}

#[test]
fn who_still_uses_the_old_name_is_refused_and_logged_without_the_right_to_it() {
    with_server(LONG, |clients, server| {
        let mut client = server.client();
        client.run("ACL SETUSER default resetkeys ~orders:2");
        for (kind, old) in clients {
            client.run("ACL LOG RESET");
            assert!(!old.try_acquire(), "{kind}");
            let log = client.run("ACL LOG");
            assert!(log.contains("object orders "), "{kind}: {log}");
        }
        assert_eq!(client.grant("LOCK.ACQUIRE orders:2 me")[0], 1);
    });
}

#[test]
fn the_page_names_each_test_beside_what_it_shows() {
    let page = include_str!("../../docs/from-set-nx.md");
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit('`').next())
        .filter(|name| name.contains('_') && !name.contains(' '))
        .collect();
    let tests: BTreeSet<&str> = include_str!("from_set_nx.rs")
        .split("#[test]\nfn ")
        .skip(1)
        .filter_map(|test| test.split('(').next())
        .filter(|name| *name != "the_page_names_each_test_beside_what_it_shows")
        .collect();
    assert_eq!(named, tests);
}

/// Runs a test with a client of each kind, all for the lock `orders`.
fn with_server(lease: u64, test: impl Fn(&mut [(&'static str, Old); 3], &Server)) {
    let server = Server::start();
    if let Some(mut clients) = old_clients(&server, "orders", lease) {
        test(&mut clients, &server);
    }
}

/// Runs a test with a client of each kind, one of another kind, and one of ours.
fn with_each_pair(test: impl Fn(Old, Old, Client)) {
    for first in 0..3 {
        let server = Server::start();
        let Some(mut clients) = old_clients(&server, "orders", LONG) else {
            return;
        };
        clients.rotate_left(first);
        let [(kind, one), (_, other), _] = clients;
        eprintln!("with {kind}");
        test(one, other, server.client());
    }
}
