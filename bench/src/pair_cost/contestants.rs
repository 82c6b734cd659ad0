//! What is compared: ways to take and give back a lock that nobody else wants.

use crate::common::support::Client;
use crate::common::{Gauge, Pipeline, Step};
use crate::worker::{COMPARE_AND_DELETE, GIVE_BACK, TAKE};

/// How many locks take turns.
pub const LOCKS: usize = 1000;

/// How many pairs are sent in one go.
const BATCH: usize = 200;

/// An owner's id, as long as Redisson's (a UUID and a thread's number).
const OWNER: &str = "0c7b1f6e-5a3d-4e0b-9f55-3f9a6d1c2b84:117";

/// Another one.
const STRANGER: &str = "d2f0a4b9-8c16-4f7e-a3c1-6b0e9d57f218:42";

/// Redisson's release without a latch, as releases of Redisson before it did: its third argument is the owner, its fourth the
/// command to publish with.
const REDISSON_UNLOCK_BEFORE: &str = "
    if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 then
        return nil
    end
    local holds = redis.call('HINCRBY', KEYS[1], ARGV[3], -1)
    if holds > 0 then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return 0
    end
    redis.call('DEL', KEYS[1])
    redis.call(ARGV[4], KEYS[2], ARGV[1])
    return 1";

/// The names of those that the promises are about.
pub const OURS: &str = "LOCK.ACQUIRE + LOCK.RELEASE";
pub const SET_AND_COMPARE: &str = "SET NX PX + compare-and-delete by EVALSHA";
pub const REDISSON: &str = "Redisson's two scripts by EVALSHA";

/// One way to do it.
pub struct Contestant {
    /// What it is called in the table.
    pub name: &'static str,
    /// The pairs, on all locks in turn.
    pub batches: Vec<Batch>,
}

/// Pairs, and what has to be done after them before they can be sent again, which is not measured.
pub struct Batch {
    pub pairs: Pipeline,
    pub cleanup: Pipeline,
}

impl Contestant {
    /// Has it take and give back each lock once, and returns how many nanoseconds that took.
    ///
    /// # Errors
    /// A wrong reply.
    pub fn take_turn(&self, client: &mut Client, gauge: &Gauge) -> Result<u64, String> {
        let mut run = |batch: &Batch| {
            let before = gauge.read();
            batch.pairs.run(client)?;
            let cost = gauge.read() - before;
            batch.cleanup.run(client)?;
            Ok(cost)
        };
        // One more, uncounted, comes first: the caches are still full of another contestant.
        let warm_up = self.batches.last().map_or(Ok(0), &mut run);
        let cost = warm_up.and_then(|_| self.batches.iter().map(&mut run).sum());
        cost.map_err(|error: String| format!("{}: {error}", self.name))
    }
}

/// The module's own pair.
pub fn ours() -> Contestant {
    contestant(OURS, |n| vec![acquire(n, ""), release(n, "")])
}

fn contestant(name: &'static str, pair: impl Fn(usize) -> Vec<Step>) -> Contestant {
    with_cleanup(name, pair, |_| Vec::new())
}

fn with_cleanup(
    name: &'static str,
    pair: impl Fn(usize) -> Vec<Step>,
    cleanup: impl Fn(usize) -> Vec<Step>,
) -> Contestant {
    let numbers: Vec<usize> = (0..LOCKS).collect();
    let pack = |numbers: &[usize], steps: &dyn Fn(usize) -> Vec<Step>| {
        let steps: Vec<Step> = numbers.iter().flat_map(|&number| steps(number)).collect();
        Pipeline::new(&steps)
    };
    let batches = numbers.chunks(BATCH).map(|numbers| Batch {
        pairs: pack(numbers, &pair),
        cleanup: pack(numbers, &cleanup),
    });
    let batches = batches.collect();
    Contestant { name, batches }
}

