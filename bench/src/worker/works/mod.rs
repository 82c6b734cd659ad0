//! The works: what all clients of a worker do from `go` to the end.

mod contend;
mod own;

use super::Locker;
use super::times::Times;
use crate::protocol::{Job, Outcome, Work};
use contend::Baton;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

/// So long after the last one has called acquire, all wait at the server.
const SETTLED: Duration = Duration::from_millis(500);

/// A thread of a client needs little; a thousand of them need it a thousand times.
const STACK: usize = 512 * 1024;

/// The clients, connected and ready.
pub struct Crew {
    job: Job,
    lockers: Vec<Box<dyn Locker>>,
}

/// What all clients of a round share.
pub struct Round<'a> {
    job: &'a Job,
    start: Instant,
    stop: &'a AtomicBool,
    baton: &'a Baton,
}

impl Round<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// What a client has done.
#[derive(Default)]
pub struct Done {
    operations: u64,
    latency: Times,
    waits: Times,
    handoff: Times,
    errors: Vec<String>,
}

impl Crew {
    /// Prepares what the work needs before it begins.
    pub fn ready(job: Job, mut lockers: Vec<Box<dyn Locker>>) -> Result<Crew, String> {
        match job.work {
            Work::Renew => {
                for (number, locker) in lockers.iter_mut().enumerate() {
                    locker.acquire(&job.own(number))?;
                }
            }
            Work::Hold => lockers[0].acquire(&job.lock)?,
            Work::Still => {
                let mut waiting = lockers.drain(..);
                // Kept: a session would end with its connection.
                let first = waiting.next();
                if let Some(mut first) = first {
                    first.acquire(&job.lock)?;
                    std::mem::forget(first);
                }
                for mut locker in waiting {
                    let lock = job.lock.clone();
                    let wait = move || locker.acquire(&lock);
                    let spawned = Builder::new().stack_size(STACK).spawn(wait);
                    spawned.map_err(|error| error.to_string())?;
                }
                sleep(SETTLED);
            }
            _ => (),
        }
        Ok(Crew { job, lockers })
    }

    /// Lets all work for so many seconds.
    pub fn go(&mut self, seconds: f64) -> Result<Outcome, String> {
        let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
        match self.job.work {
            Work::Still | Work::Hold => {
                sleep(duration);
                let outcome = Outcome::default();
                Ok(Outcome { seconds, ..outcome })
            }
            Work::Next => self.next(),
            _ => self.all(duration),
        }
    }

    fn next(&mut self) -> Result<Outcome, String> {
        let start = Instant::now();
        self.lockers[0].acquire(&self.job.lock)?;
        let took = start.elapsed();
        let mut times = Times::default();
        times.record(took);
        // The harness has its answer first.
        let (lock, mut locker) = (self.job.lock.clone(), self.lockers.remove(0));
        std::thread::spawn(move || locker.release(&lock));
        Ok(Outcome {
            operations: 1,
            seconds: took.as_secs_f64(),
            latency: times.pairs(),
            waits: times.pairs(),
            per_client: vec![1],
            ..Outcome::default()
        })
    }

    fn all(&mut self, duration: Duration) -> Result<Outcome, String> {
        let (stop, baton) = (AtomicBool::new(false), Baton::default());
        let begin = Barrier::new(self.lockers.len() + 1);
        let job = &self.job;
        let (done, seconds) = std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(job.clients);
            for (number, locker) in self.lockers.iter_mut().enumerate() {
                let (stop, baton, begin) = (&stop, &baton, &begin);
                let client = move || {
                    begin.wait();
                    let start = Instant::now();
                    let round = Round {
                        job,
                        start,
                        stop,
                        baton,
                    };
                    work(&round, number, locker.as_mut())
                };
                let spawned = Builder::new().stack_size(STACK).spawn_scoped(scope, client);
                // The barrier would wait forever for the others.
                let Ok(thread) = spawned else {
                    eprintln!("no thread could be started for client {number}");
                    std::process::exit(1);
                };
                threads.push(thread);
            }
            begin.wait();
            let start = Instant::now();
            sleep(duration);
            stop.store(true, Ordering::Relaxed);
            let window = start.elapsed();
            let done: Vec<Option<Done>> = threads.into_iter().map(|t| t.join().ok()).collect();
            let took = match job.work {
                Work::Contend => window,
                _ => start.elapsed(),
            };
            (done, took.as_secs_f64())
        });
        let done: Option<Vec<Done>> = done.into_iter().collect();
        let done = done.ok_or("a client panicked")?;
        Ok(outcome(&done, seconds))
    }
}

/// What one client does until it is to stop, or fails.
fn work(round: &Round, number: usize, locker: &mut dyn Locker) -> Done {
    let mut done = Done::default();
    let worked = match round.job.work {
        Work::Contend => contend::contend(round, number, locker, &mut done),
        _ => own::own(round, number, locker, &mut done),
    };
    done.errors.extend(worked.err());
    done
}

fn outcome(done: &[Done], seconds: f64) -> Outcome {
    let mut latency = Times::default();
    let (mut waits, mut handoff) = (Times::default(), Times::default());
    for done in done {
        latency.add(&done.latency);
        waits.add(&done.waits);
        handoff.add(&done.handoff);
    }
    let texts: BTreeSet<&String> = done.iter().flat_map(|done| &done.errors).collect();
    texts.iter().for_each(|text| eprintln!("{text}"));
    Outcome {
        operations: done.iter().map(|done| done.operations).sum(),
        seconds,
        latency: latency.pairs(),
        waits: waits.pairs(),
        handoff: handoff.pairs(),
        per_client: done.iter().map(|done| done.operations).collect(),
        errors: done.iter().map(|done| done.errors.len() as u64).sum(),
    }
}
