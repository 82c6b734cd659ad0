//! Clients: what they call, and what they believe.

use super::data::{lock_name, owner_name, Lock, Owner};
use redis_reentrant_lock::engine::ClientId;
use redis_reentrant_lock::lock::Token;

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `LOCK.ACQUIRE … HOLDS holds`.
    Acquire { holds: u32, how: How },
    /// `LOCK.RELEASE … HOLDS left`.
    Release { left: u32 },
    /// `LOCK.RENEW`.
    Renew,
}

/// How a lock is acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct How {
    pub ttl: i64,
    /// `WAIT`: 0 means no limit.
    pub wait: Option<i64>,
    /// `SESSION LINGER`.
    pub session: Option<i64>,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub lock: Lock,
    pub verb: Verb,
    pub token: Option<Token>,
}

impl Call {
    /// The words that are sent.
    pub fn words(&self, owner: Owner, ttl: i64) -> Vec<Vec<u8>> {
        let name = match self.verb {
            Verb::Acquire { .. } => "LOCK.ACQUIRE",
            Verb::Release { .. } => "LOCK.RELEASE",
            Verb::Renew => "LOCK.RENEW",
        };
        let mut words = vec![
            name.as_bytes().to_vec(),
            lock_name(self.lock).to_vec(),
            owner_name(owner).to_vec(),
        ];
        let mut add = |word: &str| words.push(word.as_bytes().to_vec());
        let mut option = |name: &str, number: i64| {
            add(name);
            add(&number.to_string());
        };
        match self.verb {
            Verb::Acquire { holds, how } => {
                if let Some(wait) = how.wait {
                    option("WAIT", wait);
                }
                if let Some(linger) = how.session {
                    option("LINGER", linger);
                }
                option("HOLDS", i64::from(holds));
            }
            Verb::Release { left } => option("HOLDS", i64::from(left)),
            Verb::Renew => (),
        }
        if let Some(token) = self.token {
            option("TOKEN", token.get());
        }
        let (ttl, session) = match self.verb {
            Verb::Acquire { how, .. } => (Some(how.ttl), how.session),
            Verb::Renew => (Some(ttl), None),
            Verb::Release { .. } => (None, None),
        };
        if let Some(ttl) = ttl {
            words.insert(3, ttl.to_string().into_bytes());
        }
        if session.is_some() {
            words.push(b"SESSION".to_vec());
        }
        words
    }
}

/// That a client holds a lock, as far as it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    pub lock: Lock,
    pub holds: u32,
    pub token: Token,
    /// Until when, in ms; none if it believes so for as long as its connection is open.
    pub until: Option<i64>,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing.
    Idle,
    /// It waits for the reply to a call.
    Waiting(Call),
    /// It has lost its connection before it had the reply to a call.
    Unknown(Call),
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub owner: Owner,
    pub doing: Doing,
    /// How many calls it may still begin. Releases and repeats are free.
    pub calls: u8,
    /// Its connection.
    pub connection: Option<ClientId>,
    /// How many it has opened.
    pub opened: u8,
    pub beliefs: Vec<Belief>,
}

impl Client {
    pub fn new(owner: Owner, calls: u8) -> Client {
        Client {
            owner,
            doing: Doing::Idle,
            calls,
            connection: None,
            opened: 0,
            beliefs: Vec::new(),
        }
    }

    /// Its belief in a lock.
    pub fn belief(&self, lock: Lock) -> Option<&Belief> {
        self.beliefs.iter().find(|belief| belief.lock == lock)
    }

    /// It believes this instead of what it did.
    pub fn believe(&mut self, lock: Lock, belief: Option<Belief>) {
        self.beliefs.retain(|belief| belief.lock != lock);
        self.beliefs.extend(belief);
        self.beliefs.sort_by_key(|belief| belief.lock);
    }

    /// Its connection is closed: no session is known to last any longer, and no reply comes.
    pub fn disconnected(&mut self) {
        self.connection = None;
        self.beliefs.retain(|belief| belief.until.is_some());
        if let Doing::Waiting(call) = self.doing {
            self.doing = Doing::Unknown(call);
        }
    }

    /// Forgets leases that are over.
    pub fn forget_ended(&mut self, now: i64) {
        self.beliefs
            .retain(|belief| belief.until.is_none_or(|until| now < until));
    }
}
