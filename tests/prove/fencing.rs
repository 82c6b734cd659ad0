//! A store that checks fencing tokens, and clients that are paused: processes of their own, stopped at any moment.
//!
//! Each writer holds the lock by a lease, and looks at its clock before each write. It may be stopped after that look, for
//! longer than its lease: then it writes what a later holder has overwritten already. It writes to a list that takes
//! everything, and to one that refuses a token below the largest that it has seen. The tokens in the first list fall,
//! which is the harm of a lock without tokens; those in the second never do. Whether that is the module's merit is seen by
//! whom the store refuses: never one whose lease goes on, and no token has two owners.

use crate::check::Kind;
use crate::judge::{Story, Verdict};
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

/// So much of a lease's end nobody relies on: servers count in whole milliseconds.
const ROUNDED: Duration = Duration::from_millis(2);

/// After so many stops one of them has done harm. Some one in ten does.
const HARMFUL: u64 = 200;

/// The store's check: it appends what begins with the token, unless it has seen a larger one.
const CHECKED: &str = "local last = redis.call('LINDEX', KEYS[1], -1) or '0' \
    local token = function(text) return tonumber(string.match(text, '%d+')) end \
    if token(ARGV[1]) < token(last) then return redis.error_reply('STALE a later holder has written') end \
    return redis.call('RPUSH', KEYS[1], ARGV[1])";

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        name: "fencing",
        about: "client processes are stopped past their leases (SIGSTOP), and write to a store that checks tokens, and to one that does not",
        short: true,
        start: || Err("it has servers of its own".to_owned()),
        troublemakers: Vec::new(),
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
    let lists = ["unchecked", "checked", "refused"].map(|list| read(&mut client, list));
    outcome.verdict = judge(&lists);
    outcome.verdict.grants =
        locks.client().counter("acquired") + locks.client().counter("handed_over");
    let harm = outcome.verdict.not_promised.get(&Kind::TokenOrder);
    if stops >= HARMFUL && harm == Some(&0) {
        let failure = "no writer that was stopped has done harm, even without tokens";
        outcome.failure.get_or_insert(failure.to_owned());
    }
    let injected = Injected {
        tried: stops,
        times: stops,
        operations: outcome.verdict.operations,
    };
    outcome.faults.insert("client-stop", injected);
    if lists[1].is_empty() {
        let failure = "nobody has written".to_owned();
        outcome.failure.get_or_insert(failure);
    }
    outcome
}

/// Who has written, and with which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub token: i64,
    pub owner: String,
}

fn read(client: &mut Client, list: &str) -> Vec<Written> {
    let reply = client.ask(&format!("LRANGE {list} 0 -1"));
    let texts: Vec<String> = redis::from_redis_value(reply).expect("a list of texts");
    let written = |text: String| {
        let (token, owner) = text.split_once(' ').expect("a token and an owner");
        let token = token.parse().expect("a token");
        let owner = owner.to_owned();
        Written { token, owner }
    };
    texts.into_iter().map(written).collect()
}

/// Judges what was written unchecked, what was written where tokens are checked, and what was refused there though the
/// lease of its writer had not ended.
pub fn judge([unchecked, checked, refused]: &[Vec<Written>; 3]) -> Verdict {
    let mut verdict = Verdict {
        operations: (unchecked.len() + checked.len() + refused.len()) as u64,
        ..Verdict::default()
    };
    let falls = |written: &[Written]| {
        let falls = written.windows(2).filter(|two| two[1].token < two[0].token);
        falls.count() as u64
    };
    // Of different owners, if it is not one and the same that writes again.
    let mut holders: Vec<(i64, &str)> = unchecked
        .iter()
        .map(|it| (it.token, it.owner.as_str()))
        .collect();
    holders.sort_unstable();
    holders.dedup();
    let shared = holders.windows(2).filter(|two| two[0].0 == two[1].0);
    let found = [
        (
            Kind::TokenReused,
            shared.count() as u64,
            "two owners had one token",
            unchecked,
        ),
        (
            Kind::TokenOrder,
            falls(checked),
            "a token below the largest one was let in",
            checked,
        ),
        (
            Kind::TokenOrder,
            refused.len() as u64,
            "a holder was refused whose lease went on",
            refused,
        ),
    ];
    for (kind, count, what, written) in found {
        if count > 0 {
            *verdict.broken.entry(kind).or_default() += count;
            let whole = format!("{written:?}\n");
            let before = whole.clone();
            let what = what.to_owned();
            verdict.story.get_or_insert(Story {
                what,
                before,
                whole,
            });
        }
    }
    verdict
        .not_promised
        .insert(Kind::TokenOrder, falls(unchecked));
    verdict
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
            let written = format!("{token} {owner}");
            let push = |list: &str| redis::cmd("RPUSH").arg(list).arg(&written).clone();
            let unchecked = push("unchecked").exec(&mut store);
            let mut check = redis::cmd("EVAL");
            let checked = check.arg(CHECKED).arg(1).arg("checked").arg(&written);
            let checked = checked.exec(&mut store);
            let is_stale = |error: &redis::RedisError| error.code() == Some("STALE");
            if unchecked.is_err() || checked.as_ref().is_err_and(|error| !is_stale(error)) {
                return;
            }
            if checked.is_err() {
                // Read after the reply: its lease went on when the store refused it.
                let still = asked.elapsed() + ROUNDED < LEASE;
                if still && push("refused").exec(&mut store).is_err() {
                    return;
                }
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
