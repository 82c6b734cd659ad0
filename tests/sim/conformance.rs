//! What the simulator recorded is done again on a real server, in the same order: the replies are the same. So the
//! world in which the engine is simulated is tied to the server's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Their other parts are other targets'.
#![allow(dead_code, unused_imports)]

mod check;
mod plan;
mod run;
mod schedule;
mod stats;
mod world;

use check::{Call, Conn, Entry, Op, Reply, Us, What};
use fastrand::Rng;
use lock_test_support::{eventually, Server, Waiter};
use redis_reentrant_lock::engine::PlantedFault;
use schedule::{Action, Config, End, Job, Schedule, Step};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A fault that was planted in the engine.
pub type Planted = Option<PlantedFault>;

const MS: Us = 1000;

/// Leases that outlast the test, so that nothing depends on how fast it is.
const TTL: i64 = 600_000;

/// Clients that wait without a limit, reenter, renew, release, leave, and die while they hold or wait.
fn schedule(seed: u64) -> Schedule {
    let mut rng = Rng::with_seed(seed);
    let config = Config {
        clients: 5,
        locks: 2,
        end: 4000 * MS,
        // A real server's timer for what is due at once fires before the next call.
        timers_late: 0,
        ..Config::plain("conformance")
    };
    let mut actions = Vec::new();
    // Each client has its own milliseconds: no two of them act at once.
    for job in 0..20 {
        let client = rng.u8(..config.clients);
        let pause = |rng: &mut Rng| (rng.i64(1..15) * 10 + i64::from(client)) * MS;
        let mut steps = Vec::new();
        for _ in 0..rng.usize(..4) {
            let step = match rng.u8(..6) {
                0..3 => Step::Reenter(TTL),
                3 => Step::Renew(TTL),
                4 => Step::Assert,
                _ => Step::Release,
            };
            steps.push((pause(&mut rng), step));
        }
        steps.push((pause(&mut rng), Step::Assert));
        let what = schedule::What::Job(Job {
            client,
            lock: rng.u8(..config.locks),
            ttl: TTL,
            wait: (rng.u8(..5) > 0).then_some(0),
            session: rng.bool().then_some(0),
            counts: rng.bool(),
            names_token: rng.bool(),
            second: None,
            steps,
            end: match rng.u8(..6) {
                0 => End::Close,
                1 => End::Die { silently: false },
                _ => End::Release,
            },
            patience: 0,
            retries: 0,
            salt: rng.u32(..),
        });
        let at = (job * 60 + i64::from(client)) * MS + pause(&mut rng);
        actions.push(Action { at, what });
    }
    actions.sort_by_key(|action| action.at);
    Schedule { config, actions }
}

/// The real server, and what was done on it so far.
struct Replay {
    server: Server,
    connections: BTreeMap<Conn, Waiter>,
    /// What is to be sent when the simulated server gets it.
    sent: BTreeMap<Call, (Conn, String)>,
    waiting: BTreeSet<Call>,
    /// Replies to calls that waited. What caused them may not be done again yet.
    owed: Vec<(Call, Reply)>,
    /// The server's token of each simulated one.
    tokens: BTreeMap<i64, i64>,
}

impl Replay {
    fn line(&self, lock: u8, owner: u32, op: Op) -> String {
        let option = |word: &str, value: Option<i64>| {
            value.map_or(String::new(), |value| format!(" {word} {value}"))
        };
        let token = |token: Option<i64>| option("TOKEN", token.map(|t| self.tokens[&t]));
        match op {
            Op::Acquire {
                ttl,
                wait,
                session,
                holds,
                token: named,
            } => format!(
                "LOCK.ACQUIRE lock{lock} owner{owner} {ttl}{}{}{}{}",
                option("WAIT", wait),
                if session.is_some() { " SESSION" } else { "" },
                option("HOLDS", holds.map(i64::from)),
                token(named)
            ),
            Op::Renew { ttl, token: named } => {
                format!("LOCK.RENEW lock{lock} owner{owner} {ttl}{}", token(named))
            }
            Op::Assert { token: named } => {
                format!("LOCK.ASSERT lock{lock} owner{owner}{}", token(named))
            }
            Op::Release {
                holds,
                token: named,
            } => format!(
                "LOCK.RELEASE lock{lock} owner{owner}{}{}",
                option("HOLDS", holds.map(i64::from)),
                token(named)
            ),
        }
    }

    fn connection(&mut self, conn: Conn) -> &mut Waiter {
        let server = &self.server;
        self.connections.entry(conn).or_insert_with(|| {
            let mut connection = Waiter::begin(server, &[], "PING");
            assert_eq!(connection.reply(), "PONG");
            connection
        })
    }

    /// The simulated server has got a call: it is sent.
    fn send(&mut self, call: Call) -> Conn {
        let (conn, line) = self.sent[&call].clone();
        self.connection(conn).send(&line);
        conn
    }

    fn hear(&mut self, conn: Conn, call: Call, simulated: &Reply) {
        let heard = self.connection(conn).reply();
        self.compare(call, simulated, &heard);
    }

