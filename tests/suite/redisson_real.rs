//! Locks of ours and locks of real Redisson under one name. `docs/redisson.md` is the table of what
//! is seen here.

mod driver;
mod moving;

use crate::support::{cluster, eventually, Client, Listener, Server, Setup, Waiter};
use driver::{with_each_version, Call, Jvm, Redisson};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CHANNEL: &str = "redisson_lock__channel:{orders}";

/// What Redisson throws where a thread unlocks what it does not hold.
const NOT_LOCKED_BY_IT: &str = "IllegalMonitorStateException: attempt to unlock";

#[test]
fn no_lock_of_redisson_is_granted_while_ours_is_held() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        ours.grant("LOCK.ACQUIRE orders me 600000");
        let before = ours.stored("orders");
        let kinds = kinds_that_exclude(jvm);
        for kind in kinds.into_iter().chain(["read", "write", "multi", "red"]) {
            let lock = format!("{kind} orders");
            assert_eq!(theirs.call(&format!("tryLock {lock}")), "false", "{kind}");
            let waited = theirs.call(&format!("tryLock {lock} 20"));
            assert_eq!(waited, "false", "{kind}");
            if !["multi", "red"].contains(&kind) {
                let thrown = theirs.call(&format!("unlock {lock}"));
                assert!(thrown.starts_with(NOT_LOCKED_BY_IT), "{kind}: {thrown}");
            }
        }
        assert_eq!(ours.stored("orders"), before);
        assert_eq!(ours.int("LOCK.RELEASE orders me"), 0);
    });
}

#[test]
fn ours_is_not_granted_while_a_lock_of_redisson_is_held() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let owner = theirs.thread(0).owner();
        for kind in kinds_that_exclude(jvm) {
            assert_eq!(theirs.call(&format!("tryLock {kind} orders")), "true");
            assert_eq!(ours.grant("LOCK.ACQUIRE orders me 5000")[0], 0, "{kind}");
            assert_eq!(ours.holder("orders"), format!("{owner} 1 0"), "{kind}");
            for call in ["RELEASE", "RENEW", "ASSERT"] {
                let reply = ours.run(&format!("LOCK.{call} orders me"));
                assert!(reply.starts_with("NOTOWNER "), "{kind}: {reply}");
            }
            assert_eq!(theirs.call(&format!("unlock {kind} orders")), "done");
            assert_eq!(ours.grant("LOCK.ACQUIRE orders me 600000")[0], 1, "{kind}");
            assert_eq!(theirs.call(&format!("tryLock {kind} orders")), "false");
            assert_eq!(ours.int("LOCK.RELEASE orders me"), 0);
        }
    });
}

#[test]
fn locks_of_other_names_go_on_while_ours_is_held() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let theirs = &stage.theirs;
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let kinds = kinds_that_exclude(jvm);
        for kind in kinds.into_iter().chain(["read", "write", "multi", "red"]) {
            for (call, outcome) in [
                ("tryLock", "true"),
                ("unlock", "done"),
                ("lock", "done"),
                ("unlock", "done"),
            ] {
                let call = format!("{call} {kind} invoices");
                assert_eq!(theirs.call(&call), outcome, "{call}");
            }
        }
        assert_eq!(stage.ours.run("EXISTS invoices"), "0");
    });
}

