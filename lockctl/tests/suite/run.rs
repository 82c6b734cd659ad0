//! `lockctl run`: the lock, the command and its status.

use crate::{Running, assert_one_line, is_held, lockctl, outcome, run, until_waiting};
use lock_test_support::{Server, Setup};
use std::time::{Duration, Instant};

#[test]
fn a_command_holds_the_lock_and_knows_its_token_while_it_runs() {
    let server = Server::start();
    let mut client = server.client();
    let script = r#"echo "$LOCK_NAME $LOCK_OWNER $LOCK_TOKEN"; read word; echo "$word"; exit 7"#;
    let mut running = Running::start(&run(&server, "backup", script));
    let line = running.line();
    let words: Vec<&str> = line.split(' ').collect();
    let shown = client.run("LOCK.INFO backup");
    assert_eq!(words[0], "backup");
    assert!(shown.contains(&format!("owner {}", words[1])), "{shown}");
    assert!(shown.contains(&format!("token {}", words[2])), "{shown}");
    assert!(shown.contains("session 1"), "{shown}");
    running.tell("done");
    assert_eq!(running.line(), "done");
    assert_eq!(running.end(), (7, String::new()));
    assert!(!is_held(&mut client, "backup"));
}

#[test]
fn a_command_that_a_signal_ended_has_the_status_that_shells_give_it() {
    let server = Server::start();
    let (_, _, status) = outcome(&mut run(&server, "a", "kill -KILL $$"));
    assert_eq!(status, 137);
}

#[test]
fn a_command_that_cannot_be_run_has_the_status_that_shells_give_it() {
    let server = Server::start();
    let (_, text, status) = outcome(&mut lockctl(&server.url(), "run a -- no-such-command"));
    assert_eq!(status, 127);
    assert_one_line(&text, "no-such-command");
    let (_, text, status) = outcome(&mut lockctl(&server.url(), "run a -- /"));
    assert_eq!(status, 126);
    assert_one_line(&text, "cannot run /");
    assert!(!is_held(&mut server.client(), "a"));
}

#[test]
fn a_busy_lock_has_a_status_of_its_own() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a other 600000");
    for (options, expected) in [
        ("--no-wait", 120),
        ("--wait 0", 120),
        ("--wait 0.2", 120),
        ("--no-wait --conflict-exit-code 9", 9),
    ] {
        let (printed, text, status) =
            outcome(&mut run(&server, &format!("{options} a"), "echo ran"));
        assert_eq!((printed.as_str(), status), ("", expected), "{options}");
        assert_one_line(&text, "was not free in time");
    }
    assert_eq!(client.counter("waiters"), 0);
}

#[test]
fn no_wait_does_not_wait() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a other 600000");
    outcome(&mut run(&server, "--no-wait a", "true"));
    assert_eq!(client.counter("waits_started"), 0);
    outcome(&mut run(&server, "--wait 0.1 a", "true"));
    assert_eq!(client.counter("waits_started"), 1);
}

#[test]
fn those_who_wait_are_served_in_order() {
    let server = Server::start();
    let mut client = server.client();
    let mut holder = Running::start(&run(&server, "a", "echo on; read word"));
    assert_eq!(holder.line(), "on");
    let script = "echo $LOCK_TOKEN";
    let mut first = Running::start(&run(&server, "--wait 60 a", script));
    until_waiting(&mut client, 1);
    let mut second = Running::start(&run(&server, "--wait 60 a", script));
    until_waiting(&mut client, 2);
    holder.tell("go");
    let token = |running: &mut Running| running.line().parse::<u64>().unwrap();
    assert!(token(&mut first) < token(&mut second));
    for running in [&mut holder, &mut first, &mut second] {
        assert_eq!(running.end(), (0, String::new()));
    }
}

#[test]
fn a_wait_outlives_a_restart_of_the_server() {
    let mut server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a other 600000");
    let mut waiting = Running::start(&run(&server, "--wait 60 a", "echo mine"));
    until_waiting(&mut client, 1);
    server.kill();
    // It has stored nothing: the lock is free.
    server.restart_in_place();
    assert_eq!(waiting.line(), "mine");
    assert_eq!(waiting.end(), (0, String::new()));
}

#[test]
fn what_lockctl_says_may_go_unread() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "a", "echo on; exec sleep 600"));
    assert_eq!(running.line(), "on");
    drop(running.stderr.take());
    assert_eq!(server.client().run("LOCK.FORCERELEASE a"), "1");
    assert_eq!(running.wait().unwrap().code(), Some(121));
}

#[test]
fn the_lease_of_the_session_is_what_ttl_says() {
    let server = Server::start();
    let mut running = Running::start(&run(&server, "--ttl 600000 a", "echo on; read word"));
    assert_eq!(running.line(), "on");
    let left = server.client().int("PTTL a");
    assert!((500_000..=600_000).contains(&left), "{left}");
    running.tell("done");
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_server_that_is_not_there_is_told_of_at_once() {
    let start = Instant::now();
    // Nobody listens on port 1.
    let (_, text, status) = outcome(&mut lockctl("redis://127.0.0.1:1", "run a -- true"));
    assert_eq!(status, 122);
    assert_one_line(&text, "cannot connect to 127.0.0.1:1");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_server_without_the_module_is_told_of() {
    let server = Setup::without_module().start();
    for line in [
        "run a -- true",
        "info a",
        "release --force --yes a",
        "metrics",
        "top --once",
    ] {
        let (_, text, status) = outcome(&mut lockctl(&server.url(), line));
        assert_eq!(status, 122, "{line}: {text}");
        assert_one_line(&text, "loadmodule");
    }
}

#[test]
fn a_key_that_is_no_lock_is_told_of() {
    let server = Server::start();
    server.client().run("SET a 1");
    for line in ["run a -- true", "info a", "release --force --yes a"] {
        let (_, text, status) = outcome(&mut lockctl(&server.url(), line));
        assert_eq!(status, 122, "{line}: {text}");
        assert_one_line(&text, "not a lock");
    }
}

#[test]
fn bad_arguments_are_told_of_in_one_line() {
    for (line, part) in [
        ("", "say what to do"),
        ("frob", "frob"),
        ("run a", "<COMMAND>"),
        (
            "run --wait soon a -- true",
            "--wait <SECONDS>': it must be a number of seconds",
        ),
        (
            "run --ttl 999 a -- true",
            "--ttl <MS>': 999 is not in 1000..",
        ),
        ("run --kill-after -1 a -- true", "kill-after"),
        ("run --conflict-exit-code 256 a -- true", "0..=255"),
        (
            "run --process-group none a -- true",
            "[possible values: auto, own, shared]",
        ),
        ("run --no-wait --wait 1 a -- true", "cannot be used with"),
        ("release a", "--force"),
        ("top --interval 0.01", "from 0.1"),
        ("metrics --listen here", "--listen <ADDRESS>"),
        ("--url nowhere ls", "--url is not valid"),
        ("--url redis://a --url redis://b ls", "--cluster"),
    ] {
        let (_, text, status) = outcome(&mut lockctl("redis://127.0.0.1:1", line));
        assert_eq!(status, 122, "{line}");
        assert_one_line(&text, part);
    }
}

#[test]
fn a_password_is_in_no_message() {
    let server = Setup::new().config("requirepass right").start();
    let url = format!("redis://:wrong-secret@127.0.0.1:{}/", server.port());
    let (_, text, status) = outcome(&mut lockctl(&url, "run a -- true"));
    assert_eq!(status, 122);
    assert_one_line(&text, "check the user and the password");
    assert!(!text.contains("secret"), "{text}");
}
