//! A failover with clients on both sides, at random times.

use super::beliefs::{contradictions, Belief, Life};
use super::crowd::Task;
use super::pair::{Pair, Times};
use super::worker::run;
use crate::support::{eventually, skip, Clocks, Cut, Server, Setup};
use fastrand::Rng;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn, JoinHandle};
use std::time::{Duration, Instant};

/// How many locks a trial has, and how many want each of them.
const LOCKS: usize = 4;
const WORKERS: usize = 4;

/// What happens in a trial, in ms from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where its choices come from.
    pub seed: u64,
    /// The settings.
    pub times: Times,
    /// How long sessions linger, 0 for not at all.
    pub linger: u64,
    /// How the link is cut.
    pub how: Cut,
    /// When.
    pub cut: usize,
    /// When the replica is promoted.
    pub promote: usize,
    /// Whether it has a replica of its own already, and so takes writes at once.
    pub chain: bool,
    /// When it takes writes without one.
    pub alone: Option<usize>,
    /// When the old master becomes its replica.
    pub demote: Option<usize>,
    /// When the link is whole again.
    pub heal: Option<usize>,
}

/// What came of it.
pub struct Outcome {
    /// Whatever was wrong, in words.
    pub wrong: Vec<String>,
    /// How often two clients believed in one lock, or tokens did not grow, whatever was the reason.
    pub contradictions: usize,
    /// How many holds the first master granted after the cut.
    pub after_cut: usize,
    /// How many new holds the promoted replica granted.
    pub on_new: usize,
    /// How many holds were confirmed there that the first master had granted.
    pub confirmed: usize,
}

impl Plan {
    /// Some plan.
    pub fn random(seed: u64, max_ttl: u64) -> Plan {
        let mut dice = Rng::with_seed(seed);
        // Some sessions come back, which is promised where they linger for as long as the old master
        // may still grant.
        let lingers = dice.usize(..4) == 0;
        let long = lingers || dice.usize(..3) == 0;
        let times = Times::safe(if long { 3200 } else { max_ttl });
        let cut = 500 + dice.usize(..1200);
        // At once, before the old master knows that it is cut off, or after.
        let promote = cut + [0, dice.usize(..300), dice.usize(..4000)][dice.usize(..3)];
        let chain = dice.usize(..2) == 0;
        let demoted = dice.usize(..2) == 0;
        let demote = promote + dice.usize(..2500);
        Plan {
            seed,
            times,
            linger: if lingers { 3200 } else { 0 },
            how: [Cut::Frozen, Cut::Frozen, Cut::Closed][dice.usize(..3)],
            cut,
            promote,
            chain,
            alone: (!demoted && !chain).then(|| promote + dice.usize(..500)),
            demote: demoted.then_some(demote),
            heal: (dice.usize(..3) == 0).then(|| cut + dice.usize(..6000)),
        }
    }

    /// Lets it happen.
    pub fn run(self) -> Outcome {
        let clocks = Clocks::start();
        let pair = Pair::start(self.times);
        let no_module = Setup::without_module;
        let _chained = self.chain.then(|| pair.replica.replica(no_module()));
        let start = Instant::now();
        let at = |ms: usize| start + Duration::from_millis(ms as u64);
        let grace = self.times.grace as usize;
        let over = at(self.promote.max(self.demote.unwrap_or(0)) + grace + 2000);
        let ends = Arc::new(Mutex::new(start + Duration::from_secs(3600)));
        let mut dice = Rng::with_seed(self.seed);
        let mut workers = Vec::new();
        for worker in 0..LOCKS * WORKERS {
            let number = worker / LOCKS;
            let after = match number {
                // It stays with the old master for as long as that is one.
                0 => 1_000_000,
                1 => dice.usize(..300),
                2 => dice.usize(..2000),
                _ => 0,
            };
            let task = Task {
                ports: [pair.master.port(), pair.replica.port()],
                lock: format!("k{}", worker % LOCKS),
                owner: format!("o{worker}"),
                max_ttl: self.times.max_ttl,
                linger: self.linger,
                begins: if number == 3 { at(self.promote) } else { start },
                moves: at(self.promote + after),
                ends: ends.clone(),
                dice: Rng::with_seed(self.seed.wrapping_add(worker as u64 + 1)),
            };
            workers.push(spawn(move || run(task)));
        }
        let stall = Stall::watch(&pair.master);
        self.act(&pair, start);
        sleep(over.saturating_duration_since(Instant::now()));
        let mut new = pair.replica.client();
        eventually("the new master has granted locks", || {
            new.counter("acquired") + new.counter("handed_over") >= 3
        });
        *ends.lock().unwrap() = Instant::now();
        let lives = workers.into_iter().map(|worker| worker.join().unwrap());
        let lives: Vec<Life> = lives.collect();
        let mut outcome = self.judge(&lives, start, stall.longest());
        if !outcome.wrong.is_empty() && clocks.were_set() {
            skip("the machine's clock was set");
            outcome.wrong.clear();
        }
        outcome
    }