#[test]
fn clients_of_both_never_hold_one_lock_at_once() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.run("SET sold 0");
        /// What a lock is for: two steps between which nobody else may come.
        fn sell(client: &mut Client) {
            let sold = client.int("GET sold");
            client.run(&format!("SET sold {}", sold + 1));
        }
        thread::scope(|scope| {
            for owner in 0..3 {
                let mut client = stage.server.client();
                scope.spawn(move || {
                    for _ in 0..30 {
                        let call = format!("LOCK.ACQUIRE orders o{owner} 600000 WAIT 600000");
                        assert_eq!(client.grant(&call)[0], 1);
                        sell(&mut client);
                        client.int(&format!("LOCK.RELEASE orders o{owner}"));
                    }
                });
            }
            // Not a spin lock: it wakes nobody, other locks of Redisson's neither.
            for (number, kind) in ["lock", "fenced", "lock"].into_iter().enumerate() {
                let (mut client, stage) = (stage.server.client(), &stage);
                scope.spawn(move || {
                    let thread = stage.theirs.thread(number as u64);
                    for _ in 0..30 {
                        assert_eq!(thread.call(&format!("lock {kind} orders")), "done");
                        sell(&mut client);
                        assert_eq!(thread.call(&format!("unlock {kind} orders")), "done");
                    }
                });
            }
        });
        assert_eq!(stage.ours.run("GET sold"), "180");
    });
}

#[test]
fn a_lock_of_redisson_that_sleeps_is_woken_whenever_ours_gets_free() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let freed_by = |how: &str, ours: &mut Client, session: Waiter| match how {
            "a release" => drop(ours.run("LOCK.RELEASE orders me")),
            "a force release" => drop(ours.run("LOCK.FORCERELEASE orders")),
            _ => session.close(),
        };
        let kinds = ["lock", "fenced", "multi"].into_iter();
        for kind in kinds.chain(jvm.is_version_4().then_some("nonreentrant")) {
            for how in ["a release", "a force release", "the end of a session"] {
                let acquire = "LOCK.ACQUIRE orders me 600000 SESSION";
                let mut session = Waiter::start(&stage.server, acquire);
                assert_eq!(session.grant()[0], 1);
                let lock = stage.start_sleeper(&format!("lock {kind} orders"), CHANNEL);
                freed_by(how, &mut stage.ours, session);
                assert_eq!(lock.outcome(), "done", "{kind} after {how}");
                assert_eq!(stage.theirs.call(&format!("unlock {kind} orders")), "done");
            }
        }
    });
}

#[test]
fn a_lock_of_redisson_that_sleeps_is_woken_when_our_lease_is_shortened() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let lock = stage.start_sleeper("lock lock orders", CHANNEL);
        stage.ours.grant("LOCK.RENEW orders me 100");
        assert_eq!(lock.outcome(), "done");
        assert_eq!(stage.theirs.call("unlock lock orders"), "done");

        let acquire = "LOCK.ACQUIRE orders me 600000 SESSION LINGER 100";
        let mut session = Waiter::start(&stage.server, acquire);
        assert_eq!(session.grant()[0], 1);
        let lock = stage.start_sleeper("lock lock orders", CHANNEL);
        session.close();
        assert_eq!(lock.outcome(), "done");
    });
}

#[test]
fn a_lock_of_redisson_that_sleeps_is_woken_by_ours_in_a_cluster() {
    with_each_version(|jvm| {
        // Redisson connects to what a node says of itself, which would be no address.
        let node = cluster(Setup::new().config("cluster-announce-ip 127.0.0.1"));
        let theirs = jvm.connect(&format!("cluster+{}", node.url()), 30_000);
        let mut ours = node.client();
        ours.grant("LOCK.ACQUIRE orders me 600000");
        let lock = theirs.start("lock lock orders");
        eventually("it listens", || {
            let sharded = ours.run(&format!("PUBSUB SHARDNUMSUB {CHANNEL}"));
            sharded == format!("[{CHANNEL} 1]")
        });
        assert_eq!(ours.int("LOCK.RELEASE orders me"), 0);
        assert_eq!(lock.outcome(), "done");
    });
}

#[test]
fn a_spin_lock_of_redisson_finds_ours_released() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let lock = stage.theirs.start("lock spin orders");
        eventually("it has asked", || scripts(&mut stage.ours) > 1);
        assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);
        assert_eq!(lock.outcome(), "done");
    });
}

