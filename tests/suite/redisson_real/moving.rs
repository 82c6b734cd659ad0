//! Workers move from Redisson's lock to `LOCK.*` under one name, and back, while they work. The steps are those
//! of `docs/redisson.md`.

use super::driver::{with_each_version, Jvm};
use super::{scripts, Stage, CHANNEL};
use crate::support::{eventually, module, nothing_sold, until_all_have_worked};
use crate::support::{Server, Setup, Waiter, Worker};

const CHANNELS: &str = "PUBSUB CHANNELS redisson_lock__channel:*";

#[test]
fn workers_move_from_redisson_to_ours_and_back_one_by_one_while_they_work() {
    with_each_version(|jvm| {
        let setup = Setup::without_module().config("enable-module-command yes");
        let server = setup.start();
        let mut probe = server.client();
        nothing_sold(&mut probe);
        let redissons = ["lock lock orders", "lock lock orders 20000"];
        let ours = ["SESSION", ""];
        let mut holds = 0;

        // Redisson only, and then the module comes while they work.
        let mut workers: Vec<Worker> = (0..4)
            .map(|number| of_redisson(jvm, &server, redissons[number % 2]))
            .collect();
        let mut stop = |worker: Worker| holds += worker.stop();
        until_all_have_worked(&workers);
        let load = format!("MODULE LOAD {}", module().display());
        assert_eq!(probe.run(&load), "OK");
        until_all_have_worked(&workers);

        // One by one, until there is only ours.
        for number in 0..4 {
            stop(workers.remove(0));
            workers.push(of_ours(&server, number, ours[number % 2]));
            until_all_have_worked(&workers);
        }
        eventually("nobody listens for Redisson's locks", || {
            probe.run(CHANNELS) == "[]"
        });
        let before = scripts(&mut probe);
        until_all_have_worked(&workers);
        assert_eq!(scripts(&mut probe), before);

        // And back.
        for number in 0..4 {
            stop(workers.remove(0));
            workers.push(of_redisson(jvm, &server, redissons[number % 2]));
            until_all_have_worked(&workers);
        }
        assert_eq!(probe.run("MODULE UNLOAD lock"), "OK");
        until_all_have_worked(&workers);
        workers.into_iter().for_each(&mut stop);
        assert_eq!(probe.int("GET sold"), holds as i64);
        assert_eq!(probe.run("EXISTS orders"), "0");
    });
}

#[test]
fn a_lock_that_a_killed_redisson_left_behind_is_ours_when_its_lease_is_over() {
    with_each_version(|jvm| {
        // In this order the watch ends before the server does.
        let Stage {
            server,
            mut ours,
            theirs,
            _watch,
        } = Stage::with_watchdog(jvm, 10_000);
        assert_eq!(theirs.call("lock lock orders"), "done");
        let acquire = "LOCK.ACQUIRE orders me 600000 WAIT 600000";
        let mut waiter = Waiter::start(&server, acquire);
        // It unlocks nothing, and its watchdog ends with it.
        drop(theirs);
        let left = ours.int("PTTL orders");
        assert!((1..=10_000).contains(&left), "{left}");
        assert!(!waiter.has_reply());
        assert_eq!(waiter.grant()[..2], [1, 1]);
    });
}

#[test]
fn what_redisson_still_does_with_a_lock_shows_in_the_token_the_channels_and_the_scripts() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        assert_eq!(stage.ours.run(CHANNELS), "[]");
        let ran = scripts(&mut stage.ours);

        // It holds the lock: the token is 0.
        assert_eq!(stage.theirs.call("lock lock orders"), "done");
        let owner = stage.theirs.thread(0).owner();
        assert_eq!(stage.ours.holder("orders"), format!("{owner} 1 0"));
        assert_eq!(stage.theirs.call("unlock lock orders"), "done");
        assert!(scripts(&mut stage.ours) > ran);

        // It waits for the lock: it listens to the channel, until it has no use for it any more.
        stage.ours.grant("LOCK.ACQUIRE orders me 600000");
        let lock = stage.start_sleeper("lock lock orders", CHANNEL);
        assert_eq!(stage.ours.run(CHANNELS), format!("[{CHANNEL}]"));
        assert_eq!(stage.ours.int("LOCK.RELEASE orders me"), 0);
        assert_eq!(lock.outcome(), "done");
        assert_eq!(stage.theirs.call("unlock lock orders"), "done");
        let ours = &mut stage.ours;
        eventually("it listens no more", || ours.run(CHANNELS) == "[]");
    });
}

#[test]
fn a_fenced_lock_of_redisson_goes_on_from_the_token_that_its_counter_is_set_to() {
    with_each_version(|jvm| {
        let mut stage = Stage::start(jvm);
        let (ours, theirs) = (&mut stage.ours, &stage.theirs);
        assert_eq!(theirs.call("tryLockAndGetToken fenced orders 0"), "1");
        assert_eq!(theirs.call("unlock fenced orders"), "done");
        let [_, _, token, _] = ours.grant("LOCK.ACQUIRE orders me 600000");
        assert_eq!(ours.int("LOCK.RELEASE orders me"), 0);
        let counter = format!("SET redisson_lock_token:{{orders}} {token}");
        assert_eq!(ours.run(&counter), "OK");
        let next = theirs.call("tryLockAndGetToken fenced orders 0");
        assert_eq!(next, (token + 1).to_string());
    });
}

/// One that calls Redisson like this.
fn of_redisson(jvm: &'static Jvm, server: &Server, lock: &'static str) -> Worker {
    let theirs = jvm.connect(&server.url(), 30_000);
    Worker::start(server, move |sell| {
        assert_eq!(theirs.call(lock), "done");
        sell();
        assert_eq!(theirs.call("unlock lock orders"), "done");
    })
}

/// One that waits with `LOCK.ACQUIRE`, for a session or a lease.
fn of_ours(server: &Server, number: usize, kind: &'static str) -> Worker {
    let mut client = server.client();
    let acquire = format!("LOCK.ACQUIRE orders o{number} 20000 WAIT 600000 HOLDS 1 {kind}");
    Worker::start(server, move |sell| {
        let [acquired, _, token, _] = client.grant(&acquire);
        assert_eq!(acquired, 1);
        sell();
        let release = format!("LOCK.RELEASE orders o{number} HOLDS 0 TOKEN {token}");
        assert_eq!(client.int(&release), 0);
    })
}
