//! Plans: which faults come together, and what is promised then. A schedule is made of a plan and a seed.

mod faults;
mod jobs;

use crate::check::Us;
use crate::schedule::{Action, Config, Schedule};
use fastrand::Rng;
use redis_reentrant_lock::lock::Millis;

const MS: Us = 1000;
const SECOND: Us = 1_000_000;

/// A plan.
pub struct Plan {
    pub name: &'static str,
    pub about: &'static str,
    fill: fn(&mut Draft),
}

/// A schedule that is being made.
struct Draft {
    rng: Rng,
    config: Config,
    actions: Vec<Action>,
    /// What jobs ask for.
    style: Style,
}

/// What clients do.
#[derive(Clone, Copy)]
struct Style {
    /// Of a hundred jobs, so many bind a session.
    sessions: u8,
    /// So many count with `HOLDS`.
    counts: u8,
    /// So many do not end as they should.
    deaths: u8,
    ttl: (i64, i64),
    /// How long they hold a lock at most.
    longest: Us,
    /// Whether clients and the spare replica go to a new master at once.
    quick: bool,
    /// Whether a renewal may ask for less than what is left. If that is lost in a failover, the new master still knows
    /// the longer lease.
    shortens: bool,
}

pub static PLANS: [Plan; 16] = [
    Plan {
        name: "calm",
        about: "one server, clients that wait, reenter, renew and release",
        fill: calm,
    },
    Plan {
        name: "deaths",
        about: "one server, clients that die, give up, disconnect and call again",
        fill: deaths,
    },
    Plan {
        name: "failover",
        about: "promotions of stale replicas with a grace period, the old master goes on",
        fill: failover,
    },
    Plan {
        name: "split",
        about:
            "the same, and a spare replica joins the new master at once: both masters take writes",
        fill: split,
    },
    Plan {
        name: "sessions",
        about: "the same with sessions and lingers",
        fill: sessions,
    },
    Plan {
        name: "restart",
        about: "restarts with the last writes lost, with a grace period",
        fill: restart,
    },
    Plan {
        name: "pauses",
        about: "failovers while servers and clients stand still",
        fill: pauses,
    },
    Plan {
        name: "stall",
        about: "an old master stands still for a moment, just before it would stop granting",
        fill: stall,
    },
    Plan {
        name: "skew",
        about: "failovers between servers whose clocks differ",
        fill: skew,
    },
    Plan {
        name: "steps",
        about: "clocks that step; a lease may end early",
        fill: clock_steps,
    },
    Plan {
        name: "foreign",
        about: "forced releases, deletions, overwrites by others",
        fill: foreign,
    },
    Plan {
        name: "settings",
        about: "settings change while failovers happen",
        fill: settings,
    },
    Plan {
        name: "rights",
        about: "rights are lost, waits are ended by operators",
        fill: rights,
    },
    Plan {
        name: "slots",
        about: "slots of a cluster move",
        fill: slots,
    },
    Plan {
        name: "cluster",
        about: "failovers of a cluster, while old masters stand still",
        fill: cluster,
    },
    Plan {
        name: "no-grace",
        about: "failovers without a grace period; a lock may have two owners",
        fill: no_grace,
    },
];

impl Plan {
    /// The schedule that follows from a seed.
    pub fn schedule(&self, seed: u64) -> Schedule {
        let mut rng = Rng::with_seed(seed);
        let config = Config {
            clients: rng.u8(2..=5),
            locks: rng.u8(1..=3),
            lag: *rng.choice(&[200, 1000, 20_000, 300_000]).unwrap_or(&200),
            latency: *rng.choice(&[100, 1000, 20_000]).unwrap_or(&100),
            iteration: *rng.choice(&[30, 30, 3000, 20_000]).unwrap_or(&30),
            phase: std::array::from_fn(|_| rng.i64(1..SECOND)),
            timers_late: rng.i64(0..1000),
            expires_on_read: rng.bool(),
            hears_of_every_loop: rng.bool(),
            ..Config::plain(self.name)
        };
        let mut draft = Draft {
            rng,
            config,
            actions: Vec::new(),
            style: Style {
                sessions: 0,
                counts: 50,
                deaths: 0,
                ttl: (200, 5000),
                longest: SECOND,
                quick: false,
                shortens: true,
            },
        };
        (self.fill)(&mut draft);
        let Draft {
            config,
            mut actions,
            ..
        } = draft;
        actions.sort_by_key(|action| action.at);
        Schedule { config, actions }
    }
}

impl Draft {
    /// What the promise asks for, and not a millisecond more: `max-ttl + F`.
    fn set_grace(&mut self) {
        let config = &mut self.config;
        let (max_ttl, cut_off) = (config.settings.max_ttl.0, config.cut_off());
        config.settings.grace_period = Millis(max_ttl + cut_off);
        // A linger of 0 is none.
        config.promises.kept_linger = cut_off.max(1);
    }
}

fn calm(draft: &mut Draft) {
    draft.style.sessions = 30;
    draft.jobs(12, 8 * SECOND);
    draft.end(8 * SECOND);
}

fn deaths(draft: &mut Draft) {
    draft.style.sessions = 40;
    draft.style.deaths = 40;
    draft.jobs(16, 10 * SECOND);
    draft.client_faults(6, 10 * SECOND);
    draft.end(10 * SECOND);
}