#[test]
fn our_wait_is_served_whenever_a_lock_of_redisson_gets_free() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        for kind in kinds_that_exclude(jvm) {
            for free in ["unlock", "forceUnlock"] {
                assert_eq!(stage.theirs.call(&format!("lock {kind} orders")), "done");
                let acquire = "LOCK.ACQUIRE orders me 600000 WAIT 600000";
                let mut waiter = Waiter::start(&stage.server, acquire);
                assert!(!waiter.has_reply(), "{kind}");
                stage.theirs.call(&format!("{free} {kind} orders"));
                assert_eq!(waiter.grant()[..2], [1, 1], "{kind} after {free}");
                assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);
            }
        }
        // One that is never unlocked ends with its lease.
        assert_eq!(stage.theirs.call("lock lock orders 500"), "done");
        let acquire = "LOCK.ACQUIRE orders me 600000 WAIT 600000";
        assert_eq!(Waiter::start(&stage.server, acquire).grant()[0], 1);
    });
}

#[test]
fn redissons_watchdog_renews_its_own_lock_and_never_ours() {
    with_each_version(|jvm| {
        let mut stage = Stage::with_watchdog(jvm, 6_000);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        assert_eq!(theirs.call("lock lock orders"), "done");
        let acquire = "LOCK.ACQUIRE orders me 600000 WAIT 600000";
        let mut waiter = Waiter::start(&stage.server, acquire);
        let first = ours.deadline("orders");
        eventually("the watchdog renews it", || ours.deadline("orders") > first);
        assert!(!waiter.has_reply());

        // The watchdog is not told that its lock is gone.
        assert_eq!(ours.int("LOCK.FORCERELEASE orders"), 1);
        assert_eq!(waiter.grant()[0], 1);
        let (before, scripts_before) = (ours.stored("orders"), scripts(ours));
        eventually("the watchdog tries", || scripts(ours) > scripts_before);
        assert_eq!(ours.stored("orders"), before);
    });
}

#[test]
fn redisson_waits_for_as_long_as_our_wait_queue_is_not_empty() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE orders o0 600000");
        let mut lock = stage.start_sleeper("lock lock orders", CHANNEL);
        let mut listener = Listener::subscribe(&stage.server, CHANNEL);
        for holder in 0..10 {
            let next = format!("LOCK.ACQUIRE orders o{} 600000 WAIT 600000", holder + 1);
            let mut waiter = Waiter::start(&stage.server, &next);
            stage.ours.int(&format!("LOCK.RELEASE orders o{holder}"));
            assert_eq!(waiter.grant()[0], 1);
        }
        listener.assert_quiet();
        assert!(!lock.has_returned());
        stage.ours.int("LOCK.RELEASE orders o10");
        assert_eq!(lock.outcome(), "done");
    });
}

#[test]
fn a_fair_lock_of_redisson_is_not_woken_by_our_release_and_its_queue_is_overtaken() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let channel = format!("{CHANNEL}:{}", stage.theirs.thread(0).owner());
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        // It has a queue of its own, and a channel for each thread in it.
        let mut lock = stage.start_sleeper("lock fair orders", &channel);
        assert_eq!(stage.ours.int("LLEN redisson_lock_queue:{orders}"), 1);
        assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);
        thread::sleep(Duration::from_millis(300));
        assert!(!lock.has_returned());
        assert_eq!(stage.ours.grant("LOCK.ACQUIRE orders me 600000")[0], 1);
        assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);

        // It takes the lock once anything wakes it: its channel, or the end of the lease that it saw.
        stage.ours.run(&format!("PUBLISH {channel} 0"));
        assert_eq!(lock.outcome(), "done");
        assert_eq!(stage.theirs.call("unlock fair orders"), "done");
        stage.ours.grant("LOCK.ACQUIRE orders me 1500");
        let mut lock = stage.theirs.start("lock fair orders");
        eventually(
            "it is in its queue, or asked too late to see the lease",
            || stage.ours.int("LLEN redisson_lock_queue:{orders}") == 1 || lock.has_returned(),
        );
        stage.ours.run("LOCK.RELEASE orders me");
        assert_eq!(lock.outcome(), "done");
    });
}

