//! The Rust worker by its protocol, each raw system on a real server; and the command line.

use lock_test_support::{Server, Setup, toolchain::end_with_test};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A worker that got a job, and what it answered.
struct Worker {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Worker {
    fn start() -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lock-bench"));
        command
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        end_with_test(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Worker { child, lines }
    }

    fn say(&mut self, line: &str) -> serde_json::Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let answer = self.lines.next().expect("the worker ended").unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn job(&mut self, server: &Server, system: &str, work: &str, more: &str) -> serde_json::Value {
        let url = format!("redis://127.0.0.1:{}", server.port());
        let job = format!(
            r#"{{"system":"{system}","urls":["{url}"],"work":"{work}","lock":"bench:{system}:{work}","hold_us":0,
            "lease_ms":30000,"depth":3,"pace":200{more}}}"#
        );
        self.say(&job.replace('\n', ""))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn server(system: &str) -> Server {
    if system.starts_with("lock") {
        Setup::new().start()
    } else {
        Setup::without_module().start()
    }
}

const SYSTEMS: [&str; 8] = [
    "ping",
    "blpop",
    "lock",
    "lock-wait",
    "lock-session",
    "set-del",
    "set-compare",
    "redisson-scripts",
];

/// Lets the system do this for 0.2 s; none where it says that it cannot.
fn figures(server: &Server, system: &str, work: &str, more: &str) -> Option<serde_json::Value> {
    let mut worker = Worker::start();
    let answer = worker.job(server, system, work, more);
    if answer.get("unsupported").is_some() {
        return None;
    }
    assert_eq!(answer["ready"], true, "{system}: {answer}");
    let outcome = worker.say(r#"{"go":0.2}"#);
    assert_eq!(outcome["errors"], 0, "{system} {work}");
    assert!(
        outcome["operations"].as_u64().unwrap() > 0,
        "{system} {work}: {outcome}"
    );
    Some(outcome)
}

#[test]
fn every_raw_system_does_every_work_or_says_why_not() {
    let works = [
        ("pair", r#","clients":2,"pipeline":1"#),
        ("pair", r#","clients":1,"pipeline":10"#),
        ("reenter", r#","clients":1,"pipeline":1"#),
        ("renew", r#","clients":1,"pipeline":1"#),
        ("paced", r#","clients":2,"pipeline":1"#),
        ("contend", r#","clients":3,"pipeline":1"#),
    ];
    let mut refused = Vec::new();
    for system in SYSTEMS {
        let server = server(system);
        for (work, more) in works {
            match figures(&server, system, work, more) {
                Some(outcome) if work == "contend" => {
                    assert_eq!(outcome["per_client"].as_array().unwrap().len(), 3);
                    assert!(
                        !outcome["handoff"].as_array().unwrap().is_empty(),
                        "{system}"
                    );
                    // What was granted after the end is among the waits alone.
                    let count = |name: &str| -> u64 {
                        let pairs = outcome[name].as_array().unwrap();
                        pairs.iter().map(|pair| pair[1].as_u64().unwrap()).sum()
                    };
                    assert_eq!(count("latency"), outcome["operations"]);
                    assert!((0..=3).contains(&(count("waits") - count("latency"))));
                }
                Some(_) => (),
                None => refused.push(format!("{system} {work}")),
            }
        }
    }
    let expected = [
        "ping contend",
        "blpop reenter",
        "blpop renew",
        "set-del reenter",
        "set-compare reenter",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn what_the_rust_client_does_is_measured_too() {
    let of = |clients| format!(r#","clients":{clients},"pipeline":1"#);
    for system in ["lock-rust", "lock-rust-session"] {
        let server = server(system);
        for work in ["pair", "reenter", "renew"] {
            let measured = figures(&server, system, work, &of(1));
            assert!(measured.is_some(), "{system} {work}");
        }
        let three = figures(&server, system, "contend", &of(3)).unwrap();
        assert_eq!(three["per_client"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn paced_clients_keep_the_pace() {
    let server = server("set-del");
    let outcome = figures(&server, "set-del", "paced", r#","clients":4,"pipeline":1"#).unwrap();
    // 200 a second for 0.2 s, and what each has begun when it ends.
    let operations = outcome["operations"].as_u64().unwrap();
    assert!((1..=48).contains(&operations), "{operations}");
}

#[test]
fn the_next_owner_has_the_lock_when_the_process_of_a_session_is_killed() {
    let server = server("lock-session");
    let one = r#","clients":1,"pipeline":1"#;
    let (mut holder, mut next) = (Worker::start(), Worker::start());
    for (worker, work) in [(&mut holder, "hold"), (&mut next, "next")] {
        let url = format!("redis://127.0.0.1:{}", server.port());
        let job = format!(
            r#"{{"system":"lock-session","urls":["{url}"],"work":"{work}","lock":"crash","hold_us":0,"lease_ms":60000,"depth":1,"pace":0{one}}}"#
        );
        assert_eq!(worker.say(&job)["ready"], true);
    }
    writeln!(next.child.stdin.as_mut().unwrap(), r#"{{"go":0}}"#).unwrap();
    server.until_waiting(1);
    holder.child.kill().unwrap();
    let answer = next.lines.next().unwrap().unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(outcome["operations"], 1);
    assert!(outcome["seconds"].as_f64().unwrap() < 30.0);
}

#[test]
fn those_who_wait_and_do_not_move_are_at_the_server_when_it_is_ready() {
    let server = server("lock");
    let mut worker = Worker::start();
    worker.job(&server, "lock", "still", r#","clients":5,"pipeline":1"#);
    assert_eq!(server.client().counter("waiters"), 4);
}

#[test]
fn wrong_input_is_an_answer_and_no_crash() {
    let mut worker = Worker::start();
    let error = worker.say("{}")["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("this is no job: "), "{error}");
    let server = Setup::without_module().start();
    let mut worker = Worker::start();
    let answer = worker.job(&server, "redison", "pair", r#","clients":1,"pipeline":1"#);
    assert_eq!(answer["error"], "the Rust worker has no system redison");
}

#[test]
fn a_wrong_name_on_the_command_line_is_one_line_with_those_that_there_are() {
    for (option, name, known) in [
        ("--systems", "redison", "redisson-rlock"),
        ("--work", "par", "pair"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_lock-bench"))
            .args([option, name])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(name) && said.contains(known), "{said}");
    }
}
