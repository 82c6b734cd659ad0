//! `lockctl run`: the lock is lost.

use crate::{Running, assert_one_line, run, until_gone};
use lock_test_support::{Server, Setup};
use std::time::{Duration, Instant};

#[test]
fn the_command_is_ended_when_the_lock_is_lost() {
    let server = Server::start();
    let script =
        r#"exec 2>&-; trap "echo stopped; exit 0" TERM; echo on; while :; do sleep 0.05; done"#;
    let mut running = Running::start(&run(&server, "a", script));
    assert_eq!(running.line(), "on");
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    assert_eq!(running.line(), "stopped");
    let (status, text) = running.end();
    assert_eq!(status, 121);
    assert_one_line(&text, "the lock a was lost");
}

#[test]
fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let server = Server::start();
    let script = r#"trap "" TERM; sleep 600 & echo $! $$; wait"#;
    let mut running = Running::start(&run(&server, "--kill-after 0.3 a", script));
    let line = running.line();
    let pids: Vec<u32> = line.split(' ').map(|pid| pid.parse().unwrap()).collect();
    let start = Instant::now();
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    let (status, text) = running.end();
    assert_eq!(status, 121);
    assert!(text.contains("was killed"), "{text}");
    assert!(start.elapsed() >= Duration::from_millis(300));
    pids.into_iter().for_each(until_gone);
}

#[test]
fn what_outlives_the_command_is_killed_too() {
    let server = Server::start();
    // The shell ends at TERM; what it started ignores that.
    let script = r#"(trap "" TERM; exec sleep 600) & trap "exit 0" TERM; echo $!; wait"#;
    let mut running = Running::start(&run(&server, "--kill-after 0.3 a", script));
    let pid = running.line().parse().unwrap();
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    assert_eq!(running.end().0, 121);
    until_gone(pid);
}

#[test]
fn a_command_that_is_stopped_is_ended_too() {
    let server = Server::start();
    let mut running = Running::start(&run(
        &server,
        "--kill-after 600 a",
        "echo $$; exec sleep 600",
    ));
    let pid: u32 = running.line().parse().unwrap();
    lock_test_support::send_signal(pid, libc::SIGSTOP);
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    assert_eq!(running.end().0, 121);
}

#[test]
fn a_command_in_the_group_of_lockctl_is_ended_too() {
    let server = Server::start();
    let script = "echo $$; exec sleep 600";
    let mut running = Running::start(&run(&server, "--process-group shared a", script));
    let pid = running.line().parse().unwrap();
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    assert_eq!(running.end().0, 121);
    until_gone(pid);
}

#[test]
fn a_command_ends_with_its_server() {
    let mut server = Server::start();
    let mut running = Running::start(&run(&server, "--ttl 600000 a", "echo on; exec sleep 600"));
    assert_eq!(running.line(), "on");
    server.kill();
    let (status, text) = running.end();
    assert_eq!(status, 121);
    assert_one_line(&text, "the connection of its session has closed");
}

#[test]
fn a_server_that_does_not_answer_is_a_loss_when_the_lease_is_over() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "--ttl 1500 a", "echo on; exec sleep 600"));
    assert_eq!(running.line(), "on");
    server.signal(libc::SIGSTOP);
    let (status, text) = running.end();
    server.signal(libc::SIGCONT);
    assert_eq!(status, 121);
    assert_one_line(&text, "its lease is over");
}

#[test]
fn a_loss_that_the_release_shows_is_told_of_though_the_command_had_succeeded() {
    // Then the server does not tell of a loss by itself.
    let server = Setup::new().module_args("session-loss ignore").start();
    let mut running = Running::start(&run(
        &server,
        "--ttl 600000 a",
        "echo on; read word; exit 0",
    ));
    assert_eq!(running.line(), "on");
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    running.tell("done");
    let (status, text) = running.end();
    assert_eq!(status, 121);
    assert_one_line(&text, "the command had ended with 0");
}