#[test]
fn a_held_read_or_write_lock_of_redisson_is_no_lock_to_us() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let owner = theirs.thread(0).owner();
        for kind in ["read", "write"] {
            assert_eq!(theirs.call(&format!("tryLock {kind} orders")), "true");
            let before = ours.stored("orders");
            for call in [
                "LOCK.ACQUIRE orders OWNER 600000",
                "LOCK.ACQUIRE orders OWNER 600000 WAIT 600000",
                "LOCK.ACQUIRE orders OWNER 600000 SESSION",
                "LOCK.RELEASE orders OWNER",
                "LOCK.RENEW orders OWNER",
                "LOCK.ASSERT orders OWNER",
                "LOCK.INFO orders",
                "LOCK.FORCERELEASE orders",
            ] {
                for name in ["me", &owner, &format!("{owner}:write")] {
                    let reply = ours.run(&call.replace("OWNER", name));
                    assert!(reply.starts_with("WRONGTYPE "), "{kind}, {call}: {reply}");
                }
            }
            assert_eq!(ours.stored("orders"), before);
            assert_eq!(theirs.call(&format!("unlock {kind} orders")), "done");
            assert_eq!(ours.grant("LOCK.ACQUIRE orders me 600000")[0], 1);
            assert_eq!(ours.int("LOCK.RELEASE orders me"), 0);
        }
    });
}

#[test]
fn a_read_lock_of_redisson_on_our_name_does_not_hang_the_server_for_ever() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE k me 60000");
        let before = stage.ours.stored("k");
        let mut lock = stage.start_sleeper("lock read k", "redisson_rwlock:{k}");
        let thrown = stage.theirs.thread(1).call("unlock read k");
        assert!(thrown.starts_with(NOT_LOCKED_BY_IT), "{thrown}");
        assert!(!lock.has_returned());
        assert_eq!(stage.ours.stored("k"), before);
        // The story's script took the lock, and its unlock counted down from our token.
        assert_eq!(stage.ours.int("LOCK.RELEASE k me"), 0);
        stage.ours.run("PUBLISH redisson_rwlock:{k} 0");
        assert_eq!(lock.outcome(), "done");
        assert_eq!(stage.theirs.call("unlock read k"), "done");
        assert_eq!(stage.ours.grant("LOCK.ACQUIRE k me 60000")[0], 1);
    });
}

#[test]
fn a_read_or_write_lock_of_redisson_is_not_woken_by_our_release() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        for kind in ["read", "write"] {
            stage.ours.grant("LOCK.ACQUIRE orders me 600000");
            let call = format!("lock {kind} orders");
            let mut lock = stage.start_sleeper(&call, "redisson_rwlock:{orders}");
            assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);
            thread::sleep(Duration::from_millis(300));
            assert!(!lock.has_returned());
            // It takes the lock once anything wakes it: its channel, or the end of the lease that it saw.
            stage.ours.run("PUBLISH redisson_rwlock:{orders} 0");
            assert_eq!(lock.outcome(), "done");
            assert_eq!(stage.theirs.call(&format!("unlock {kind} orders")), "done");
        }
    });
}

#[test]
fn a_lock_of_redisson_tells_of_ours_that_it_is_held_and_for_how_long() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let kinds = kinds_that_exclude(jvm)
            .into_iter()
            .map(|kind| (kind, "true"));
        // A read or write lock cannot tell: it asks for a mode of its own.
        for (kind, held) in kinds.chain([("read", "false"), ("write", "false")]) {
            let theirs = |call: &str| stage.theirs.call(&format!("{call} {kind} orders"));
            assert_eq!(theirs("isLocked"), held, "{kind}");
            assert_eq!(theirs("isHeldByCurrentThread"), "false", "{kind}");
            assert_eq!(theirs("getHoldCount"), "0", "{kind}");
            let left: i64 = theirs("remainTimeToLive").parse().unwrap();
            assert!((500_000..=600_000).contains(&left), "{kind}: {left}");
        }
        stage.ours.int("LOCK.RELEASE orders me");
        for kind in kinds_that_exclude(jvm) {
            assert_eq!(
                stage.theirs.call(&format!("isLocked {kind} orders")),
                "false"
            );
        }
    });
}

