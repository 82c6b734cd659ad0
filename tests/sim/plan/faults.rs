//! What goes wrong.

use super::{Draft, MS, SECOND};
use crate::check::Us;
use crate::schedule::{Action, Fault, What};

/// The owner that others write.
const OTHERS: u8 = 7;

impl Draft {
    fn fault(&mut self, at: Us, fault: Fault) {
        let what = What::Fault(fault);
        self.actions.push(Action { at, what });
    }

    fn client(&mut self) -> u8 {
        self.rng.u8(..self.config.clients)
    }

    /// One to three failovers. Each time another server is promoted, while the old master goes on for a while.
    /// Returns when all is over.
    pub(super) fn failovers(&mut self) -> Us {
        let has_spare = self.config.has_spare;
        let count = if has_spare { 1 } else { self.rng.u8(1..=3) };
        let grace = self.config.settings.grace_period.0.max(3000) * MS;
        let (mut at, mut master) = (0, 0);
        for _ in 0..count {
            at += self.rng.i64(2 * SECOND..5 * SECOND);
            let servers = self.config.servers - u8::from(has_spare);
            let next = (master + self.rng.u8(1..servers)) % servers;
            self.cut(at, master, next);
            self.fault(at, Fault::Promote { server: next });
            if self.rng.u8(..4) == 0 {
                let down = self.rng.i64(SECOND..5 * SECOND);
                let crash = Fault::Crash {
                    server: master,
                    lost_steps: self.rng.u32(..4),
                    down,
                };
                let about = at + self.rng.i64(-SECOND..SECOND);
                self.fault(about, crash);
            }
            let quick = self.style.quick;
            // Some learn of the new master at once, others when they have to.
            for client in 0..self.config.clients {
                if self.rng.bool() {
                    let later = at + self.rng.i64(0..if quick { SECOND } else { 3 * SECOND });
                    self.fault(later, Fault::Move { client });
                }
            }
            // An old master that is replaced by the spare may go on for long.
            let longest = if has_spare {
                grace + 4 * SECOND
            } else {
                6 * SECOND
            };
            for server in (0..servers).filter(|server| *server != next) {
                let later = at + self.rng.i64(SECOND / 10..longest);
                self.fault(later, Fault::Follow { server });
            }
            if has_spare {
                let latest = if quick { SECOND / 2 } else { 2 * SECOND };
                let later = at + self.rng.i64(SECOND / 20..latest);
                self.fault(later, Fault::Follow { server: servers });
            }
            at += grace + if has_spare { 4 * SECOND } else { 0 };
            // In case it was down.
            for server in (0..servers).filter(|server| *server != next) {
                self.fault(at, Fault::Follow { server });
            }
            master = next;
        }
        at + 2 * SECOND
    }

    /// Before a promotion the network fails: in one direction or both, earlier or later, or not at all.
    fn cut(&mut self, at: Us, master: u8, next: u8) {
        let both = [(master, next), (next, master)];
        for (from, to) in both {
            if self.rng.u8(..3) > 0 {
                let before = self.rng.i64(0..1500 * MS);
                let after = self.rng.i64(0..8 * SECOND);
                self.fault((at - before).max(0), Fault::Cut { from, to });
                self.fault(at + after, Fault::Heal { from, to });
            }
        }
    }

    pub(super) fn restarts(&mut self) -> Us {
        let grace = self.config.settings.grace_period.0 * MS;
        let mut at = 0;
        for _ in 0..self.rng.u8(1..=3) {
            at += self.rng.i64(2 * SECOND..5 * SECOND);
            let crash = Fault::Crash {
                server: self.rng.u8(..self.config.servers),
                lost_steps: self.rng.u32(..8),
                down: self.rng.i64(SECOND / 100..2 * SECOND),
            };
            self.fault(at, crash);
            at += grace;
        }
        at + 2 * SECOND
    }