/// Servers and settings with which one owner is promised across failovers.
fn safe(draft: &mut Draft) {
    let config = &mut draft.config;
    config.has_spare = draft.rng.bool();
    config.servers = match draft.rng.u8(..) {
        _ if config.has_spare => 3,
        ..40 => 3,
        _ => 2,
    };
    config.min_replicas = i64::from(config.servers) - 1 - i64::from(config.has_spare);
    let max_ttl = *draft.rng.choice(&[1000, 1500, 3000]).unwrap_or(&1000);
    config.settings.max_ttl = Millis(max_ttl);
    draft.set_grace();
    draft.style.ttl = (200, max_ttl);
    draft.style.longest = draft.rng.i64(SECOND / 2..5 * SECOND);
    draft.style.counts = 80;
    draft.style.shortens = false;
}

fn failover(draft: &mut Draft) {
    safe(draft);
    draft.style.deaths = 20;
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.end(end);
}

fn split(draft: &mut Draft) {
    both_masters(draft);
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.end(end);
}

fn stall(draft: &mut Draft) {
    both_masters(draft);
    let end = draft.failovers();
    draft.stalls();
    draft.jobs_around(end);
    draft.end(end);
}

/// A spare replica joins the new master at once.
fn both_masters(draft: &mut Draft) {
    safe(draft);
    let config = &mut draft.config;
    (config.has_spare, config.servers, config.min_replicas) = (true, 3, 1);
    config.locks = 1;
    config.settings.max_ttl = Millis(3000);
    draft.set_grace();
    draft.style.quick = true;
    draft.style.ttl = (1000, 3000);
    draft.style.longest = 8 * SECOND;
    draft.style.sessions = 20;
}

fn sessions(draft: &mut Draft) {
    safe(draft);
    draft.style.sessions = 70;
    draft.style.deaths = 20;
    draft.style.ttl.0 = 1000;
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.client_faults(3, end);
    draft.end(end);
}

fn restart(draft: &mut Draft) {
    safe(draft);
    if draft.rng.bool() {
        draft.config.servers = 1;
        draft.config.has_spare = false;
        draft.config.min_replicas = 0;
        draft.set_grace();
    }
    draft.style.sessions = 30;
    let end = draft.restarts();
    draft.jobs_around(end);
    draft.end(end);
}

fn pauses(draft: &mut Draft) {
    safe(draft);
    draft.style.sessions = 30;
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.pauses(end);
    draft.end(end);
}

fn skew(draft: &mut Draft) {
    safe(draft);
    draft.config.promises.tokens_across_servers = false;
    draft.config.promises.unknown_clock = draft.config.promises.kept_linger * MS;
    for server in 0..3 {
        let second = draft.rng.i64(-60 * SECOND..60 * SECOND);
        let little = draft.rng.i64(-5 * MS..5 * MS);
        draft.config.wall[server] = if draft.rng.bool() { second } else { little };
    }
    draft.config.rest = 180 * SECOND;
    draft.style.sessions = 30;
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.end(end);
}

fn clock_steps(draft: &mut Draft) {
    draft.config.promises.one_owner = false;
    draft.config.promises.counts = false;
    draft.config.promises.served_within = 1300 * MS;
    draft.config.rest = 180 * SECOND;
    draft.style.sessions = 40;
    draft.style.deaths = 20;
    draft.jobs(16, 12 * SECOND);
    draft.steps_of_clocks(4, 12 * SECOND);
    draft.end(12 * SECOND);
}

fn foreign(draft: &mut Draft) {
    draft.config.promises.one_owner = false;
    draft.config.promises.counts = false;
    draft.config.promises.served_within = 1300 * MS;
    draft.config.servers = draft.rng.u8(1..=2);
    draft.style.sessions = 40;
    draft.style.deaths = 10;
    draft.jobs(16, 10 * SECOND);
    draft.foreign_writes(6, 10 * SECOND);
    draft.end(10 * SECOND);
}

fn settings(draft: &mut Draft) {
    safe(draft);
    draft.config.promises.kept_linger = i64::MAX;
    draft.style.sessions = 40;
    let end = draft.failovers();
    match draft.rng.bool() {
        true => {
            let (least, most) = draft.style.ttl;
            draft.style.ttl = (least, 2 * most);
            draft.raised_and_lowered(end);
        }
        false => draft.changed_settings(4, end),
    }
    draft.jobs_around(end);
    draft.end(end);
}

fn rights(draft: &mut Draft) {
    // It may be lost just before.
    draft.config.promises.kept_linger = i64::MAX;
    draft.style.sessions = 40;
    draft.jobs(16, 10 * SECOND);
    draft.rights(6, 10 * SECOND);
    draft.end(10 * SECOND);
}

fn slots(draft: &mut Draft) {
    (draft.config.cluster, draft.config.masters) = (true, 2);
    draft.config.promises.kept_linger = i64::MAX;
    draft.config.servers = 2;
    draft.config.promises.served_within = 1300 * MS;
    draft.style.sessions = 40;
    draft.style.deaths = 20;
    draft.jobs(16, 12 * SECOND);
    draft.moving_slots(3, 12 * SECOND);
    draft.end(12 * SECOND);
}

fn cluster(draft: &mut Draft) {
    safe(draft);
    let config = &mut draft.config;
    (config.cluster, config.has_spare, config.min_replicas) = (true, false, 0);
    config.servers = draft.rng.u8(2..=3);
    config.node_timeout = *draft.rng.choice(&[1000, 2000, 3000]).unwrap_or(&2000);
    draft.set_grace();
    draft.style.sessions = 30;
    let end = draft.failovers();
    draft.isolations();
    draft.jobs_around(end);
    draft.end(end);
}

fn no_grace(draft: &mut Draft) {
    safe(draft);
    draft.config.settings.grace_period = Millis(0);
    draft.config.promises.one_owner = false;
    draft.style.sessions = 40;
    draft.style.deaths = 20;
    let end = draft.failovers();
    draft.jobs_around(end);
    draft.client_faults(3, end);
    draft.end(end);
}
