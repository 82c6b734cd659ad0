//! A master that stood still while its replica was promoted, and does not know of it when it goes on.

use super::pair::{Pair, Times, CUT_OFF};
use crate::support::{eventually, show, Cut, Waiter};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// What those do who ask the old master while it stands still. The first one has a session.
const ASKED: [&str; 3] = [
    "LOCK.ASSERT kept first",
    "LOCK.ACQUIRE kept first",
    "LOCK.ACQUIRE free first",
];

/// Lets the master stand still until the grace period of the promoted replica is over and someone
/// else has the locks. Returns what those are told who asked the old master meanwhile.
fn asked_meanwhile(cut: Option<Cut>) -> [String; 3] {
    let pair = Pair::start_alike(Times::safe(1500));
    let mut early = ASKED.map(|_| Waiter::begin(&pair.master, &[], "PING"));
    for waiter in &mut early {
        assert_eq!(waiter.reply(), "PONG");
    }
    let session = early[0].run("LOCK.ACQUIRE kept first 1500 SESSION");
    assert!(session.starts_with("[1 1 "), "{session}");
    pair.master.signal(libc::SIGSTOP);
    for (waiter, line) in early.iter_mut().zip(ASKED) {
        waiter.send(line);
    }
    if let Some(cut) = cut {
        pair.network.cut(cut);
    }
    pair.promote();
    pair.take_writes();
    let mut new = pair.replica.client();
    for lock in ["kept", "free"] {
        let grant = new.grant(&format!("LOCK.ACQUIRE {lock} second 1500 WAIT 0 SESSION"));
        assert_eq!(grant[0], 1);
    }
    pair.master.signal(libc::SIGCONT);
    let told = early.each_mut().map(Waiter::reply);
    for lock in ["kept", "free"] {
        assert_eq!(new.run(&format!("LOCK.ASSERT {lock} second")), "OK");
    }
    told
}

#[test]
fn a_master_that_stood_still_through_the_failover_grants_and_keeps_nothing_when_it_goes_on() {
    let cuts = [None, Some(Cut::Closed), Some(Cut::Frozen)];
    let threads = cuts.map(|cut| (cut, spawn(move || asked_meanwhile(cut))));
    for (cut, thread) in threads {
        let told = thread.join().unwrap();
        let held = |told: &String| told == "OK" || told.starts_with("[1 ");
        assert!(!told.iter().any(held), "{cut:?}: {told:?}");
    }
}

#[test]
fn a_master_that_stood_still_and_still_has_its_replica_goes_on_when_it_knows_that() {
    // Mostly the server runs what came meanwhile before it counts its replicas.
    assert!((0..5).any(|_| goes_on_when_it_knows()));
}

/// False where the server counted its replicas first, and had none that it knew of.
fn goes_on_when_it_knows() -> bool {
    let pair = Pair::start_alike(Times::safe(1500));
    let mut session = pair.master.client();
    session.grant("LOCK.ACQUIRE kept first 1500 SESSION");
    let mut old = pair.master.client();
    let [_, _, token, _] = old.grant("LOCK.ACQUIRE kept first 1500 SESSION");
    drop(session);
    let mut early = Waiter::start(&pair.master, "PING");
    assert_eq!(early.reply(), "PONG");
    let went_on = pair.master.stand_still(|| {
        early.send("LOCK.ACQUIRE orders me 1000");
        // Longer than the lease, and than a server may stand still unnoticed.
        sleep(Duration::from_millis(1800));
        early.until_arrived();
        Instant::now()
    });
    let value = early.value().unwrap();
    let Ok(busy) = redis::from_redis_value::<[i64; 4]>(value.clone()) else {
        assert!(show(&value).starts_with("NOREPLICAS "), "{}", show(&value));
        return false;
    };
    assert_eq!(busy[..3], [0; 3]);
    // F, and what rounding may take.
    assert!((1..=CUT_OFF as i64 + 2).contains(&busy[3]), "{busy:?}");
    assert!(pair.master.log().contains("may have been replaced"));
    eventually("it takes writes", || old.run("SET probe x") == "OK");
    let mut rival = Waiter::start(&pair.master, "LOCK.ACQUIRE kept second WAIT 0");
    let grant = old.grant("LOCK.ACQUIRE orders me 1000 WAIT 0");
    assert_eq!(grant[..2], [1, 1]);
    let after = went_on.elapsed().as_millis() as u64;
    assert!(after >= CUT_OFF, "{after}");
    // The session is as before: its connection was open all the while.
    assert_eq!(
        old.run(&format!("LOCK.ASSERT kept first TOKEN {token}")),
        "OK"
    );
    assert!(!rival.has_reply());
    drop(old);
    assert_eq!(rival.grant()[..2], [1, 1]);
    true
}

#[test]
fn a_session_came_back_whose_owner_was_told_in_doubt_that_it_had_lost_the_lock() {
    let calls = [
        ("LOCK.RELEASE kept me HOLDS 0", "-1"),
        ("LOCK.RENEW kept me 1500", "NOTOWNER"),
        ("LOCK.FORCERELEASE kept", "1"),
    ];
    let threads = calls.map(|(line, told)| {
        spawn(move || {
            // Mostly the server runs what came meanwhile before it counts its replicas.
            assert!((0..5).any(|_| stays_lost(line, told)), "{line}");
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

/// False where the server counted its replicas first, and had none that it knew of.
fn stays_lost(line: &str, told: &str) -> bool {
    let pair = Pair::start_alike(Times::safe(1500));
    let mut session = pair.master.client();
    session.grant("LOCK.ACQUIRE kept me 1500 SESSION");
    let mut early = Waiter::start(&pair.master, "PING");
    assert_eq!(early.reply(), "PONG");
    pair.master.stand_still(|| {
        early.send(line);
        // Longer than the lease, and than a server may stand still unnoticed.
        sleep(Duration::from_millis(1800));
        early.until_arrived();
    });
    let reply = early.reply();
    if reply.starts_with("NOREPLICAS ") {
        return false;
    }
    assert!(reply.starts_with(told), "{line}: {reply}");
    let mut client = pair.master.client();
    eventually("it takes writes", || client.run("SET probe x") == "OK");
    let mut next = Waiter::start(&pair.master, "LOCK.ACQUIRE kept you 1500 WAIT 0");
    assert_eq!(next.grant()[..2], [1, 1], "{line}");
    assert_eq!(client.counter("sessions_lost"), 1, "{line}");
    true
}
