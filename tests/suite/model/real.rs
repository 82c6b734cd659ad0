//! The commands on a real server.

use super::reference::{lock_name, owner_name, Numbers, Outcome, Reference, Step};
use crate::support::{eventually, show, Client, Server, Setup};
use proptest_state_machine::StateMachineTest;
use redis::Value;

/// What is tested.
pub struct Real {
    client: Client,
    _server: Server,
    numbers: Numbers,
    /// How far the model's clock is ahead of the server's: leases are ended, not waited for.
    ahead: i64,
}

/// How far the time left may be below the model's, which waits for nothing.
const LATE: i64 = 10_000;

impl Real {
    fn read(&mut self, reply: &Value) -> Outcome {
        let mut ordinal = |number: i64| self.numbers.ordinal(number);
        match reply {
            Value::Nil => Outcome::Nil,
            Value::Okay => Outcome::Ok,
            Value::Int(number) => Outcome::Integer(*number),
            Value::Array(parts) => match parts[..] {
                [Value::Int(acquired), Value::Int(holds), Value::Int(token), Value::Int(ttl)] => {
                    Outcome::Grant {
                        acquired: acquired == 1,
                        holds,
                        token: ordinal(token),
                        ttl,
                    }
                }
                [_, ref owner, _, Value::Int(holds), _, Value::Int(token), _, Value::Int(ttl), ..] => {
                    Outcome::Info {
                        owner: show(owner),
                        holds,
                        token: ordinal(token),
                        ttl,
                    }
                }
                _ => panic!("{}", show(reply)),
            },
            Value::ServerError(error) => match error.code() {
                "NOTOWNER" => Outcome::Error("NOTOWNER"),
                "HOLDCOUNT" => Outcome::Error("HOLDCOUNT"),
                _ => panic!("{}", show(reply)),
            },
            _ => panic!("{}", show(reply)),
        }
    }

    /// Lets so much time pass for every lock: its lease ends so much earlier, and its hold began so
    /// much earlier.
    fn pass(&mut self, by: i64) {
        for lock in 0..3 {
            let name = lock_name(lock);
            let left = self.client.int(&format!("PTTL {name}"));
            if left < 0 {
                continue;
            }
            // What the model has left is what the server has left, but for the time the test took.
            let left = (left - by + LATE / 2) / LATE * LATE;
            if let Some(fence) = self
                .client
                .run(&format!("HGET {name} mode"))
                .strip_prefix("fenced:")
            {
                let (token, start) = fence.split_once(':').unwrap_or((fence, fence));
                let start = start.parse::<i64>().unwrap() - by * 1000;
                self.client
                    .run(&format!("HSET {name} mode fenced:{token}:{start}"));
            }
            self.client.run(&format!("PEXPIRE {name} {}", left.max(1)));
            if left <= 0 {
                let gone = || self.client.int(&format!("EXISTS {name}")) == 0;
                eventually("the lease ends", gone);
            }
        }
    }

    fn redisson(&mut self, lock: u8, owner: u8, ttl: i64) {
        let (lock, owner, ttl) = (lock_name(lock), owner_name(owner), ttl.to_string());
        let script = "if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then \
                      redis.call('HINCRBY', KEYS[1], ARGV[1], 1) redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
        let words = ["EVAL", script, "1", &lock, &owner, &ttl];
        assert_eq!(self.client.say(&words.map(str::as_bytes)), "nil");
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> Real {
        let max_hold = format!("max-hold {}", reference.max_hold);
        let server = Setup::new().module_args(&max_hold).start();
        Real {
            client: server.client(),
            _server: server,
            numbers: Numbers::default(),
            ahead: 0,
        }
    }

    fn apply(mut real: Real, reference: &Reference, step: Step) -> Real {
        let words = step.words(|token| real.numbers.number(token));
        let outcome = match (words, &step) {
            (Some(words), _) => {
                let reply = real.client.ask(&words.join(" "));
                real.read(&reply)
            }
            (None, Step::Redisson { lock, owner, ttl }) => {
                real.redisson(*lock, *owner, *ttl);
                Outcome::Nothing
            }
            (None, _) => {
                real.pass(reference.clock - real.ahead);
                real.ahead = reference.clock;
                Outcome::Nothing
            }
        };
        let expected = reference.last.as_ref().unwrap();
        assert_eq!(&near(outcome, expected), expected, "{step:?}");
        real
    }
}

/// The outcome with the model's time left, where that is what it is but for the time that passed.
fn near(mut outcome: Outcome, expected: &Outcome) -> Outcome {
    let wanted = match expected {
        Outcome::Grant { ttl, .. } | Outcome::Info { ttl, .. } => *ttl,
        _ => return outcome,
    };
    if let Outcome::Grant { ttl, .. } | Outcome::Info { ttl, .. } = &mut outcome {
        // A stranger is told the end of a millisecond that has begun.
        if (-1..LATE).contains(&(wanted - *ttl)) {
            *ttl = wanted;
        }
    }
    outcome
}
