//! How a client works on a job: what it sends next, and what it makes of the reply.

use super::client::{Known, Running, Stage};
use super::{Event, World, MS};
use crate::check::{Call, Op, Reply, Us};
use crate::schedule::{End, Job, Step};

impl World<'_> {
    /// What to send; none at the end of the job.
    pub(super) fn next_op(&mut self, client: u8, job: &Job, stage: Stage) -> Option<Op> {
        let now = self.now;
        let known = &mut self.client(client).known[usize::from(stage.lock(job))];
        if known.session.is_none() && known.until <= now {
            *known = Known::default();
        }
        let Known { holds, token, .. } = *known;
        let named = (job.names_token && token > 0).then_some(token);
        let acquire = |ttl, token| Op::Acquire {
            ttl,
            wait: job.wait,
            session: job.session,
            holds: job.counts.then_some(holds + 1),
            token,
        };
        let release = Op::Release {
            holds: (job.counts && holds > 0).then(|| holds - 1),
            token: named,
        };
        match stage {
            Stage::Acquire | Stage::Second => Some(acquire(job.ttl, named)),
            _ if holds == 0 => None,
            Stage::Step(at) => match job.steps.get(at).map(|(_, step)| *step) {
                Some(Step::Reenter(ttl)) => Some(acquire(ttl, named)),
                Some(Step::Renew(ttl)) => Some(Op::Renew { ttl, token: named }),
                Some(Step::Assert) => Some(Op::Assert { token: named }),
                Some(Step::Release) => Some(release),
                None => None,
            },
            Stage::End | Stage::EndSecond if job.end == End::Release => Some(release),
            Stage::End | Stage::EndSecond => None,
        }
    }

    pub(super) fn send_op(&mut self, client: u8, job: &Job, lock: u8, op: Op) {
        let conn = match self.client(client).conn {
            Some(conn) => conn,
            None => self.connect(client),
        };
        let call = self.send(conn, lock, op);
        self.client(client).call = Some(call);
        if job.patience > 0 {
            let wait = match op {
                Op::Acquire { wait, .. } => wait.unwrap_or(0) * MS,
                _ => 0,
            };
            self.after(job.patience + wait, Event::GivesUp(call));
        }
    }

    pub(super) fn learn(
        &mut self,
        client: u8,
        running: Running,
        call: Call,
        sent: Us,
        reply: Reply,
    ) {
        let job = self.job(running.action);
        let super::Sent { conn, op, .. } = self.calls[call as usize];
        let lock = running.stage.lock(job);
        let known = &mut self.client(client).known[usize::from(lock)];
        match reply {
            Reply::Grant { holds: 0, .. } => return self.ends(client, job),
            Reply::Grant { holds, token, ttl } => {
                let until = sent + ttl * MS;
                known.until = match op {
                    Op::Acquire { .. } if known.token == token => known.until.max(until),
                    _ => until,
                };
                known.holds = holds;
                known.token = token;
                if let Op::Acquire {
                    session: Some(linger),
                    ..
                } = op
                {
                    known.session = Some((conn, linger));
                }
            }
            Reply::Left(left) => {
                known.holds = left.max(0) as u32;
                if known.holds == 0 {
                    *known = Known::default();
                }
            }
            Reply::Ok => (),
            Reply::Error(code) => return self.refused_call(client, job, lock, op, &code),
        }
        self.next_stage(client, job, running);
    }

    pub(super) fn next_stage(&mut self, client: u8, job: &Job, mut running: Running) {
        running.again = None;
        running.tries = 0;
        running.stage = match running.stage {
            Stage::Acquire if job.second.is_some() => Stage::Second,
            Stage::Acquire | Stage::Second => Stage::Step(0),
            Stage::EndSecond => Stage::EndSecond,
            Stage::Step(at) => Stage::Step(at + 1),
            Stage::End => Stage::End,
        };
        let mut delay = 100;
        if let Stage::Step(at) = running.stage {
            match job.steps.get(at) {
                Some((after, _)) => delay = *after,
                None => {
                    running.stage = match job.second {
                        Some(_) => Stage::EndSecond,
                        None => Stage::End,
                    };
                    delay += Us::from(job.salt % 1000);
                }
            }
        }
        self.client(client).running = Some(running);
        self.client_later(client, delay);
    }

    pub(super) fn refused_call(&mut self, client: u8, job: &Job, lock: u8, op: Op, code: &str) {
        match code {
            "NOTOWNER" | "HOLDCOUNT" | "WRONGTYPE" => {
                self.client(client).known[usize::from(lock)] = Known::default();
                self.ends(client, job);
            }
            "NOREPLICAS" | "READONLY" | "CLUSTERDOWN" | "UNBLOCKED" | "TRYAGAIN" | "MOVED"
            | "ASK" => {
                self.changes_server(client, lock);
                self.again_or_finish(client, job, op);
            }
            _ => self.ends(client, job),
        }
    }

    /// A job did not get what it wants, or has lost it. With the second lock only, it goes on with the first.
    pub(super) fn ends(&mut self, client: u8, job: &Job) {
        let running = self.client(client).running;
        let first = self.client(client).known[usize::from(job.lock)].holds > 0;
        match running {
            Some(running) if first && matches!(running.stage, Stage::Second) => {
                self.next_stage(client, job, running);
            }
            Some(mut running) if first && matches!(running.stage, Stage::EndSecond) => {
                running.stage = Stage::End;
                running.again = None;
                self.client(client).running = Some(running);
                self.client_later(client, 100);
            }
            _ => self.finish(client, job),
        }
    }

    /// A call was not answered, or not by the right server.
    pub(super) fn again_or_finish(&mut self, client: u8, job: &Job, op: Op) {
        let safe = match op {
            Op::Acquire { holds, .. } => holds.is_some(),
            Op::Release { holds, token } => holds.is_some() || token.is_some(),
            _ => true,
        };
        let Some(mut running) = self.client(client).running else {
            return;
        };
        if !safe || running.tries >= job.retries {
            return self.ends(client, job);
        }
        running.tries += 1;
        // A hold that was lost with its connection is not asked for by its token.
        let known = self.client(client).known[usize::from(running.stage.lock(job))];
        let begins = matches!(running.stage, Stage::Acquire | Stage::Second);
        let keeps = begins || known.holds > 0;
        running.again = keeps.then_some(op);
        self.client(client).running = Some(running);
        self.stats.retries += 1;
        let backoff = 10 * MS + Us::from(job.salt % 400_000) * Us::from(running.tries);
        self.client_later(client, backoff);
    }

    pub(super) fn finish(&mut self, client: u8, job: &Job) {
        let it = self.client(client);
        it.running = None;
        let holds = it.known[usize::from(job.lock)].holds > 0;
        match job.end {
            _ if self.client(client).stops => self.stops(client),
            End::Close if holds => {
                if let Some(conn) = self.client(client).conn.take() {
                    self.leave_connection(client, conn, false);
                }
            }
            End::Die { silently } if holds => return self.dies(client, silently),
            _ => (),
        }
        if !self.client(client).jobs.is_empty() {
            self.client_later(client, 200);
        }
    }
}
