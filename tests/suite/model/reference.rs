//! The model: a lock as a reader of the documentation would write it down, in the simplest way.

use proptest::option;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use std::collections::BTreeMap;

/// Which token a step names: the n-th that was issued, counted from 0.
pub type Ordinal = usize;

/// What is done.
#[derive(Debug, Clone)]
pub enum Step {
    Acquire {
        lock: u8,
        owner: u8,
        ttl: Option<i64>,
        holds: Option<i64>,
        token: Option<Ordinal>,
    },
    Release {
        lock: u8,
        owner: u8,
        holds: Option<i64>,
        token: Option<Ordinal>,
    },
    Renew {
        lock: u8,
        owner: u8,
        ttl: Option<i64>,
        token: Option<Ordinal>,
    },
    Assert {
        lock: u8,
        owner: u8,
        token: Option<Ordinal>,
    },
    Info {
        lock: u8,
    },
    ForceRelease {
        lock: u8,
    },
    /// Redisson takes a lock that is free, or reenters one: a hold without a token.
    Redisson {
        lock: u8,
        owner: u8,
        ttl: i64,
    },
    /// The lease of a lock ends.
    Lapse {
        lock: u8,
    },
    /// Time passes.
    Pass {
        ms: i64,
    },
}

impl Step {
    /// The words of the command, with tokens by their number. None for what is no command of ours.
    pub fn words(&self, number: impl Fn(Ordinal) -> i64) -> Option<Vec<String>> {
        let (name, lock, owner, ttl, holds, token) = match *self {
            Step::Acquire {
                lock,
                owner,
                ttl,
                holds,
                token,
            } => ("LOCK.ACQUIRE", lock, Some(owner), ttl, holds, token),
            Step::Release {
                lock,
                owner,
                holds,
                token,
            } => ("LOCK.RELEASE", lock, Some(owner), None, holds, token),
            Step::Renew {
                lock,
                owner,
                ttl,
                token,
            } => ("LOCK.RENEW", lock, Some(owner), ttl, None, token),
            Step::Assert { lock, owner, token } => {
                ("LOCK.ASSERT", lock, Some(owner), None, None, token)
            }
            Step::Info { lock } => ("LOCK.INFO", lock, None, None, None, None),
            Step::ForceRelease { lock } => ("LOCK.FORCERELEASE", lock, None, None, None, None),
            Step::Redisson { .. } | Step::Lapse { .. } | Step::Pass { .. } => return None,
        };
        let mut words = vec![name.to_owned(), lock_name(lock)];
        words.extend(owner.map(owner_name));
        words.extend(ttl.map(|ttl| ttl.to_string()));
        if let Some(holds) = holds {
            words.extend(["HOLDS".to_owned(), holds.to_string()]);
        }
        if let Some(token) = token {
            words.extend(["TOKEN".to_owned(), number(token).to_string()]);
        }
        Some(words)
    }
}

/// The key of a lock.
pub fn lock_name(lock: u8) -> String {
    format!("lock:{lock}")
}

/// The name of an owner.
pub fn owner_name(owner: u8) -> String {
    format!("owner-{owner}")
}

/// What is replied.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Grant {
        acquired: bool,
        holds: i64,
        token: Option<Ordinal>,
        ttl: i64,
    },
    Integer(i64),
    Ok,
    Nil,
    Info {
        owner: String,
        holds: i64,
        token: Option<Ordinal>,
        ttl: i64,
    },
    Error(&'static str),
    /// Nothing is replied: it was no command of ours.
    Nothing,
}

#[derive(Debug, Clone)]
struct Lock {
    owner: u8,
    holds: i64,
    token: Option<Ordinal>,
    /// When it was given its token.
    start: i64,
    deadline: i64,
}

/// The state of the model.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// How long a hold may last; 0 where there is no bound.
    pub max_hold: i64,
    locks: BTreeMap<u8, Lock>,
    /// Milliseconds since the walk began; only the last two steps move it.
    pub clock: i64,
    issued: Ordinal,
    /// What the last step replied.
    pub last: Option<Outcome>,
}

/// The lease where none is named.
pub const DEFAULT_TTL: i64 = 30_000;

impl Reference {
    fn issue(&mut self) -> Option<Ordinal> {
        self.issued += 1;
        Some(self.issued - 1)
    }

