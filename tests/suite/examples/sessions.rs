//! The examples that hold a lock by a connection: node-redis, ioredis and go-redis. Each test is told of all
//! three.

use super::program::Running;
use super::{folder_of, prepare_go, prepare_node};
use crate::support::toolchain::{command, Missing};
use crate::support::{Proxy, Server, Setup, Waiter};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// In ms, and longer than any test: what ends earlier was ended.
const FOREVER: &str = "600000";

/// What counts as 'at once', on a machine that has much else to do. The programs ask every 10 s whether they still
/// have a lock with the usual lease.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn an_example_takes_a_free_lock_works_and_releases_it() {
    with_each_program(|program| {
        let server = Server::start();
        let mut client = server.client();
        let running = program.start(&server, "0", "0");
        assert!(running.token() > 0);
        assert_eq!(running.line(), "released");
        assert!(running.end().success());
        assert_eq!(client.calls("lock.acquire"), 1);
        assert_eq!(client.calls("lock.release"), 1);
        assert_eq!(client.run("LOCK.INFO lock:orders"), "nil");
    });
}

#[test]
fn an_example_is_given_a_busy_lock_when_its_holder_releases_it() {
    with_each_program(|program| {
        let server = Setup::new().module_args("default-ttl 2000").start();
        let mut client = server.client();
        let [_, _, token, _] = client.grant("LOCK.ACQUIRE lock:orders another 1800000");
        let running = program.start(&server, FOREVER, "300");
        server.until_waiting(1);
        // It waits for longer than its own lease will last, which begins only then.
        thread::sleep(Duration::from_millis(2_200));
        client.int("LOCK.RELEASE lock:orders another");
        assert!(running.token() > token);
        assert_eq!(running.line(), "released");
        assert!(running.end().success());
        assert_eq!(client.calls("lock.acquire"), 2);
    });
}

#[test]
fn an_example_says_for_how_long_a_lock_is_busy_when_its_wait_is_over() {
    with_each_program(|program| {
        let server = Server::start();
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE lock:orders another 1800000");
        for wait in ["0", "50"] {
            let running = program.start(&server, wait, "0");
            let said = running.line();
            let left = said
                .strip_prefix("busy, ")
                .and_then(|said| said.strip_suffix(" ms left"))
                .and_then(|left| left.parse::<i64>().ok())
                .unwrap_or_else(|| panic!("with the lock busy it said: {said}"));
            assert!((1_000_000..=1_800_000).contains(&left), "{left}");
            assert!(running.end().success());
        }
        assert_eq!(client.calls("lock.release"), 0);
        assert_eq!(client.run("LOCK.ASSERT lock:orders another"), "OK");
    });
}

#[test]
fn an_example_keeps_the_lock_for_longer_than_its_lease() {
    with_each_program(|program| {
        // A program that stands still for two thirds of it has lost the lock, and says so.
        let server = Setup::new().module_args("default-ttl 4000").start();
        let mut client = server.client();
        let running = program.start(&server, "0", "8500");
        running.token();
        let mut other = Waiter::start(&server, "LOCK.ACQUIRE lock:orders another WAIT 60000");
        assert_eq!(running.line(), "released");
        assert_eq!(other.grant()[0], 1);
        assert!(running.end().success());
        // It has asked, every third of the lease.
        assert!(client.calls("lock.renew") >= 2);
    });
}

#[test]
fn an_example_stops_its_work_at_once_when_its_lock_is_taken_away() {
    with_each_program(|program| {
        let server = Server::start();
        let mut client = server.client();
        let running = program.start(&server, "0", FOREVER);
        running.token();
        assert_eq!(client.int("LOCK.FORCERELEASE lock:orders"), 1);
        let taken = Instant::now();
        assert_eq!(running.line(), "lost");
        assert!(taken.elapsed() < AT_ONCE, "{:?}", taken.elapsed());
        assert_eq!(running.end().code(), Some(1));
        // There is nothing to release any more.
        assert_eq!(client.calls("lock.release"), 0);
    });
}

#[test]
fn an_example_stops_its_work_when_a_check_finds_that_another_owner_has_the_lock() {
    with_each_program(|program| {
        // The server leaves the connection of a lost session open. The checks are 2 s apart.
        let args = "default-ttl 6000 session-loss ignore";
        let server = Setup::new().module_args(args).start();
        let mut client = server.client();
        let running = program.start(&server, "0", FOREVER);
        running.token();
        assert_eq!(client.int("LOCK.FORCERELEASE lock:orders"), 1);
        assert_eq!(client.grant("LOCK.ACQUIRE lock:orders another 60000")[0], 1);
        let taken = Instant::now();
        assert_eq!(running.line(), "lost");
        assert!(
            taken.elapsed() < Duration::from_secs(5),
            "{:?}",
            taken.elapsed()
        );
        assert_eq!(running.end().code(), Some(1));
        assert_eq!(client.run("LOCK.ASSERT lock:orders another"), "OK");
    });
}