    /// Hears the replies that are owed to some connections.
    fn hear_owed(&mut self, of: impl Fn(Conn) -> bool) {
        for (call, reply) in std::mem::take(&mut self.owed) {
            let conn = self.sent[&call].0;
            match of(conn) {
                true => self.hear(conn, call, &reply),
                false => self.owed.push((call, reply)),
            }
        }
    }

    fn step(&mut self, entry: &Entry) {
        match &entry.what {
            What::Sent {
                call,
                owner,
                conn,
                lock,
                op,
                ..
            } => {
                // It may name a token that it has heard of.
                self.hear_owed(|_| true);
                let line = self.line(*lock, *owner, *op);
                self.sent.insert(*call, (*conn, line));
            }
            What::Waits { call, .. } => {
                self.send(*call);
                self.waiting.insert(*call);
                self.until_so_many_wait();
            }
            What::Answered { call, reply } if self.waiting.remove(call) => {
                self.owed.push((*call, reply.clone()));
            }
            What::Answered { call, reply } => {
                let conn = self.send(*call);
                self.hear(conn, *call, reply);
                self.hear_owed(|_| true);
            }
            What::LeftQueue { call } => {
                self.waiting.remove(call);
            }
            What::Gone { conn } => self.close(*conn),
            What::Closed { .. } | What::Dropped { .. } => (),
            What::Rights { may: true, .. }
            | What::Started { .. }
            | What::Role { master: true, .. } => (),
            What::Died { .. } | What::Heard { .. } | What::Lease { .. } | What::Quiet => (),
            other => panic!("the schedule does not do that: {other:?}"),
        }
    }

    fn until_so_many_wait(&self) {
        let mut client = self.server.client();
        let count = self.waiting.len() as u64;
        eventually("as many wait", || client.counter("waiters") == count);
    }

    /// Closes a connection, and waits until the server knows.
    fn close(&mut self, conn: Conn) {
        self.hear_owed(|owed| owed == conn);
        let Some(connection) = self.connections.remove(&conn) else {
            return;
        };
        let (id, mut client) = (connection.id(), self.server.client());
        drop(connection);
        eventually("the connection is closed", || {
            !client.run("CLIENT LIST").contains(&format!("id={id} "))
        });
        self.hear_owed(|_| true);
    }

    fn compare(&mut self, call: Call, simulated: &Reply, heard: &str) {
        let line = &self.sent[&call].1;
        match simulated {
            Reply::Grant { holds, token, ttl } => {
                let numbers: Vec<i64> = heard
                    .trim_matches(['[', ']'])
                    .split(' ')
                    .map(|word| word.parse().unwrap_or_else(|_| panic!("{line}: {heard}")))
                    .collect();
                let holds = i64::from(*holds);
                assert_eq!(numbers[..2], [holds.min(1), holds], "{line}: {heard}");
                if holds > 0 {
                    let known = *self.tokens.entry(*token).or_insert(numbers[2]);
                    assert_eq!(numbers[2], known, "{line}: {heard}");
                } else {
                    assert_eq!(numbers[2], 0, "{line}: {heard}");
                }
                // It is done again faster than it was, or slower. Others are told the time rounded up.
                for left in [numbers[3], *ttl] {
                    assert!((1..=TTL + 1).contains(&left), "{line}: {heard}, {ttl}");
                }
            }
            Reply::Left(left) => assert_eq!(heard, left.to_string(), "{line}"),
            Reply::Ok => assert_eq!(heard, "OK", "{line}"),
            Reply::Error(code) => {
                assert!(heard.starts_with(&**code), "{line}: {heard}, not {code}")
            }
        }
    }

    /// Tokens grow in the same order.
    fn check_tokens(&self) {
        let tokens: Vec<i64> = self.tokens.values().copied().collect();
        assert!(tokens.is_sorted(), "{tokens:?}");
        let different: HashSet<i64> = tokens.iter().copied().collect();
        assert_eq!(different.len(), tokens.len());
    }
}

#[test]
fn a_real_server_replies_as_the_simulated_one_did() {
    let mut done = [0; 2];
    for seed in 0..40 {
        let mut history = run::execute(&schedule(seed), None).history;
        // What follows winds the world up.
        let end = history
            .iter()
            .position(|entry| matches!(entry.what, What::Fault(_)));
        history.truncate(end.unwrap_or(history.len()));
        let mut replay = Replay {
            server: Server::start(),
            connections: BTreeMap::new(),
            sent: BTreeMap::new(),
            waiting: BTreeSet::new(),
            owed: Vec::new(),
            tokens: BTreeMap::new(),
        };
        for entry in &history {
            replay.step(entry);
        }
        replay.hear_owed(|_| true);
        replay.check_tokens();
        let waits = |entry: &&Entry| matches!(entry.what, What::Waits { .. });
        done[0] += replay.sent.len();
        done[1] += history.iter().filter(waits).count();
    }
    let [calls, waits] = done;
    println!("{calls} calls were done again, of which {waits} waited");
    assert!(calls > 1000 && waits > 200, "{calls} calls, {waits} waits");
}