    pub(super) fn client_faults(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let (at, client) = (self.rng.i64(0..end), self.client());
            let silently = self.rng.bool();
            match self.rng.u8(..5) {
                0 => {
                    self.fault(at, Fault::Kill { client, silently });
                    let later = at + self.rng.i64(0..3 * SECOND);
                    self.fault(later, Fault::Revive { client });
                }
                1 => {
                    let us = self.rng.i64(MS..4 * SECOND);
                    self.fault(at, Fault::PauseClient { client, us });
                }
                2 => self.fault(at, Fault::Flinch { client }),
                _ => self.fault(at, Fault::Disconnect { client }),
            }
        }
    }

    /// Of those that a server does not notice it has no more, altogether, than the promise allows.
    pub(super) fn pauses(&mut self, end: Us) {
        let mut unnoticed = [3 * SECOND / 2; 3];
        for _ in 0..self.rng.u8(1..8) {
            let at = self.rng.i64(0..end);
            let server = self.rng.u8(..self.config.servers);
            let us = match self.rng.u8(..3) {
                0 => self.rng.i64(MS..SECOND),
                1 => self.rng.i64(SECOND..2 * SECOND),
                _ => self.rng.i64(SECOND..6 * SECOND),
            };
            let client = self.client();
            match self.rng.u8(..6) {
                0 => self.fault(at, Fault::PauseWrites { server, us }),
                1 | 2 => self.fault(at, Fault::PauseClient { client, us }),
                _ => {
                    // However it is rounded.
                    let is_noticed = us > 3 * SECOND / 2 + 2 * MS;
                    let left = &mut unnoticed[usize::from(server)];
                    let us = if is_noticed { us } else { us.min(*left) };
                    *left -= if is_noticed { 0 } else { us };
                    self.fault(at, Fault::Pause { server, us });
                }
            }
        }
    }

    /// The old master stands still around the time when it would notice that it was cut off. One client asks it
    /// meanwhile, another one asks the new master.
    pub(super) fn stalls(&mut self) {
        let promotion = self.actions.iter().find_map(|action| match action.what {
            What::Fault(Fault::Promote { .. }) => Some(action.at),
            _ => None,
        });
        let promotion = promotion.unwrap_or(0);
        self.actions
            .retain(|action| action.what != What::Fault(Fault::Move { client: 0 }));
        let at = promotion + self.rng.i64(SECOND..3 * SECOND);
        let us = self.rng.i64(SECOND..7 * SECOND / 4);
        self.fault(at, Fault::Pause { server: 0, us });
        self.fault(promotion + SECOND / 2, Fault::Move { client: 1 });
        let asked = at + self.rng.i64(us / 2..us);
        self.job_of(asked, 0);
        let asked = promotion + self.rng.i64(3 * SECOND..6 * SECOND);
        self.job_of(asked, 1);
    }

    /// Before each promotion the master of a cluster is isolated for as long as it takes to be missed. Mostly it
    /// stands still when it would notice that, and is asked meanwhile by a client; another one asks the new master.
    pub(super) fn isolations(&mut self) {
        let timeout = self.config.node_timeout * MS;
        let is_promotion = |action: &Action| match action.what {
            What::Fault(Fault::Promote { server }) => Some((action.at, server)),
            _ => None,
        };
        let promotions: Vec<_> = self.actions.iter().filter_map(is_promotion).collect();
        let mut master = 0;
        for (at, next) in promotions {
            let longer = self.rng.i64(0..100 * MS);
            let isolated = at - timeout / 2 - 100 * MS - longer;
            self.fault(isolated, Fault::Isolate { server: master });
            if self.rng.u8(..3) > 0 {
                let us = self.rng.i64(SECOND..3 * SECOND / 2);
                let still = isolated + timeout / 2 * 3 - self.rng.i64(0..us);
                self.fault(still, Fault::Pause { server: master, us });
                let asked = still + self.rng.i64(us / 2..us);
                self.job_of(asked, 0);
                self.fault(at + SECOND / 2, Fault::Move { client: 1 });
                let asked = at + self.rng.i64(2 * SECOND..8 * SECOND);
                self.job_of(asked, 1);
            }
            master = next;
        }
    }

    pub(super) fn steps_of_clocks(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let at = self.rng.i64(0..end);
            let by = match self.rng.bool() {
                true => self.rng.i64(-30 * SECOND..30 * SECOND),
                false => self.rng.i64(-2 * SECOND..2 * SECOND),
            };
            self.fault(at, Fault::StepClock { server: 0, by });
        }
    }

    pub(super) fn foreign_writes(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let at = self.rng.i64(0..end);
            let lock = self.rng.u8(..self.config.locks);
            let overwrite = Fault::Overwrite {
                lock,
                kind: self.rng.u8(..6),
                owner: OTHERS,
                ttl: self.rng.i64(1..3000),
            };
            match self.rng.u8(..8) {
                0..3 => self.fault(at, Fault::ForceRelease { lock }),
                3 | 4 => self.fault(at, Fault::Delete { lock }),
                5 => self.fault(at, Fault::Flush),
                _ => {
                    self.fault(at, overwrite);
                    let later = at + self.rng.i64(0..3 * SECOND);
                    self.fault(later, Fault::Delete { lock });
                }
            }
        }
    }

    /// Only such changes that the promises stay.
    pub(super) fn changed_settings(&mut self, count: usize, end: Us) {
        let (max_ttl, grace) = {
            let settings = &self.config.settings;
            (settings.max_ttl.0, settings.grace_period.0)
        };
        for _ in 0..count {
            let at = self.rng.i64(0..end);
            let (name, value) = match self.rng.u8(..4) {
                0 => ("max-ttl", self.rng.i64(max_ttl / 2..=max_ttl)),
                1 => ("grace-period", self.rng.i64(grace..grace + 3000)),
                2 => ("max-waiters", self.rng.i64(0..4)),
                _ => ("max-hold", self.rng.i64(1000..6000)),
            };
            self.set_everywhere(at, name, value);
        }
    }

    /// The longest lease is raised, and lowered again, in the order in which the promise stays: the grace period is
    /// longer first, and as long as before when the longer leases are over.
    pub(super) fn raised_and_lowered(&mut self, end: Us) {
        let (max_ttl, grace) = {
            let settings = &self.config.settings;
            (settings.max_ttl.0, settings.grace_period.0)
        };
        let more = self.rng.i64(1..=max_ttl);
        let raised = self.rng.i64(0..end / 2);
        self.set_everywhere(raised, "grace-period", grace + more);
        self.set_everywhere(raised + MS, "max-ttl", max_ttl + more);
        let lowered = raised + self.rng.i64(SECOND..end / 2);
        self.set_everywhere(lowered, "max-ttl", max_ttl);
        let over = lowered + (max_ttl + more + 2) * MS;
        self.set_everywhere(over, "grace-period", grace);
    }

    fn set_everywhere(&mut self, at: Us, name: &str, value: i64) {
        for server in 0..self.config.servers {
            let set = Fault::setting(server, name, value);
            self.fault(at + Us::from(server), set);
        }
    }

    pub(super) fn rights(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let (at, client) = (self.rng.i64(0..end), self.client());
            let later = at + self.rng.i64(0..3 * SECOND);
            match self.rng.bool() {
                true => {
                    self.fault(at, Fault::Revoke { client });
                    self.fault(later, Fault::Allow { client });
                }
                false => {
                    let error = self.rng.bool();
                    self.fault(at, Fault::Unblock { client, error });
                }
            }
        }
    }

    pub(super) fn moving_slots(&mut self, count: usize, end: Us) {
        for _ in 0..count {
            let at = self.rng.i64(0..end);
            let lock = self.rng.u8(..self.config.locks);
            let to = self.rng.u8(..2);
            self.fault(at, Fault::MoveSlot { lock, to });
            let later = at + self.rng.i64(0..2 * SECOND);
            self.fault(later, Fault::SlotMoved { lock });
        }
    }
}