#[test]
fn an_example_whose_first_check_after_a_wait_finds_the_lock_gone_says_that_it_was_lost() {
    with_each_program(|program| {
        // Nothing else tells it: the connection stays open.
        let args = "default-ttl 6000 session-loss ignore";
        let server = Setup::new().module_args(args).start();
        let proxy = Proxy::start(&server);
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE lock:orders another 1800000");
        let check = proxy.hold_back("LOCK.RENEW");
        let running = program.start_at(&proxy.url(), FOREVER, "0");
        server.until_waiting(1);
        // For more than a tenth of its lease: then it asks when that began.
        thread::sleep(Duration::from_millis(700));
        client.int("LOCK.RELEASE lock:orders another");
        check.until_here();
        assert_eq!(client.int("LOCK.FORCERELEASE lock:orders"), 1);
        check.let_go();
        assert_eq!(running.line(), "lost");
        assert_eq!(running.end().code(), Some(1));
    });
}

#[test]
fn an_example_whose_release_finds_the_lock_gone_says_that_it_was_lost() {
    with_each_program(|program| {
        // Nothing tells it before: the connection stays open, and the next check is 10 s away.
        let server = Setup::new().module_args("session-loss ignore").start();
        let mut client = server.client();
        let running = program.start(&server, "0", "1500");
        running.token();
        assert_eq!(client.int("LOCK.FORCERELEASE lock:orders"), 1);
        assert_eq!(running.line(), "lost");
        assert_eq!(running.end().code(), Some(1));
        assert_eq!(client.calls("lock.release"), 1);
    });
}

#[test]
fn an_example_stops_its_work_when_the_server_is_silent_for_a_lease() {
    with_each_program(|program| {
        let server = Setup::new().module_args("default-ttl 6000").start();
        let running = program.start(&server, "0", FOREVER);
        running.token();
        server.signal(libc::SIGSTOP);
        let stopped = Instant::now();
        assert_eq!(running.line(), "lost");
        let until = stopped.elapsed();
        server.signal(libc::SIGCONT);
        // Not a lease after the check that was sent meanwhile.
        assert!(until < Duration::from_millis(7_500), "{until:?}");
        assert_eq!(running.end().code(), Some(1));
    });
}

#[test]
fn an_example_stops_its_work_at_once_when_the_server_dies() {
    with_each_program(|program| {
        let mut server = Server::start();
        let running = program.start(&server, "0", FOREVER);
        running.token();
        server.kill();
        let died = Instant::now();
        assert_eq!(running.line(), "lost");
        assert!(died.elapsed() < AT_ONCE, "{:?}", died.elapsed());
        assert_eq!(running.end().code(), Some(1));
    });
}

#[test]
fn an_example_that_is_killed_leaves_the_lock_free_at_once() {
    with_each_program(|program| {
        let server = Server::start();
        let running = program.start(&server, "0", FOREVER);
        running.token();
        let acquire = "LOCK.ACQUIRE lock:orders another 600000 WAIT 600000";
        let mut other = Waiter::start(&server, acquire);
        assert!(!other.has_reply());
        running.kill();
        let killed = Instant::now();
        assert_eq!(other.grant()[0], 1);
        assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    });
}

#[test]
fn an_example_that_is_killed_while_it_waits_waits_no_longer() {
    with_each_program(|program| {
        let server = Server::start();
        server.client().grant("LOCK.ACQUIRE lock:orders another");
        let running = program.start(&server, FOREVER, "0");
        server.until_waiting(1);
        running.kill();
        server.until_waiting(0);
    });
}

#[test]
fn an_example_names_the_setting_that_it_cannot_read_before_it_takes_the_lock() {
    with_each_program(|program| {
        let server = Server::start();
        for (wait, work, name) in [("-1", "0", "WAIT_MS"), ("0", "soon", "WORK_MS")] {
            let running = program.start(&server, wait, work);
            let said = running.line();
            assert!(said.starts_with("stderr: "), "{said}");
            assert!(said.contains(&format!("{name} must be milliseconds, from 0 to ")));
            assert!(!running.end().success());
        }
        assert_eq!(server.client().calls("lock.acquire"), 0);
    });
}

/// An example that is ready to run.
struct Program {
    folder: PathBuf,
    line: String,
}

impl Program {
    fn start(&self, server: &Server, wait: &str, work: &str) -> Running {
        self.start_at(&server.url(), wait, work)
    }

    fn start_at(&self, url: &str, wait: &str, work: &str) -> Running {
        Running::start(command(&self.folder, &self.line), url, wait, work)
    }
}

/// Runs a test with each program, one after the other.
fn with_each_program(test: impl Fn(&Program)) {
    static NODE: OnceLock<Result<(), Missing>> = OnceLock::new();
    static GO: OnceLock<Result<(), Missing>> = OnceLock::new();
    let (node, go) = (folder_of("node"), folder_of("go"));
    let in_node = NODE.get_or_init(|| prepare_node(&node));
    let in_go = GO.get_or_init(|| prepare_go(&go));
    let built = go.join("lock").display().to_string();
    for (name, folder, line, prepared) in [
        ("node-redis", &node, "node node-redis.mjs", in_node),
        ("ioredis", &node, "node ioredis.mjs", in_node),
        ("go-redis", &go, built.as_str(), in_go),
    ] {
        let (folder, line) = (folder.clone(), line.to_owned());
        match prepared {
            Ok(()) => {
                eprintln!("with {name}");
                test(&Program { folder, line });
            }
            Err(missing) => missing.skip(&format!("the {name} example")),
        }
    }
}
