//! Who believes that it holds which lock. A lock must never have two who are right to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How many lines the journal has. It is told, as far as it concerns the lock, where a soak fails.
const JOURNAL: usize = 20_000;

/// What the clients of a soak share.
pub struct Registry {
    locks: Vec<Mutex<Entry>>,
    stopped: AtomicBool,
    failure: Mutex<Option<String>>,
    /// What was sent and answered last, in order.
    journal: Mutex<VecDeque<String>>,
    start: Instant,
    /// How many holds were checked.
    pub holds: AtomicU64,
}

#[derive(Default)]
struct Entry {
    holder: Option<Belief>,
    /// The largest token of those who registered.
    last: i64,
    /// How many are about to take the lock from whoever holds it, or did and did not say yet which
    /// holds it has cost.
    forcing: u32,
    /// Holds with smaller tokens were taken away.
    void_below: i64,
}

struct Belief {
    owner: String,
    token: i64,
    /// None: until it is released.
    until: Option<Instant>,
}

impl Belief {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

impl Registry {
    /// So many locks that nobody holds.
    pub fn new(locks: usize) -> Registry {
        Registry {
            locks: (0..locks).map(|_| Mutex::default()).collect(),
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
            journal: Mutex::new(VecDeque::with_capacity(JOURNAL)),
            start: Instant::now(),
            holds: AtomicU64::new(0),
        }
    }

    /// An owner was answered that it holds the lock. Fails where another one does, or where a later
    /// hold came before. Must be called before the release is sent.
    pub fn begins(&self, lock: usize, owner: &str, token: i64, until: Option<Instant>) {
        let belief = Belief {
            owner: owner.to_owned(),
            token,
            until,
        };
        let mut entry = self.entry(lock);
        loop {
            // It was taken away, or is over, before its owner knew of it.
            if token < entry.void_below || belief.is_over() {
                return;
            }
            let holder = entry.holder.as_ref().filter(|holder| !holder.is_over());
            let wrong = match holder {
                Some(holder) => Some(format!(
                    "k{lock} has two owners: {} by token {}, {owner} by token {token}",
                    holder.owner, holder.token
                )),
                None if token <= entry.last => Some(format!(
                    "k{lock} was granted to {owner} by token {token}, after {}",
                    entry.last
                )),
                None => None,
            };
            match wrong {
                // Not so, perhaps, once it is known what was taken from whom.
                Some(_) if self.is_forced(&entry) => entry = self.look_again(lock, entry),
                Some(wrong) => return self.fail(&format!(" k{lock} "), wrong),
                None => break,
            }
        }
        entry.last = token;
        entry.holder = Some(belief);
        self.holds.fetch_add(1, SeqCst);
    }

    /// An owner gives its hold up. Must be called before it says so to the server.
    pub fn ends(&self, lock: usize, token: i64) {
        let mut entry = self.entry(lock);
        if entry.holder.as_ref().is_some_and(|it| it.token == token) {
            entry.holder = None;
        }
    }

    /// An owner was told that it does not hold the lock any more. Fails where nobody took it.
    pub fn is_lost(&self, lock: usize, owner: &str, token: i64, reply: &str) {
        let mut entry = self.entry(lock);
        while self.is_forced(&entry) {
            entry = self.look_again(lock, entry);
        }
        if token >= entry.void_below {
            drop(entry);
            let wrong = format!("{owner} lost its hold {token} of k{lock}: {reply}");
            self.fail(&format!(" k{lock} "), wrong);
        }
    }

    /// Someone is about to take the lock away.
    pub fn forces(&self, lock: usize) {
        self.entry(lock).forcing += 1;
    }

    /// It did, and all holds with smaller tokens than this are over.
    pub fn forced(&self, lock: usize, below: i64) {
        let mut entry = self.entry(lock);
        entry.forcing -= 1;
        entry.void_below = entry.void_below.max(below);
        if entry.holder.as_ref().is_some_and(|it| it.token < below) {
            entry.holder = None;
        }
    }

    /// Takes note of what was sent or answered.
    pub fn note(&self, who: &str, what: &str) {
        let mut journal = self.journal.lock().unwrap();
        if journal.len() == JOURNAL {
            journal.pop_front();
        }
        let at = self.start.elapsed().as_micros();
        journal.push_back(format!("{at:>10} us  {who}: {what}"));
    }

    /// Ends the soak, the first time with this failure. Told with it is what the journal has of a
    /// lock or an owner.
    pub fn fail(&self, about: &str, what: String) {
        let mut failure = self.failure.lock().unwrap();
        if failure.is_none() {
            let journal = self.journal.lock().unwrap();
            let about = journal.iter().filter(|line| line.contains(about));
            let mut last: Vec<&str> = about.rev().take(60).map(String::as_str).collect();
            last.reverse();
            *failure = Some(format!("{what}\n{}", last.join("\n")));
        }
        self.stop();
    }

    /// Ends the soak.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    /// Whether it has ended.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Whether something was wrong.
    pub fn has_failed(&self) -> bool {
        self.failure.lock().unwrap().is_some()
    }

    /// Lets it go on, or tells of the first failure.
    pub fn resume(&self) -> Result<(), String> {
        self.stopped.store(false, SeqCst);
        self.failure.lock().unwrap().take().map_or(Ok(()), Err)
    }

    /// Whether it is not known yet which holds were taken away; nor will it be, after a failure.
    fn is_forced(&self, entry: &Entry) -> bool {
        entry.forcing > 0 && !self.has_failed()
    }

    fn entry(&self, lock: usize) -> MutexGuard<'_, Entry> {
        self.locks[lock].lock().unwrap()
    }

    fn look_again<'a>(
        &'a self,
        lock: usize,
        entry: MutexGuard<'a, Entry>,
    ) -> MutexGuard<'a, Entry> {
        drop(entry);
        std::thread::sleep(Duration::from_micros(200));
        self.entry(lock)
    }
}
