//! A store that checks fencing tokens, and clients that are paused: processes of their own, stopped at any moment.
//!
//! Each writer holds the lock by a lease, and looks at its clock before each write. It may be stopped after that look, for
//! longer than its lease: then it writes what a later holder has overwritten already. It writes to a list that takes
//! everything, and to one that refuses a token below the largest that it has seen. The tokens in the first list may fall,
//! which is the harm of a lock without tokens; those in the second never do.

use crate::check::Kind;
use crate::judge::Story;
use crate::run::{Injected, Outcome, Settings};
use crate::scenario::{Scenario, ALL, BUSY};
use fastrand::Rng;
use lock_test_support::{send_signal, Client, Server, Setup};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So many processes.
const WRITERS: usize = 4;

/// So many stops at least, however little time there is.
const STOPS: u64 = 10;

/// The lease of a writer.
const LEASE: Duration = Duration::from_millis(60);

/// The store's check: it appends the token, unless it has seen a larger one.
const CHECKED: &str = "local last = tonumber(redis.call('LINDEX', KEYS[1], -1) or 0) \
    if tonumber(ARGV[1]) < last then return redis.error_reply('STALE a later holder has written') end \
    return redis.call('RPUSH', KEYS[1], ARGV[1])";

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        name: "fencing",
        about: "client processes are stopped past their leases (SIGSTOP), and write to a store that checks tokens, and to one that does not",
        short: true,
        start: || Err("it has servers of its own".to_owned()),
        faults: Vec::new,
        troublemakers: 0,
        pause: Duration::from_millis(60),
        promises: ALL,
        crowd: BUSY,
        finally: |_| Ok(()),
        instead: Some(run),
    }
}

/// The processes that write. They end with the scenario, whatever ends that.
struct Writers(Vec<Child>);

impl Drop for Writers {
    fn drop(&mut self) {
        for writer in &mut self.0 {
            // It may have ended by itself, with the server: the rest is to end all the same.
            let _ = writer.kill();
            let _ = writer.wait();
        }
    }
}

fn run(settings: &Settings) -> Outcome {
    let mut rng = Rng::with_seed(settings.seed);
    let locks = Server::start();
    let store = Setup::without_module().start();
    let program = std::env::current_exe().expect("this program has a path");
    let start = |number: usize| {
        let ports = [locks.port(), store.port()].map(|port| port.to_string());
        Command::new(&program)
            .args(["--writer", &ports.join(","), "--seed"])
            .arg(settings.seed.wrapping_add(number as u64).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program can be run again")
    };
    let mut writers = Writers((0..WRITERS).map(start).collect());
    let begun = Instant::now();
    let mut outcome = Outcome::default();
    let mut client = store.client();
    let mut stops = 0;
    // Unchecked, and checked.
    let mut written = [0, 0];
    while begun.elapsed() < settings.time
        || written.iter().sum::<u64>() < settings.operations
        || (stops < STOPS || written[1] == 0) && begun.elapsed() < lock_test_support::PATIENCE
    {
        std::thread::sleep(Duration::from_millis(60).mul_f64(rng.f64()));
        let writer = &mut writers.0[rng.usize(..WRITERS)];
        if !matches!(writer.try_wait(), Ok(None)) {
            outcome.failure = Some("a writer has ended".to_owned());
            break;
        }
        send_signal(writer.id(), libc::SIGSTOP);
        std::thread::sleep(LEASE.mul_f64(3.0 * rng.f64()));
        send_signal(writer.id(), libc::SIGCONT);
        stops += 1;
        written = ["LLEN unchecked", "LLEN checked"].map(|ask| client.int(ask) as u64);
    }
    drop(writers);
    outcome.rounds = 1;
    let tokens = |client: &mut Client, list: &str| -> Vec<i64> {
        let reply = client.ask(&format!("LRANGE {list} 0 -1"));
        redis::from_redis_value(reply).expect("a list of tokens")
    };
    let falls = |tokens: &[i64]| tokens.windows(2).filter(|two| two[1] < two[0]).count() as u64;
    let (unchecked, checked) = (
        tokens(&mut client, "unchecked"),
        tokens(&mut client, "checked"),
    );
    outcome.verdict.operations = (unchecked.len() + checked.len()) as u64;
    outcome.verdict.grants =
        locks.client().counter("acquired") + locks.client().counter("handed_over");
    if falls(&checked) > 0 {
        let broken = &mut outcome.verdict.broken;
        broken.insert(Kind::TokenOrder, falls(&checked));
        outcome.verdict.story = Some(Story {
            what: "a token below the largest one was let in".to_owned(),
            before: format!("{checked:?}\n"),
            whole: format!("{checked:?}\n"),
        });
    }
    let harm = falls(&unchecked);
    outcome.verdict.not_promised.insert(Kind::TokenOrder, harm);
    let injected = Injected {
        tried: stops,
        times: stops,
        operations: outcome.verdict.operations,
    };
    outcome.faults.insert("client-stop", injected);
    if checked.is_empty() {
        let failure = "nobody has written".to_owned();
        outcome.failure.get_or_insert(failure);
    }
    outcome
}

/// What a writer does, until its server is gone or it is ended.
pub fn write(ports: &[u16], seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let connect =
        |port: u16| redis::Client::open(format!("redis://127.0.0.1:{port}/"))?.get_connection();
    let (Ok(mut locks), Ok(mut store)) = (connect(ports[0]), connect(ports[1])) else {
        return;
    };
    let owner = format!("writer-{seed}");
    loop {
        let asked = Instant::now();
        let mut acquire = redis::cmd("LOCK.ACQUIRE");
        acquire
            .arg(&["store", &owner])
            .arg(LEASE.as_millis() as u64);
        let Ok([acquired, _, token, _]) = acquire.query::<[i64; 4]>(&mut locks) else {
            return;
        };
        if acquired == 0 {
            std::thread::sleep(Duration::from_millis(rng.u64(..5)));
            continue;
        }
        // It looks at its clock, and works for a moment for each write.
        while asked.elapsed() < LEASE.mul_f64(0.7) {
            std::thread::sleep(Duration::from_micros(rng.u64(..300)));
            let unchecked = redis::cmd("RPUSH")
                .arg("unchecked")
                .arg(token)
                .exec(&mut store);
            let checked = redis::cmd("EVAL")
                .arg(CHECKED)
                .arg(1)
                .arg("checked")
                .arg(token)
                .exec(&mut store);
            let is_stale = |error: &redis::RedisError| error.code() == Some("STALE");
            if unchecked.is_err() || checked.as_ref().is_err_and(|error| !is_stale(error)) {
                return;
            }
            if checked.is_err() {
                break;
            }
        }
        let mut release = redis::cmd("LOCK.RELEASE");
        release
            .arg(&["store", &owner, "HOLDS", "0", "TOKEN"])
            .arg(token);
        // It may be a later holder's by now, which the token keeps from being freed.
        if release
            .exec(&mut locks)
            .is_err_and(|error| error.is_io_error())
        {
            return;
        }
    }
}
