//! How far the inputs came. A fuzzer that only finds wrong arguments finds nothing else.

use super::play::Play;
use std::collections::BTreeSet;

/// What has happened, of all inputs together.
#[derive(Debug, Default)]
pub struct Reached {
    plays: usize,
    acts: usize,
    calls: usize,
    codes: BTreeSet<String>,
    counts: [(&'static str, u64); 16],
}

impl Reached {
    /// What one input has reached.
    pub fn add(&mut self, acts: usize, play: &Play) {
        self.plays += 1;
        self.acts += acts;
        self.calls += play.calls;
        for code in &play.codes {
            if !self.codes.contains(code) {
                self.codes.insert(code.clone());
            }
        }
        let it = &play.counters();
        let of_one = [
            ("acquired", it.acquired),
            ("reentered", it.reentered),
            ("busy", it.busy),
            ("released", it.released),
            ("renewed", it.renewed),
            ("forced", it.forced),
            ("asserts failed", it.asserts_failed),
            ("handed over", it.handed_over),
            ("waits started", it.waits_started),
            ("waits timed out", it.waits_timed_out),
            ("waits cancelled", it.waits_cancelled),
            ("expired while waited for", it.expired_while_waited_for),
            ("deadlocks refused", it.deadlocks_refused),
            ("sessions renewed", it.sessions_renewed),
            ("sessions ended", it.sessions_ended),
            ("sessions lost", it.sessions_lost),
        ];
        for (sum, (name, count)) in self.counts.iter_mut().zip(of_one) {
            *sum = (name, sum.1 + count);
        }
    }

    /// Prints it. All of it has to have happened, if there were enough inputs.
    pub fn check(&self) {
        // An input is a call with its words: each was given to a command, and had its reply checked.
        println!(
            "\n{} inputs, in {} plays of {} events; errors: {:?}; {:?}",
            self.calls, self.plays, self.acts, self.codes, self.counts
        );
        if self.acts < 100_000 {
            return;
        }
        for (name, count) in self.counts {
            assert!(count > 0, "no input reached this: {name}");
        }
        for code in [
            "ERR",
            "NOTOWNER",
            "HOLDCOUNT",
            "WRONGTYPE",
            "READONLY",
            "DEADLOCK",
            "TOOMANYWAITERS",
        ] {
            assert!(self.codes.contains(code), "no input was answered by {code}");
        }
    }
}
