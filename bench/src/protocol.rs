//! What the harness and the workers say to each other: a JSON object a line.

use serde::{Deserialize, Serialize};

/// What the clients of a worker do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Each client acquires and releases a lock of its own.
    Pair,
    /// Each acquires a lock of its own `depth` times, then releases it as often.
    Reenter,
    /// Each renews a lock of its own.
    Renew,
    /// All want one lock.
    Contend,
    /// One holds a lock, all others wait for it, and nothing moves.
    Still,
    /// `pace` pairs a second.
    Paced,
    /// One client holds a lock until its process is killed.
    Hold,
    /// One client acquires a lock once.
    Next,
}

/// What a worker is to do. It ignores what its work does not need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The system whose clients it plays.
    pub system: String,
    /// Where its servers are.
    pub urls: Vec<String>,
    /// What the clients do.
    pub work: Work,
    /// The name of the lock; those of single clients begin with it.
    pub lock: String,
    /// How many clients.
    pub clients: usize,
    /// How long a lock is held.
    pub hold_us: u64,
    /// The TTL of every lock.
    pub lease_ms: u64,
    /// How often a lock is acquired before it is released.
    pub depth: u32,
    /// How many pairs are sent in one go.
    pub pipeline: usize,
    /// How many pairs start in a second.
    pub pace: u64,
}

impl Job {
    /// The lock that only this client uses.
    pub fn own(&self, number: usize) -> String {
        format!("{}:{number}", self.lock)
    }

    /// The lock with which this client warms up.
    pub fn warm_up(&self, number: usize) -> String {
        format!("{}:warm-up:{number}", self.lock)
    }

    /// The locks of a pipelined batch of this client.
    pub fn batch(&self, number: usize) -> Vec<String> {
        (0..self.pipeline)
            .map(|at| format!("{}:{number}:{at}", self.lock))
            .collect()
    }
}

/// Lets the clients work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Go {
    /// For so many seconds.
    pub go: f64,
}

/// Microseconds, and how many times, ascending.
pub type Pairs = Vec<(u64, u64)>;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many operations.
    pub operations: u64,
    /// In how many seconds, until the last client had given back what it held.
    pub seconds: f64,
    /// How long an operation took.
    #[serde(default)]
    pub latency: Pairs,
    /// From calling acquire to having the lock.
    #[serde(default)]
    pub waits: Pairs,
    /// From just before a release to when the next owner had it.
    #[serde(default)]
    pub handoff: Pairs,
    /// The operations of each client.
    #[serde(default)]
    pub per_client: Vec<u64>,
    /// How many operations failed.
    #[serde(default)]
    pub errors: u64,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a job: the clients are connected and warm.
    Ready {
        /// Always true.
        ready: bool,
        /// The client library's name and version.
        version: String,
    },
    /// To a job: the system cannot do this, and why.
    Unsupported {
        /// One clause.
        unsupported: String,
    },
    /// It failed.
    Failed {
        /// How.
        error: String,
    },
    /// To a [`Go`].
    Outcome(Outcome),
}
