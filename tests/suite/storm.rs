//! A storm of pauses, failovers that time out, aborted shutdowns, slots that move, foreign writes and
//! mass expiry, while clients take and wait for locks in every way. The server outlives it, everyone
//! gets one answer to each call, and in the end nothing is left behind.
//!
//! `LOCK_TEST_STORM_SECONDS` says for how long (`make storm` takes minutes). What is done is drawn from
//! a seed, which it prints; `LOCK_TEST_STORM_SEED` repeats one, though not its timing. A server that is
//! built with AddressSanitizer sees more: `make storm-asan`.

mod actor;
mod aftermath;
mod calls;
mod control;
mod moves;
mod replies;
mod trouble;
mod world;

use crate::support::{allow_many_files, shard_replica, three_masters, Server, Setup};
use control::Control;
use fastrand::Rng;
use moves::Moves;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant, UNIX_EPOCH};
use world::World;

/// So many clients at a time.
const CLIENTS: usize = 32;

/// How much more memory a server may have taken in the end than after a first, shorter storm.
const GROWTH: u64 = 400_000;

#[test]
fn a_server_and_its_replica_outlive_a_storm() {
    let setup = setup()
        .config("appendonly yes")
        .config("shutdown-timeout 600");
    let master = setup.clone().start();
    let replica = master.replica(setup);
    let world = World::new(vec![master], vec![String::new()], 3);
    storm(
        &world,
        |dice| trouble::run(&world, &replica, dice),
        |dice| {
            let mut control = Control::new(&world, 0, dice);
            control.let_crowd_go();
            control::calm_down(&mut control);
            control.say(trouble::USER);
            control.say("CONFIG SET appendonly yes");
            vec![(0, &replica)]
        },
    );
}

#[test]
fn a_cluster_outlives_a_storm() {
    let setup = setup()
        .config("cluster-require-full-coverage no")
        .config("cluster-node-timeout 3000");
    let mut nodes = three_masters(&setup);
    let replica = shard_replica(&nodes[0], &nodes, setup);
    nodes.push(replica);
    // Their slots are 5061, 9189, 13120 and 11: of each node some.
    let prefixes = ["{a}", "{b}", "{c}", "{d}", "{e}", "{f}"].map(str::to_owned);
    let world = World::new(nodes, prefixes.to_vec(), 1);
    storm(
        &world,
        |dice| moves::run(&world, dice),
        |mut dice| {
            for node in 0..world.nodes.len() {
                control::calm_down(&mut Control::new(&world, node, dice.fork()));
            }
            Moves::new(&world, &mut dice).settle();
            aftermath::pairs(&world.nodes)
        },
    );
}

fn setup() -> Setup {
    let quiet = [
        "latency-tracking no",
        "slowlog-log-slower-than -1",
        "acllog-max-len 0",
    ];
    let setup = quiet.into_iter().fold(Setup::new(), Setup::config);
    setup
        .junk_freed_memory()
        .config("enable-module-command yes")
        .config("crash-memcheck-enabled no")
        .config("repl-backlog-size 16kb")
        .config("repl-ping-replica-period 1")
        .config("client-output-buffer-limit replica 0 0 0")
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// A short storm and a long one. `calm` ends the trouble, and says which masters have which replica
/// then.
fn storm<'w>(
    world: &'w World,
    trouble: impl Fn(Rng) + Sync,
    calm: impl Fn(Rng) -> Vec<(usize, &'w Server)>,
) {
    let seed = number_from("LOCK_TEST_STORM_SEED")
        .unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_millis() as u64);
    let seconds = number_from("LOCK_TEST_STORM_SECONDS").unwrap_or(5);
    println!("LOCK_TEST_STORM_SEED={seed}, {seconds} s");
    allow_many_files();
    for node in &world.nodes {
        node.client().run(trouble::USER);
    }
    let whole = Duration::from_secs(seconds);
    let mut before = Vec::new();
    for (phase, time) in [whole / 4, whole * 3 / 4].into_iter().enumerate() {
        let mut dice = Rng::with_seed(seed.wrapping_add(phase as u64));
        blow(world, time, &trouble, &mut dice);
        let calls = world.resume().unwrap_or_else(|wrong| {
            let last: Vec<String> = world.nodes.iter().map(Server::last_words).collect();
            // The calls last: they are many.
            panic!("{}\n{wrong}", last.join("\n"))
        });
        world.nodes.iter().for_each(Server::assert_sound);
        let pairs = calm(dice.fork());
        world.nodes.iter().for_each(aftermath::nothing_is_left);
        for (master, replica) in pairs {
            aftermath::check_data(&world.nodes[master], replica, world.databases);
        }
        let after: Vec<u64> = world.nodes.iter().map(aftermath::memory).collect();
        println!("{calls} calls, memory {after:?}");
        for (before, after) in before.iter().zip(&after) {
            let grown = *after > before + GROWTH && world::forgets_scripts();
            assert!(!grown, "{before} bytes before, {after} after");
        }
        before = after;
    }
    world.nodes.iter().for_each(aftermath::unload);
}

/// Lets it blow for so long, and then has everyone answered.
fn blow(world: &World, time: Duration, trouble: &(impl Fn(Rng) + Sync), dice: &mut Rng) {
    let at_work = AtomicUsize::new(CLIENTS + 1);
    let work = |work: &dyn Fn()| {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            world.fail("someone in the storm panicked".to_owned());
        }
        at_work.fetch_sub(1, SeqCst);
    };
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let dice = dice.fork();
            scope.spawn(move || work(&|| actor::run(world, number, dice.clone())));
        }
        let dice = dice.fork();
        scope.spawn(move || work(&|| trouble(dice.clone())));
        let start = Instant::now();
        while start.elapsed() < time && !world.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        world.end();
        // Whoever waits gets the lock, one after the other.
        while at_work.load(SeqCst) > 0 {
            for node in 0..world.nodes.len() {
                aftermath::let_waiters_go(world, node);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}