#[test]
fn a_force_unlock_of_redisson_frees_ours_but_that_of_a_read_or_write_lock() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let before = stage.ours.stored("orders");
        for kind in ["read", "write"] {
            assert_eq!(
                stage.theirs.call(&format!("forceUnlock {kind} orders")),
                "false"
            );
            assert_eq!(stage.ours.stored("orders"), before, "{kind}");
        }
        stage.ours.int("LOCK.RELEASE orders me");
        for kind in kinds_that_exclude(jvm) {
            stage.ours.grant("LOCK.ACQUIRE orders me 600000");
            let next = "LOCK.ACQUIRE orders next 600000 WAIT 600000";
            let mut waiter = Waiter::start(&stage.server, next);
            assert_eq!(
                stage.theirs.call(&format!("forceUnlock {kind} orders")),
                "true"
            );
            assert_eq!(waiter.grant()[0], 1, "{kind}");
            let reply = stage.ours.run("LOCK.RELEASE orders me");
            assert!(reply.starts_with("NOTOWNER "), "{kind}: {reply}");
            assert_eq!(stage.ours.int("LOCK.RELEASE orders next"), 0);
        }
    });
}

#[test]
fn an_owner_of_one_id_reenters_from_both_sides() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let owner = theirs.thread(0).owner();
        let [_, _, token, _] = ours.grant(&format!("LOCK.ACQUIRE orders {owner} 600000"));
        assert_eq!(theirs.call("tryLock lock orders"), "true");
        assert_eq!(ours.holder("orders"), format!("{owner} 2 {token}"));
        // Unlike ours, its reentry sets the lease to its own, which may be shorter.
        assert!(ours.int("PTTL orders") <= 30_000);
        assert_eq!(theirs.call("getHoldCount lock orders"), "2");
        assert_eq!(ours.int(&format!("LOCK.RELEASE orders {owner}")), 1);
        assert_eq!(theirs.call("unlock lock orders"), "done");
        assert_eq!(ours.holder("orders"), "free");

        assert_eq!(theirs.call("tryLock lock orders"), "true");
        let [_, holds, token, _] = ours.grant(&format!("LOCK.ACQUIRE orders {owner} 600000"));
        assert!(holds == 2 && token > 0);
        assert_eq!(theirs.call("unlock lock orders"), "done");
        assert_eq!(ours.int(&format!("LOCK.RELEASE orders {owner}")), 0);
    });
}

#[test]
fn a_read_unlock_of_redisson_by_our_owners_id_deletes_the_lock() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let owner = theirs.thread(0).owner();
        for holds in [1, 2, 3] {
            for _ in 0..holds {
                ours.grant(&format!("LOCK.ACQUIRE orders {owner} 600000"));
            }
            // To take it is refused, and so is the write lock's unlock.
            for kind in ["read", "write"] {
                assert_eq!(theirs.call(&format!("tryLock {kind} orders")), "false");
            }
            let thrown = theirs.call("unlock write orders");
            assert!(thrown.starts_with(NOT_LOCKED_BY_IT), "{thrown}");
            assert_eq!(ours.int(&format!("HGET orders {owner}")), holds);
            assert_eq!(theirs.call("unlock read orders"), "done");
            assert_eq!(ours.int("EXISTS orders"), 0);
        }
    });
}

