//! Hundreds of clients contend for a few locks, and much goes wrong meanwhile: clients are killed,
//! unblocked or go away, holders die, locks are taken from their owners. At no time does a lock
//! have two owners, and in the end nothing is left behind.
//!
//! `LOCK_TEST_SOAK_SECONDS` says for how long (`make soak` takes minutes). What it does is drawn
//! from a seed, which it prints; `LOCK_TEST_SOAK_SEED` repeats one, though not its timing.

mod line;
mod registry;
mod troublemaker;
mod worker;

use crate::support::{allow_many_files, eventually, Client, Server, Setup, Waiter};
use fastrand::Rng;
use registry::Registry;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant, UNIX_EPOCH};
use worker::Worker;

const CLIENTS: usize = 500;

/// The locks are `k0`, `k1` and so on. Nobody takes the calm ones, which come first, from who holds
/// them.
const LOCKS: usize = 24;
const CALM: usize = 12;

/// How much more memory the server may have taken in the end than after it has warmed up. A leak of
/// a few bytes a wait would be more.
const GROWTH: u64 = 100_000;

/// What has to happen, and be counted.
const SEEN: [&str; 7] = [
    "handed_over",
    "waits_started",
    "waits_timed_out",
    "waits_cancelled",
    "expired_while_waited_for",
    "deadlocks_refused",
    "forced",
];

#[test]
fn a_lock_never_has_two_owners_and_nothing_is_left_behind_whatever_goes_wrong() {
    let seed = number_from("LOCK_TEST_SOAK_SEED")
        .unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_millis() as u64);
    let seconds = number_from("LOCK_TEST_SOAK_SECONDS").unwrap_or(5);
    println!("LOCK_TEST_SOAK_SEED={seed}, {seconds} s");
    allow_many_files();
    let server = start();
    let mut client = server.client();
    let registry = Registry::new(LOCKS);
    let whole = Duration::from_secs(seconds);

    soak(&server, &registry, seed, whole / 4);
    let_many_wait(&server, &mut client);
    let before = settled_memory(&mut client);
    soak(&server, &registry, seed + 1, whole * 3 / 4);
    let (mut after, most) = (u64::MAX, before + GROWTH);
    eventually(
        &format!("the server takes no more than {most} bytes"),
        || {
            after = after.min(memory(&mut client));
            after <= most
        },
    );
    let holds = registry.holds.load(SeqCst);
    println!("{holds} holds, {before} bytes before, {after} after");
    // On a busy machine little happens in a second.
    for more in 2..60 {
        if SEEN.iter().all(|counter| client.counter(counter) > 0) {
            break;
        }
        soak(&server, &registry, seed + more, Duration::from_secs(1));
    }
    for counter in SEEN {
        println!("{counter} {}", client.counter(counter));
        assert!(client.counter(counter) > 0, "no {counter}");
    }
}

/// The server keeps some of the clients that it makes for calls which wait, 18 KB each, as many as ever waited at once: on a
/// busy machine those are few in a second.
fn let_many_wait(server: &Server, client: &mut Client) {
    client.grant("LOCK.ACQUIRE k0 warm 60000");
    let lines = (0..32).map(|number| format!("LOCK.ACQUIRE k0 warm-{number} 60000 WAIT 0"));
    drop(Waiter::start_all(server, lines));
    eventually("nobody waits", || client.counter("waiters") == 0);
    client.run("LOCK.RELEASE k0 warm");
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn start() -> Server {
    Setup::new()
        .config("slowlog-log-slower-than -1")
        // The server keeps times of each command once it has run, and of each at another time.
        .config("latency-tracking no")
        .start()
}

/// Lets all contend for so long, and checks that nothing is left.
fn soak(server: &Server, registry: &Registry, seed: u64, time: Duration) {
    let ids: Vec<AtomicI64> = (0..CLIENTS).map(|_| AtomicI64::new(0)).collect();
    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            let dice = Rng::with_seed(seed.wrapping_add(number as u64));
            let work = move || Worker::new(server, registry, number, id, dice).run();
            clients.push(scope.spawn(move || till_the_end(registry, work)));
        }
        let dice = Rng::with_seed(seed.wrapping_add(CLIENTS as u64));
        let trouble = || troublemaker::run(server, registry, &ids, dice);
        clients.push(scope.spawn(|| till_the_end(registry, trouble)));
        let start = Instant::now();
        while clients.iter().any(|client| !client.is_finished()) {
            if start.elapsed() >= time {
                registry.stop();
            }
            if registry.has_failed() {
                // Whoever waits may wait for one who has given up.
                server.signal(libc::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    if let Err(wrong) = registry.resume() {
        panic!("{wrong}\n{}", server.last_words());
    }
    let mut client = server.client();
    let locks: Vec<String> = (0..LOCKS).map(|lock| format!("k{lock}")).collect();
    let exists = format!("EXISTS {}", locks.join(" "));
    eventually("nobody waits, is blocked, or holds a lock", || {
        let blocked = client.info("clients", "blocked_clients").unwrap();
        let waiting = [client.counter("waiters"), client.counter("lines")];
        blocked == "0" && waiting == [0, 0] && client.int(&exists) == 0
    });
}

fn memory(client: &mut Client) -> u64 {
    let used = client.info("memory", "used_memory").unwrap();
    used.parse().unwrap()
}

/// Ends the soak for all when one of them panics: the server is gone, most likely.
fn till_the_end(registry: &Registry, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        registry.fail("", "a client of the soak panicked".to_owned());
    }
}

/// The memory that the server takes, once that does not fall any more, to speak of.
fn settled_memory(client: &mut Client) -> u64 {
    let (mut settled, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < Duration::from_millis(1500) {
        let now = memory(client);
        if now + GROWTH / 10 < settled {
            (settled, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    settled
}
