//! `lockctl run`: signals.

use crate::{LOCKCTL, Running, is_gone, is_held, run, until_gone, until_waiting};
use lock_test_support::{Server, eventually};
use std::process::Command;

/// Says which signals it gets, until it gets one that ends it.
const TELLS: &str = r#"
    exec 2>/dev/null # where a shell says that a signal has ended its sleep
    for name in HUP INT QUIT USR1 USR2 ALRM; do trap "echo $name" $name; done
    trap "echo TERM; exit 42" TERM
    echo ready
    while :; do sleep 0.05; done
"#;

#[test]
fn signals_reach_the_command() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "a", TELLS));
    assert_eq!(running.line(), "ready");
    for (signal, name) in [
        (libc::SIGHUP, "HUP"),
        (libc::SIGINT, "INT"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
        (libc::SIGALRM, "ALRM"),
        (libc::SIGTERM, "TERM"),
    ] {
        running.signal(signal);
        assert_eq!(running.line(), name);
    }
    assert_eq!(running.end(), (42, String::new()));
    assert!(!is_held(&mut server.client(), "a"));
}

#[test]
fn a_signal_that_ends_the_command_is_in_its_status_and_reaches_what_it_started() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "a", "sleep 600 & echo $!; wait"));
    let started = running.line().parse().unwrap();
    running.signal(libc::SIGTERM);
    assert_eq!(running.end(), (128 + libc::SIGTERM, String::new()));
    until_gone(started);
}

#[test]
fn a_wait_that_is_interrupted_leaves_nothing_behind() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a other 600000");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut waiting = Running::start(&run(&server, "--wait 60 a", "echo ran"));
        until_waiting(&mut client, 1);
        // It means nothing yet.
        waiting.signal(libc::SIGUSR1);
        waiting.signal(signal);
        assert_eq!(waiting.end(), (128 + signal, String::new()));
        assert_eq!(waiting.line(), "");
        until_waiting(&mut client, 0);
    }
    client.run("LOCK.RELEASE a other");
    assert!(!is_held(&mut client, "a"));
}

#[test]
fn a_lockctl_that_is_killed_frees_the_lock_at_once_and_takes_the_command_along() {
    let server = Server::start();
    let mut client = server.client();
    let script = r#"trap "" TERM; sleep 600 & echo $! $$; wait"#;
    let mut running = Running::start(&run(&server, "--ttl 600000 a", script));
    let line = running.line();
    let pids: Vec<u32> = line.split(' ').map(|pid| pid.parse().unwrap()).collect();
    // The guard may start after the command.
    let guard = format!("internal-guard\0--group\0{}\0", pids[1]);
    eventually("the guard runs", || {
        command_lines().any(|line| line.contains(&guard))
    });
    running.signal(libc::SIGKILL);
    eventually("the lock is free", || !is_held(&mut client, "a"));
    pids.into_iter().for_each(until_gone);
}

#[test]
fn a_command_without_a_guard_ends_with_lockctl_too() {
    let server = Server::start();
    let script = r#"trap "" TERM; echo $$; while :; do sleep 0.05; done"#;
    let mut running = Running::start(&run(&server, "--process-group shared a", script));
    let pid = running.line().parse().unwrap();
    running.signal(libc::SIGKILL);
    until_gone(pid);
}

#[test]
fn the_guard_goes_with_the_command() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "a", "sleep 600 >&- 2>&- & echo $! $$"));
    let line = running.line();
    let (left, pid) = line.split_once(' ').unwrap();
    assert_eq!(running.end(), (0, String::new()));
    let guard = format!("internal-guard\0--group\0{pid}\0");
    eventually("the guard ends", || {
        !command_lines().any(|line| line.contains(&guard))
    });
    // What the command left running on purpose goes on.
    let left: u32 = left.parse().unwrap();
    assert!(!is_gone(left));
    lock_test_support::send_signal(left, libc::SIGKILL);
    until_gone(left);
}

#[test]
fn a_signal_that_nohup_has_ignored_stays_ignored() {
    let server = Server::start();
    let inner = run(&server, "a", TELLS.replace("HUP ", "").as_str());
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap "" HUP; exec "$0" "$@""#, LOCKCTL])
        .args(inner.get_args());
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut running = Running::start(&command);
    assert_eq!(running.line(), "ready");
    running.signal(libc::SIGHUP);
    running.signal(libc::SIGUSR1);
    assert_eq!(running.line(), "USR1");
    running.signal(libc::SIGTERM);
    assert_eq!(running.line(), "TERM");
    assert_eq!(running.end().0, 42);
}

/// Those of all processes.
fn command_lines() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned())
}