    /// The end of a lease of `ttl`, of a hold that began then: not after the end of the hold.
    fn end(&self, ttl: i64, start: i64) -> i64 {
        let wanted = self.clock + ttl;
        match self.max_hold {
            0 => wanted,
            bound => wanted.min(start + bound),
        }
    }

    /// Whether the owner has this hold; else why not.
    fn holds(&self, lock: u8, owner: u8, token: Option<Ordinal>) -> bool {
        self.locks
            .get(&lock)
            .is_some_and(|held| held.owner == owner && (token.is_none() || held.token == token))
    }

    fn acquire(
        &mut self,
        lock: u8,
        owner: u8,
        ttl: i64,
        holds: Option<i64>,
        token: Option<Ordinal>,
    ) -> Outcome {
        let mine = self.holds(lock, owner, token);
        if token.is_some() && !mine {
            return Outcome::Error("NOTOWNER");
        }
        let held = if mine { self.locks[&lock].holds } else { 0 };
        let wanted = holds.unwrap_or(held + 1);
        if wanted != held && wanted != held + 1 {
            return Outcome::Error("HOLDCOUNT");
        }
        if !mine {
            if let Some(busy) = self.locks.get(&lock) {
                let ttl = busy.deadline - self.clock;
                return Outcome::Grant {
                    acquired: false,
                    holds: 0,
                    token: None,
                    ttl,
                };
            }
        }
        let (old_token, start, old_deadline) = match self.locks.get(&lock) {
            Some(held) if held.token.is_some() => (held.token, held.start, held.deadline),
            Some(held) => (None, self.clock, held.deadline),
            None => (None, self.clock, 0),
        };
        let token = old_token.or_else(|| self.issue());
        let deadline = old_deadline.max(self.end(ttl, start));
        self.locks.insert(
            lock,
            Lock {
                owner,
                holds: wanted,
                token,
                start,
                deadline,
            },
        );
        Outcome::Grant {
            acquired: true,
            holds: wanted,
            token,
            ttl: deadline - self.clock,
        }
    }

    fn release(
        &mut self,
        lock: u8,
        owner: u8,
        holds: Option<i64>,
        token: Option<Ordinal>,
    ) -> Outcome {
        if !self.holds(lock, owner, token) {
            return match holds {
                Some(0) => Outcome::Integer(-1),
                _ => Outcome::Error("NOTOWNER"),
            };
        }
        let held = self.locks[&lock].holds;
        let left = holds.unwrap_or(held - 1);
        if left != held && left != held - 1 {
            return Outcome::Error("HOLDCOUNT");
        }
        if left == 0 {
            self.locks.remove(&lock);
        } else {
            self.locks.get_mut(&lock).unwrap().holds = left;
        }
        Outcome::Integer(left)
    }

    fn renew(&mut self, lock: u8, owner: u8, ttl: i64, token: Option<Ordinal>) -> Outcome {
        if !self.holds(lock, owner, token) {
            return Outcome::Error("NOTOWNER");
        }
        let before = &self.locks[&lock];
        let start = match before.token {
            Some(_) => before.start,
            None => self.clock,
        };
        // What it has is not taken away by the bound, but by asking for less.
        let deadline = before
            .deadline
            .min(self.clock + ttl)
            .max(self.end(ttl, start));
        let token = before.token.or_else(|| self.issue());
        let left = deadline - self.clock;
        let held = self.locks.get_mut(&lock).unwrap();
        (held.token, held.start, held.deadline) = (token, start, deadline);
        Outcome::Grant {
            acquired: true,
            holds: held.holds,
            token,
            ttl: left,
        }
    }

