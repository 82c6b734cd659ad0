//! Counts what occurred: faults, and what became of calls and locks.

use crate::check::{Reply, Us};
use crate::schedule::Fault;
use redis_reentrant_lock::engine::{Answer, Counters};
use std::collections::BTreeMap;

/// What occurred in histories.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    pub histories: u64,
    pub simulated: Us,
    pub failovers: u64,
    pub restarts: u64,
    pub published: u64,
    pub warned: u64,
    pub closed_by_server: u64,
    pub not_delivered: u64,
    pub unheard: u64,
    pub given_up: u64,
    pub retries: u64,
    pub unblocked: u64,
    /// When locks were handed over.
    handed_over: BTreeMap<&'static str, u64>,
    /// What waits ended with, and what calls were answered.
    waits: BTreeMap<&'static str, u64>,
    replies: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    engine: BTreeMap<&'static str, u64>,
}

fn known(code: &str) -> &'static str {
    const CODES: [&str; 15] = [
        "NOTOWNER",
        "HOLDCOUNT",
        "WRONGTYPE",
        "READONLY",
        "NOREPLICAS",
        "DEADLOCK",
        "TOOMANYWAITERS",
        "UNBLOCKED",
        "TRYAGAIN",
        "NOPERM",
        "MOVED",
        "CLUSTERDOWN",
        "ASK",
        "ERR",
        "LOADING",
    ];
    let found = CODES.iter().find(|known| **known == code);
    found.copied().unwrap_or("another error")
}

impl Stats {
    pub fn delivered(&mut self, answer: &Answer) {
        let outcome = match answer {
            Answer::Grant(grant) if grant.holds > 0 => "granted",
            Answer::Grant(_) => "timed out",
            Answer::Error(text) => known(text.split(' ').next().unwrap_or_default()),
        };
        *self.waits.entry(outcome).or_default() += 1;
    }

    pub fn replied(&mut self, reply: &Reply) {
        let outcome = match reply {
            Reply::Grant { holds: 0, .. } => "busy",
            Reply::Grant { .. } => "granted",
            Reply::Left(-1) => "nothing to release",
            Reply::Left(_) => "released",
            Reply::Ok => "asserted",
            Reply::Error(code) => known(code),
        };
        *self.replies.entry(outcome).or_default() += 1;
    }

    /// A step was run: a call, or a wakeup.
    pub fn step(&mut self, before: &Counters, after: &Counters, is_call: bool, ends_grace: bool) {
        if after.handed_over == before.handed_over {
            return;
        }
        let when = match () {
            () if after.released > before.released => "at a release",
            () if after.forced > before.forced => "at a forced release",
            () if ends_grace => "at the end of a grace period",
            () if after.sessions_ended > before.sessions_ended => "at the end of a session",
            () if after.expired_while_waited_for > before.expired_while_waited_for => {
                "at the end of a lease"
            }
            () if is_call => "before another call",
            () => "after a deletion or an undo",
        };
        *self.handed_over.entry(when).or_default() += after.handed_over - before.handed_over;
    }

    pub fn fault(&mut self, fault: &Fault) {
        let name = match fault {
            Fault::Cut { .. } => "cut",
            Fault::Heal { .. } => "heal",
            Fault::Isolate { .. } => "isolate in a cluster",
            Fault::Promote { .. } => "promote",
            Fault::Follow { .. } => "follow",
            Fault::Crash { lost_steps: 0, .. } => "crash",
            Fault::Crash { .. } => "crash with writes lost",
            Fault::Pause { .. } => "pause of a server",
            Fault::PauseWrites { .. } => "CLIENT PAUSE",
            Fault::StepClock { .. } => "step of a clock",
            Fault::Set { .. } => "CONFIG SET",
            Fault::PauseClient { .. } => "pause of a client",
            Fault::Kill { .. } => "death of a client",
            Fault::Revive { .. } => "client comes back",
            Fault::Disconnect { .. } => "disconnect",
            Fault::Flinch { .. } => "disconnect at the grant",
            Fault::Move { .. } => "client goes to the new master",
            Fault::Unblock { .. } => "CLIENT UNBLOCK",
            Fault::Revoke { .. } => "rights lost",
            Fault::Allow { .. } => "rights given",
            Fault::ForceRelease { .. } => "LOCK.FORCERELEASE",
            Fault::Delete { .. } => "DEL",
            Fault::Overwrite { .. } => "overwritten",
            Fault::Flush => "FLUSHALL",
            Fault::MoveSlot { .. } => "slot being moved",
            Fault::SlotMoved { .. } => "slot moved",
        };
        *self.faults.entry(name).or_default() += 1;
    }

    /// What an engine has counted.
    pub fn engine(&mut self, counters: &Counters) {
        let Counters {
            acquired,
            reentered,
            busy,
            released,
            renewed,
            forced,
            asserts_failed,
            handed_over,
            waits_started,
            waits_timed_out,
            waits_cancelled,
            expired_while_waited_for,
            deadlocks_refused,
            sessions_renewed,
            sessions_ended,
            sessions_lost,
        } = *counters;
        for (name, count) in [
            ("acquired", acquired),
            ("reentered", reentered),
            ("busy", busy),
            ("released", released),
            ("renewed", renewed),
            ("forced", forced),
            ("asserts failed", asserts_failed),
            ("handed over", handed_over),
            ("waits started", waits_started),
            ("waits timed out", waits_timed_out),
            ("waits cancelled", waits_cancelled),
            ("expired while waited for", expired_while_waited_for),
            ("deadlocks refused", deadlocks_refused),
            ("sessions renewed", sessions_renewed),
            ("sessions ended", sessions_ended),
            ("sessions lost", sessions_lost),
        ] {
            *self.engine.entry(name).or_default() += count;
        }
    }

    pub fn add(&mut self, other: &Stats) {
        self.histories += other.histories;
        self.simulated += other.simulated;
        self.failovers += other.failovers;
        self.restarts += other.restarts;
        self.published += other.published;
        self.warned += other.warned;
        self.closed_by_server += other.closed_by_server;
        self.not_delivered += other.not_delivered;
        self.unheard += other.unheard;
        self.given_up += other.given_up;
        self.retries += other.retries;
        self.unblocked += other.unblocked;
        for (mine, theirs) in [
            (&mut self.handed_over, &other.handed_over),
            (&mut self.waits, &other.waits),
            (&mut self.replies, &other.replies),
            (&mut self.faults, &other.faults),
            (&mut self.engine, &other.engine),
        ] {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
    }

    pub fn print(&self) {
        let table = |title: &str, rows: &[(&str, u64)]| {
            println!("{title}:");
            for row in rows.chunks(3) {
                let cells = row
                    .iter()
                    .map(|(name, count)| format!("{count:>11} {name:<30}"));
                println!("{}", cells.collect::<String>().trim_end());
            }
        };
        let rows = |map: &BTreeMap<&'static str, u64>| -> Vec<(&'static str, u64)> {
            map.iter().map(|(name, count)| (*name, *count)).collect()
        };
        table("Faults", &rows(&self.faults));
        table("Replies at once", &rows(&self.replies));
        table("Ends of waits", &rows(&self.waits));
        table("Locks handed over", &rows(&self.handed_over));
        table(
            "Delivery",
            &[
                ("grants not delivered", self.not_delivered),
                ("replies not heard", self.unheard),
                ("calls given up", self.given_up),
                ("calls tried again", self.retries),
                ("connections closed by servers", self.closed_by_server),
                ("unlock messages", self.published),
                ("warnings", self.warned),
            ],
        );
        table("Counters of the engines", &rows(&self.engine));
    }
}
