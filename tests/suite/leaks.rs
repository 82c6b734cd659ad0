//! No callback loses memory: a thousand runs of each leave what the server has allocated as it was.
//!
//! How often each has run is counted by the module itself (`src/module/ffi/planted.rs`), which only a build for tests
//! does: with the module of a release these tests do not apply.

mod work;

use crate::memory::{self, Memory};
use crate::panics::{is_called, load, CALLBACKS};
use crate::support::{eventually, has_planted_faults, is_sanitized, skip, Server, Setup};
use std::time::{Duration, Instant, UNIX_EPOCH};
use work::Crew;

/// Each callback runs at least so often.
const RUNS: u64 = 1000;

/// How much more may be allocated after that, in bytes. With a block of 16 bytes a run it would be eight times as much.
const NOISE: i64 = 2 * RUNS as i64;

/// A server whose memory nothing but locks moves, and which counts the runs of the callbacks.
fn quiet() -> Setup {
    memory::quiet()
        .config("enable-module-command yes")
        .config("hz 500")
        .env("LOCK_COUNT_RUNS", "1")
}

/// The same, with a callback that loses a block. A server that looks for leaks itself is not asked to.
fn leaking(callback: &str) -> Setup {
    quiet().env("LOCK_PLANTED_LEAK", callback).may_crash()
}

/// What the server has allocated, once that does not fall any more. No other connection may be open: their buffers
/// grow and shrink.
fn settled(server: &Server) -> i64 {
    let mut client = server.client();
    eventually("the other connections are closed", || {
        client.info("clients", "connected_clients").as_deref() == Some("1")
    });
    let mut used = || -> i64 {
        let used = client.info("memory", "used_memory").unwrap();
        used.parse().unwrap()
    };
    let (mut least, mut since) = (used(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        let now = used();
        if now < least {
            (least, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    least
}

/// How often each callback runs before that is measured: what is allocated once, and kept, is there afterwards.
const BEFORE: u64 = RUNS / 5;

/// By how much the allocated memory grows while each callback runs so often.
fn growth(server: &Server, runs: u64) -> i64 {
    Crew::new(server).work(BEFORE);
    let before = settled(server);
    Crew::new(server).work(runs);
    settled(server) - before
}

/// How often a callback has run since the last time that the module was unloaded.
fn runs(log: &str, callback: &str) -> u64 {
    let end = format!(" runs of {callback}");
    let line = log.lines().rev().find_map(|line| line.strip_suffix(&end));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_thousand_runs_of_each_callback_leave_the_allocated_memory_as_it_was() {
    if !has_planted_faults() {
        return;
    }
    let server = quiet().start();
    // A quarter more, since one delivery may serve two.
    let growth = growth(&server, RUNS + RUNS / 4);
    assert!(growth < NOISE, "{growth} bytes");
    assert_eq!(server.client().run("MODULE UNLOAD lock"), "OK");
    let log = server.log();
    println!("{growth} bytes more");
    for callback in CALLBACKS {
        let runs = runs(&log, callback);
        println!("{runs} runs of {callback}");
        let enough = runs >= BEFORE + RUNS || callback == "unloading" || !is_called(callback);
        assert!(enough, "{runs} runs of {callback}");
    }
}

#[test]
fn a_thousand_times_that_the_module_is_loaded_leave_the_allocated_memory_as_it_was() {
    if !has_planted_faults() {
        return;
    }
    let server = quiet().start();
    let cycles = |count: u64| {
        let mut client = server.client();
        for _ in 0..count {
            assert_eq!(client.run("MODULE UNLOAD lock"), "OK");
            assert_eq!(load(&mut client), "OK");
        }
        drop(client);
        settled(&server)
    };
    let before = cycles(BEFORE);
    let growth = cycles(RUNS) - before;
    println!("{growth} bytes more");
    assert!(growth < NOISE, "{growth} bytes");
}

#[test]
fn a_block_that_a_callback_loses_is_found() {
    if !has_planted_faults() {
        return;
    }
    // In a command, in a timer, in an event, and where a wait ends. A variable names others.
    let some = "lock.acquire,a wakeup,a server event,an end of a wait";
    let wanted = std::env::var("LOCK_TEST_LEAKS").unwrap_or_else(|_| some.to_owned());
    let is_wanted =
        |callback: &&str| wanted == "all" || wanted.split(',').any(|it| it == *callback);
    let callbacks = CALLBACKS.into_iter().filter(is_wanted);
    for callback in callbacks.filter(|it| is_called(it) && *it != "unloading") {
        let server = leaking(callback).start();
        let growth = growth(&server, RUNS / 4);
        println!("{growth} bytes more with a leak in {callback}");
        assert!(growth > NOISE, "{callback}: {growth} bytes");
    }
}

/// After how many operations the memory is measured, and how many more there are until the end. Variables say how many
/// in all, and repeat a seed.
fn contended(setup: Setup) -> Memory {
    let variable = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let operations = variable("LOCK_TEST_MEMORY_OPERATIONS").unwrap_or(40_000);
    let seed = variable("LOCK_TEST_MEMORY_SEED")
        .unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_millis() as u64);
    println!("LOCK_TEST_MEMORY_SEED={seed}, {operations} operations");
    let memory = memory::run(&setup.start(), 4, operations / 4, seed);
    println!("{memory}");
    memory
}

#[test]
fn the_servers_memory_stays_flat_while_many_contend_leave_and_are_killed() {
    if is_sanitized() {
        return skip("AddressSanitizer keeps what is freed");
    }
    let memory = contended(quiet());
    assert!(memory.is_flat(), "{memory}");
}

#[test]
fn a_small_block_that_is_lost_with_each_acquire_is_seen_while_many_contend() {
    if !has_planted_faults() {
        return;
    }
    let memory = contended(leaking("lock.acquire"));
    assert!(!memory.is_flat(), "{memory}");
}