    fn act(&self, pair: &Pair, start: Instant) {
        type Act = fn(&Pair, &Plan);
        let acts: [(Option<usize>, Act); 5] = [
            (Some(self.cut), |pair, plan| pair.network.cut(plan.how)),
            (Some(self.promote), |pair, _| pair.promote()),
            (self.alone, |pair, _| pair.take_writes()),
            (self.demote, |pair, _| pair.demote()),
            (self.heal, |pair, _| pair.network.heal()),
        ];
        let mut acts: Vec<_> = acts
            .into_iter()
            .filter_map(|(at, act)| Some((at?, act)))
            .collect();
        acts.sort_by_key(|(at, _)| *at);
        for (at, act) in acts {
            let at = start + Duration::from_millis(at as u64);
            sleep(at.saturating_duration_since(Instant::now()));
            act(pair, self);
        }
    }

    fn judge(&self, lives: &[Life], start: Instant, stall: Duration) -> Outcome {
        let since = |at: Instant| at.duration_since(start).as_millis() as usize;
        let beliefs: Vec<&Belief> = lives.iter().flat_map(|life| &life.beliefs).collect();
        let granted_by = |side, after| {
            let new = beliefs.iter().filter(|it| it.side == side);
            new.filter(|it| since(it.from) > after).count()
        };
        let old = beliefs.iter().filter(|it| it.side == 0);
        let tokens: Vec<String> = old.map(|it| it.token.to_string()).collect();
        let journal = lives.iter().flat_map(|life| &life.journal);
        let confirmed = journal.filter(|(_, line)| {
            line.starts_with("new > ") && tokens.iter().any(|token| line.contains(token))
        });
        let all: Vec<Belief> = beliefs.iter().copied().cloned().collect();
        Outcome {
            contradictions: contradictions(&all).len(),
            wrong: wrong(lives, start, stall, &format!("{self:?}, {stall:?}")),
            after_cut: granted_by(0, self.cut),
            on_new: granted_by(1, self.promote),
            confirmed: confirmed.count(),
        }
    }
}

/// Watches for how long the machine holds a server up. One that is cut off grants for so much longer
/// than the promise reckons with, which takes no longer than it must for granted.
struct Stall {
    over: Arc<AtomicBool>,
    watch: JoinHandle<Duration>,
}

impl Stall {
    fn watch(server: &Server) -> Stall {
        let over = Arc::new(AtomicBool::new(false));
        let (mut client, until) = (server.client(), over.clone());
        let watch = spawn(move || {
            let mut longest = Duration::ZERO;
            while !until.load(Relaxed) {
                let asked = Instant::now();
                client.run("PING");
                sleep(Duration::from_millis(5));
                longest = longest.max(asked.elapsed());
            }
            longest
        });
        Stall { over, watch }
    }

    fn longest(self) -> Duration {
        self.over.store(true, Relaxed);
        self.watch.join().unwrap()
    }
}

/// What contradicts itself in what the clients believed, and what they sent and were answered. Two
/// owners may believe in one lock for as long as the first server was held up.
pub fn wrong(lives: &[Life], start: Instant, stall: Duration, story: &str) -> Vec<String> {
    let since = |at: Instant| at.duration_since(start).as_micros();
    let beliefs: Vec<Belief> = lives.iter().flat_map(|l| l.beliefs.clone()).collect();
    let mut journal: Vec<_> = lives.iter().flat_map(|life| &life.journal).collect();
    journal.sort();
    let wrong = contradictions(&beliefs).into_iter();
    let wrong = wrong.filter(|(a, b, _)| a.overlap(b) == Duration::ZERO || a.overlap(b) > stall);
    let wrong = wrong.map(|(a, b, what)| {
        let mut text = format!("{what} of {}, {story}\n", a.lock);
        for it in [&a, &b] {
            let (from, until) = (since(it.from), since(it.until));
            let (owner, token, side) = (&it.owner, it.token, it.side);
            let line = format!("  {owner} by {token} of {side}: {from} to {until} us\n");
            text.push_str(&line);
        }
        let about = [format!(" {} ", a.owner), format!(" {} ", b.owner)];
        for (at, line) in &journal {
            if about.iter().any(|owner| line.contains(owner)) {
                text.push_str(&format!("  {:>9} {line}\n", since(*at)));
            }
        }
        text
    });
    wrong.collect()
}