#[test]
fn a_hold_bound_to_our_session_that_redisson_unlocks_closes_that_connection() {
    with_each_version(|jvm| {
        let stage = Stage::start(jvm);
        let theirs = &stage.theirs;
        for (owner, free) in [
            (theirs.thread(0).owner(), "unlock lock orders"),
            ("me".to_owned(), "forceUnlock lock orders"),
        ] {
            let acquire = format!("LOCK.ACQUIRE orders {owner} 600000 SESSION");
            let mut session = Waiter::start(&stage.server, &acquire);
            assert_eq!(session.grant()[0], 1);
            theirs.call(free);
            assert_eq!(session.reply(), "closed", "{free}");
        }
    });
}

#[test]
fn a_multi_lock_of_redisson_takes_all_or_nothing_beside_ours() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        ours.grant("LOCK.ACQUIRE orders me 600000");
        for names in ["orders,invoices", "invoices,orders"] {
            assert_eq!(theirs.call(&format!("tryLock multi {names}")), "false");
            assert_eq!(ours.int("EXISTS invoices"), 0);
        }
        ours.int("LOCK.RELEASE orders me");
        assert_eq!(theirs.call("tryLock multi orders,invoices"), "true");
        for name in ["orders", "invoices"] {
            assert_eq!(ours.grant(&format!("LOCK.ACQUIRE {name} me"))[0], 0);
        }
        assert_eq!(theirs.call("unlock multi orders,invoices"), "done");
        for name in ["orders", "invoices"] {
            assert_eq!(ours.grant(&format!("LOCK.ACQUIRE {name} me"))[0], 1);
        }
    });
}

#[test]
fn a_fenced_lock_of_redisson_counts_tokens_of_its_own() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let owner = theirs.thread(0).owner();
        assert_eq!(theirs.call("tryLockAndGetToken fenced orders 0"), "1");
        assert_eq!(ours.holder("orders"), format!("{owner} 1 0"));
        theirs.call("unlock fenced orders");
        let [_, _, token, _] = ours.grant("LOCK.ACQUIRE orders me 600000");
        assert!(token > 1_000_000_000_000_000);
        assert_eq!(theirs.call("tryLockAndGetToken fenced orders 0"), "null");
        ours.int("LOCK.RELEASE orders me");
        // After ours, which was larger by far.
        assert_eq!(theirs.call("tryLockAndGetToken fenced orders 0"), "2");
    });
}

#[test]
fn a_multi_lock_of_values_breaks_into_our_lock() {
    with_each_version(|jvm| {
        if !jvm.is_version_4() {
            return;
        }
        let mut stage = Stage::with_watchdog(jvm, 600_000);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        let acquire = "LOCK.ACQUIRE orders me 120000 SESSION";
        let mut session = Waiter::start(&stage.server, acquire);
        assert_eq!(session.grant()[0], 1);
        assert_eq!(theirs.call("tryLock values orders"), "true");
        // The session is lost, and the lease is as long as Redisson's.
        assert_eq!(session.reply(), "closed");
        assert!(ours.int("PTTL orders") > 500_000);
        for call in ["ACQUIRE", "RELEASE", "RENEW", "ASSERT"] {
            let reply = ours.run(&format!("LOCK.{call} orders me"));
            assert!(reply.starts_with("WRONGTYPE "), "{call}: {reply}");
        }
        // Its unlock takes its fields away, and leaves our lock as it was.
        assert_eq!(theirs.call("unlock values orders"), "done");
        assert_eq!(ours.run("LOCK.ASSERT orders me"), "OK");
    });
}

#[test]
fn a_multi_lock_of_values_that_is_held_is_no_lock_to_us() {
    with_each_version(|jvm| {
        if !jvm.is_version_4() {
            return;
        }
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        assert_eq!(theirs.call("tryLock values orders"), "true");
        let before = ours.stored("orders");
        for call in ["ACQUIRE", "RELEASE", "RENEW", "ASSERT", "FORCERELEASE"] {
            let owner = if call == "FORCERELEASE" { "" } else { "me" };
            let reply = ours.run(&format!("LOCK.{call} orders {owner}"));
            assert!(reply.starts_with("WRONGTYPE "), "{call}: {reply}");
        }
        assert_eq!(ours.stored("orders"), before);
        assert_eq!(theirs.call("unlock values orders"), "done");
        assert_eq!(ours.grant("LOCK.ACQUIRE orders me 600000")[0], 1);
    });
}