    fn outcome(&mut self, step: &Step) -> Outcome {
        match *step {
            Step::Acquire {
                lock,
                owner,
                ttl,
                holds,
                token,
            } => self.acquire(lock, owner, ttl.unwrap_or(DEFAULT_TTL), holds, token),
            Step::Release {
                lock,
                owner,
                holds,
                token,
            } => self.release(lock, owner, holds, token),
            Step::Renew {
                lock,
                owner,
                ttl,
                token,
            } => self.renew(lock, owner, ttl.unwrap_or(DEFAULT_TTL), token),
            Step::Assert { lock, owner, token } if self.holds(lock, owner, token) => Outcome::Ok,
            Step::Assert { .. } => Outcome::Error("NOTOWNER"),
            Step::Info { lock } => match self.locks.get(&lock) {
                None => Outcome::Nil,
                Some(held) => Outcome::Info {
                    owner: owner_name(held.owner),
                    holds: held.holds,
                    token: held.token,
                    ttl: held.deadline - self.clock,
                },
            },
            Step::ForceRelease { lock } => {
                Outcome::Integer(i64::from(self.locks.remove(&lock).is_some()))
            }
            Step::Redisson { lock, owner, ttl } => {
                let deadline = self.clock + ttl;
                let held = self.locks.entry(lock).or_insert(Lock {
                    owner,
                    holds: 0,
                    token: None,
                    start: 0,
                    deadline,
                });
                if held.owner == owner {
                    held.holds += 1;
                    held.deadline = deadline;
                }
                Outcome::Nothing
            }
            Step::Lapse { lock } => {
                let over = self.locks.get(&lock).map(|over| over.deadline);
                self.pass_until(over.unwrap_or(self.clock));
                Outcome::Nothing
            }
            Step::Pass { ms } => {
                self.pass_until(self.clock + ms);
                Outcome::Nothing
            }
        }
    }

    /// Time passes for all: what ends before is over too.
    fn pass_until(&mut self, then: i64) {
        self.clock = self.clock.max(then);
        self.locks.retain(|_, held| held.deadline > then);
    }
}

impl ReferenceStateMachine for Reference {
    type State = Reference;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Reference> {
        prop::sample::select(vec![0, 100_000])
            .prop_map(|max_hold| Reference {
                max_hold,
                ..Reference::default()
            })
            .boxed()
    }

    fn transitions(state: &Reference) -> BoxedStrategy<Step> {
        let (lock, owner) = (0..3u8, 0..3u8);
        let ttl = option::of(prop::sample::select(vec![30_000, 60_000, 90_000]));
        // A token that was issued, or the one that would be next.
        let token = option::weighted(0.3, 0..=state.issued);
        let holds = option::weighted(0.5, 0..4i64);
        let up = option::weighted(0.5, 1..4i64);
        prop_oneof![
            6 => (lock.clone(), owner.clone(), ttl.clone(), up, token.clone())
                .prop_map(|(lock, owner, ttl, holds, token)| Step::Acquire { lock, owner, ttl, holds, token }),
            5 => (lock.clone(), owner.clone(), holds, token.clone())
                .prop_map(|(lock, owner, holds, token)| Step::Release { lock, owner, holds, token }),
            3 => (lock.clone(), owner.clone(), ttl, token.clone())
                .prop_map(|(lock, owner, ttl, token)| Step::Renew { lock, owner, ttl, token }),
            2 => (lock.clone(), owner.clone(), token)
                .prop_map(|(lock, owner, token)| Step::Assert { lock, owner, token }),
            2 => lock.clone().prop_map(|lock| Step::Info { lock }),
            1 => lock.clone().prop_map(|lock| Step::ForceRelease { lock }),
            1 => (lock.clone(), owner, prop::sample::select(vec![30_000, 60_000]))
                .prop_map(|(lock, owner, ttl)| Step::Redisson { lock, owner, ttl }),
            1 => lock.prop_map(|lock| Step::Lapse { lock }),
            2 => prop::sample::select(vec![10_000, 20_000, 50_000]).prop_map(|ms| Step::Pass { ms }),
        ]
        .boxed()
    }

    fn apply(mut state: Reference, step: &Step) -> Reference {
        state.last = Some(state.outcome(step));
        state
    }
}

/// The numbers of the tokens, in the order in which they were issued.
#[derive(Debug, Default)]
pub struct Numbers(Vec<i64>);

impl Numbers {
    /// The number of a token; for one that was not issued yet, one that never will be.
    pub fn number(&self, token: Ordinal) -> i64 {
        self.0.get(token).copied().unwrap_or(1)
    }

    /// The token with this number. A new one must be larger than all before.
    pub fn ordinal(&mut self, number: i64) -> Option<Ordinal> {
        if number == 0 {
            return None;
        }
        Some(
            self.0
                .iter()
                .position(|known| *known == number)
                .unwrap_or_else(|| {
                    let last = self.0.last().copied().unwrap_or_default();
                    assert!(number > last, "token {number} after {last}");
                    self.0.push(number);
                    self.0.len() - 1
                }),
        )
    }
}
