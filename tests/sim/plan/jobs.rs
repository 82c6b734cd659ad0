//! What clients do.

use super::{Draft, MS, SECOND};
use crate::check::Us;
use crate::schedule::{Action, End, Job, Step, What};

impl Draft {
    pub(super) fn end(&mut self, end: Us) {
        self.config.end = end;
    }

    fn chance(&mut self, of_hundred: u8) -> bool {
        self.rng.u8(..100) < of_hundred
    }

    /// So many jobs, any time before the end.
    pub(super) fn jobs(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let at = self.rng.i64(0..end);
            self.job(at);
        }
    }

    /// Jobs all the time: about two in a second.
    pub(super) fn jobs_around(&mut self, end: Us) {
        let per_second = self.rng.i64(1..=2);
        self.jobs((end / SECOND * per_second) as usize, end);
    }

    fn job(&mut self, at: Us) {
        let style = self.style;
        let session = self.chance(style.sessions);
        let lingers = session && self.rng.bool();
        let longest = self.config.settings.longest_ttl().0.min(8000);
        let ttl = self.ttl(session);
        let deadly = self.chance(style.deaths);
        let steps = self.steps(session, ttl);
        let end = match self.rng.u8(..4) {
            _ if !deadly => End::Release,
            0 if !session => End::Forget,
            1 => End::Close,
            2 => End::Die { silently: true },
            _ => End::Die { silently: false },
        };
        let lock = self.rng.u8(..self.config.locks);
        let other = (lock + 1) % self.config.locks;
        let second = (other != lock && self.chance(20)).then_some(other);
        let patient = !self.chance(25);
        let job = Job {
            client: self.rng.u8(..self.config.clients),
            lock,
            ttl,
            wait: match self.rng.u8(..4) {
                0 => None,
                1 => Some(0),
                2 => Some(self.rng.i64(1..200)),
                _ => Some(self.rng.i64(200..6000)),
            },
            session: session.then(|| {
                if lingers {
                    self.rng.i64(1..=longest)
                } else {
                    0
                }
            }),
            counts: self.chance(style.counts),
            names_token: self.chance(70),
            second,
            steps,
            end,
            patience: match patient {
                true => 0,
                false => self.rng.i64(MS / 2..3 * SECOND),
            },
            retries: self.rng.u8(..4),
            salt: self.rng.u32(..),
        };
        let what = What::Job(job);
        self.actions.push(Action { at, what });
    }

    /// A job of that client, for as long as can be.
    pub(super) fn job_of(&mut self, at: Us, of: u8) {
        self.job(at);
        let (longest, hold) = (self.style.ttl.1, self.style.longest);
        if let Some(What::Job(job)) = self.actions.last_mut().map(|action| &mut action.what) {
            job.client = of;
            job.ttl = longest;
            job.wait = Some(longest);
            job.second = None;
            job.steps = vec![(hold, Step::Assert)];
        }
    }

    fn ttl(&mut self, session: bool) -> i64 {
        let (least, most) = self.style.ttl;
        let least = if session { least.max(1000) } else { least };
        self.rng.i64(least..=most.max(least))
    }

    fn steps(&mut self, session: bool, first: i64) -> Vec<(Us, Step)> {
        let count = self.rng.usize(..4);
        let mut longest = first;
        let pause = self.style.longest / (count as Us + 1);
        let steps = (0..count).map(|_| {
            let step = match self.rng.u8(..8) {
                0..3 => {
                    let ttl = self.ttl(session);
                    longest = longest.max(ttl);
                    Step::Reenter(ttl)
                }
                3..6 if self.style.shortens => Step::Renew(self.ttl(session)),
                3..6 => Step::Renew(longest),
                6 => Step::Assert,
                _ => Step::Release,
            };
            (self.rng.i64(100..pause), step)
        });
        let mut steps: Vec<_> = steps.collect();
        // It works for a while before the end.
        steps.push((self.rng.i64(100..pause), Step::Assert));
        steps
    }
}