#[test]
fn the_documentation_names_each_test_beside_what_it_shows() {
    let page = include_str!("../../docs/redisson.md");
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit('`').next())
        .filter(|name| name.contains('_') && !name.contains(' '))
        .collect();
    let here = [
        include_str!("redisson_real.rs"),
        include_str!("redisson_real/moving.rs"),
    ];
    let tests: BTreeSet<&str> = here
        .iter()
        .flat_map(|file| file.split("#[test]\nfn ").skip(1))
        .filter_map(|test| test.split('(').next())
        .filter(|name| *name != "the_documentation_names_each_test_beside_what_it_shows")
        .collect();
    assert_eq!(named, tests);
}

/// The kinds of Redisson's locks that exclude ours, and that ours excludes.
fn kinds_that_exclude(jvm: &Jvm) -> Vec<&'static str> {
    let mut kinds = vec!["lock", "spin", "fair", "fenced"];
    if jvm.is_version_4() {
        kinds.extend(["nonreentrant", "nonreentrantfair"]);
    }
    kinds
}

/// How many scripts a server has run. Those that it did not know yet by their hash were sent twice.
fn scripts(ours: &mut Client) -> u64 {
    let stats = ours.run("INFO commandstats");
    let field = |line: &str, name: &str| -> u64 {
        let value = line.split(name).nth(1).unwrap();
        value.split(',').next().unwrap().trim().parse().unwrap()
    };
    let scripts = stats
        .lines()
        .filter(|line| line.starts_with("cmdstat_eval"));
    scripts
        .map(|line| field(line, "calls=") - field(line, ",failed_calls="))
        .sum()
}

/// A server with a client of ours and one of Redisson's.
struct Stage {
    _watch: Watch,
    theirs: Redisson,
    ours: Client,
    server: Server,
}

impl Stage {
    fn start(jvm: &'static Jvm) -> Stage {
        Stage::with_watchdog(jvm, 30_000)
    }

    /// One whose Redisson takes locks for so many ms, and renews them every third of that.
    fn with_watchdog(jvm: &'static Jvm, timeout: u64) -> Stage {
        // A script that runs for longer than this many ms makes the server BUSY to the watch.
        let server = Setup::new().config("lua-time-limit 1000").start();
        Stage {
            _watch: Watch::start(&server),
            theirs: jvm.connect(&server.url(), timeout),
            ours: server.client(),
            server,
        }
    }

    /// Starts a call of Redisson's that has to wait, and returns once it sleeps until a message
    /// comes: it asks, subscribes, and asks again.
    fn start_sleeper(&mut self, call: &str, channel: &str) -> Call {
        let before = scripts(&mut self.ours);
        let call = self.theirs.start(call);
        let subscribed = format!("[{channel} 1]");
        let numsub = format!("PUBSUB NUMSUB {channel}");
        eventually("it sleeps", || {
            self.ours.run(&numsub) == subscribed && scripts(&mut self.ours) >= before + 2
        });
        call
    }
}

/// Asks a server all the time whether it still answers, and fails the test where it does not.
struct Watch {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(server: &Server) -> Watch {
        let ended = Arc::new(AtomicBool::new(false));
        let (mut client, until) = (server.client(), ended.clone());
        let watch = move || {
            while !until.load(Ordering::Relaxed) {
                assert_eq!(client.run("PING"), "PONG");
                thread::sleep(Duration::from_millis(20));
            }
        };
        Watch {
            ended,
            thread: Some(thread::spawn(watch)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let outcome = self.thread.take().map(JoinHandle::join);
        let answered = matches!(outcome, Some(Ok(())));
        assert!(answered || thread::panicking(), "the server hung");
    }
}