/// All of them. Loads the scripts into the server, and takes the locks that must be held.
pub fn all(client: &mut Client) -> Vec<Contestant> {
    let mut load = |script: &str| client.say(&[b"SCRIPT", b"LOAD", script.as_bytes()]);
    let compare_and_delete = load(COMPARE_AND_DELETE);
    let redisson_lock = load(TAKE);
    let redisson_unlock = load(GIVE_BACK);
    let redisson_unlock_before = load(REDISSON_UNLOCK_BEFORE);
    let tokens: Vec<i64> = (0..LOCKS)
        .map(|n| client.grant(&format!("LOCK.ACQUIRE {} {OWNER} 3600000", held(n)))[2])
        .collect();

    let set = |n| (format!("SET {} {OWNER} NX PX 30000", lock(n)), "OK");
    let lock_script = |n| {
        let line = format!("EVALSHA {redisson_lock} 1 {} 30000 {OWNER}", lock(n));
        (line, "nil")
    };
    let unlock_script = |n| {
        let (lock, channel, latch) = (lock(n), channel(n), latch(n));
        let keys = format!("EVALSHA {redisson_unlock} 3 {lock} {channel} {latch}");
        (format!("{keys} 0 30000 {OWNER} 20000"), "1")
    };
    let unlock_script_before = |n| {
        let (lock, channel) = (lock(n), channel(n));
        let keys = format!("EVALSHA {redisson_unlock_before} 2 {lock} {channel}");
        (format!("{keys} 0 30000 {OWNER} publish"), "1")
    };
    let delete_latch = |n| (format!("DEL {}", latch(n)), "1");
    vec![
        contestant("PING + PING", |_| {
            let ping = || ("PING".to_owned(), "PONG");
            vec![ping(), ping()]
        }),
        contestant("SET NX PX + DEL (unsafe)", |n| {
            vec![set(n), (format!("DEL {}", lock(n)), "1")]
        }),
        contestant(SET_AND_COMPARE, |n| {
            let line = format!("EVALSHA {compare_and_delete} 1 {} {OWNER}", lock(n));
            vec![set(n), (line, "1")]
        }),
        with_cleanup(
            REDISSON,
            |n| vec![lock_script(n), unlock_script(n)],
            |n| vec![delete_latch(n)],
        ),
        contestant("  without the latch, as older releases", |n| {
            vec![lock_script(n), unlock_script_before(n)]
        }),
        contestant("  and the DEL of the latch that follows", |n| {
            vec![lock_script(n), unlock_script(n), delete_latch(n)]
        }),
        ours(),
        contestant("  with HOLDS 1, HOLDS 0", |n| {
            vec![acquire(n, " HOLDS 1"), release(n, " HOLDS 0")]
        }),
        contestant("  reentry, with HOLDS and TOKEN", |n| {
            let (held, token) = (held(n), tokens[n]);
            let acquire = format!("LOCK.ACQUIRE {held} {OWNER} 3600000 HOLDS 2 TOKEN {token}");
            let release = format!("LOCK.RELEASE {held} {OWNER} HOLDS 1 TOKEN {token}");
            vec![(acquire, "[1 2 "), (release, "1")]
        }),
        contestant("  two acquires that find it busy", |n| {
            let busy = || {
                let line = format!("LOCK.ACQUIRE {} {STRANGER} 30000", held(n));
                (line, "[0 0 0 ")
            };
            vec![busy(), busy()]
        }),
    ]
}

fn acquire(number: usize, options: &str) -> Step {
    let line = format!("LOCK.ACQUIRE {} {OWNER} 30000{options}", lock(number));
    (line, "[1 1 ")
}

fn release(number: usize, options: &str) -> Step {
    let line = format!("LOCK.RELEASE {} {OWNER}{options}", lock(number));
    (line, "0")
}

fn lock(number: usize) -> String {
    format!("lock:{number:04}")
}

/// A lock that is held all the time.
fn held(number: usize) -> String {
    format!("held:{number:04}")
}

fn channel(number: usize) -> String {
    format!("redisson_lock__channel:{{{}}}", lock(number))
}

/// The latch of an unlock request, whose id is random in Redisson, and as long.
fn latch(number: usize) -> String {
    format!("redisson_unlock_latch:{{{}}}:{number:032x}", lock(number))
}
