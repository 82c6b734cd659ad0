//! What has every callback run a given number of times.

use crate::panics::is_called;
use crate::support::{Client, Server, Waiter};

/// Connections that stay open.
pub struct Crew<'a> {
    server: &'a Server,
    /// One that never waits.
    admin: Client,
    /// Two that take turns.
    pair: [Waiter; 2],
}

impl<'a> Crew<'a> {
    /// Connects.
    pub fn new(server: &'a Server) -> Crew<'a> {
        let waiter = || {
            let mut waiter = Waiter::begin(server, &[], "PING");
            assert_eq!(waiter.reply(), "PONG");
            waiter
        };
        Crew {
            server,
            admin: server.client(),
            pair: [waiter(), waiter()],
        }
    }

    /// Has every callback run so often, or more.
    pub fn work(&mut self, runs: u64) {
        let start = self.admin.clock();
        self.commands(runs);
        self.settings(runs);
        self.hand_overs(runs, "LOCK.RELEASE k me");
        // Others delete the lock: that is noted, and a wakeup follows.
        self.hand_overs(runs, "DEL k");
        self.unblocked(runs, "TIMEOUT");
        self.unblocked(runs, "ERROR");
        self.losses(runs);
        self.crons(runs, start);
    }

    fn repeat(&mut self, runs: u64, lines: &[&str]) {
        for _ in 0..runs.div_ceil(100) {
            let times = runs.min(100) as usize;
            self.admin.at_once(&lines.repeat(times));
        }
    }

    fn commands(&mut self, runs: u64) {
        // With whom holds it a scan of the fields follows.
        self.repeat(
            runs,
            &[
                "LOCK.ACQUIRE k me 60000",
                "LOCK.ACQUIRE k you",
                "LOCK.ACQUIRE k me soon",
                "LOCK.RENEW k me 60000",
                "LOCK.ASSERT k me",
                "LOCK.INFO k",
                "LOCK.LINES",
                "LOCK.RELEASE k me",
                "LOCK.ACQUIRE k me",
                "LOCK.FORCERELEASE k",
            ],
        );
        self.repeat(runs, &["SWAPDB 2 3", "INFO lock"]);
    }

    fn settings(&mut self, runs: u64) {
        self.repeat(
            runs,
            &[
                "CONFIG GET lock.*",
                "CONFIG SET lock.max-waiters 1000",
                "CONFIG SET lock.notify publish",
                "CONFIG SET lock.channel-prefix p",
                "CONFIG SET lock.max-waiters 2000",
                "CONFIG SET lock.notify off",
                "CONFIG SET lock.channel-prefix redisson_lock__channel",
            ],
        );
    }

    /// The two take turns: whoever frees the lock waits for it again.
    fn hand_overs(&mut self, runs: u64, free: &str) {
        let wait = "LOCK.ACQUIRE k me 60000 WAIT 0";
        for (waiter, owner) in self.pair.iter_mut().zip(["me", "you"]) {
            waiter.send(&wait.replace("me", owner));
        }
        for _ in 0..runs.div_ceil(2) {
            for (waiter, owner) in self.pair.iter_mut().zip(["me", "you"]) {
                assert_eq!(waiter.grant()[..2], [1, 1]);
                waiter.send(&free.replace("me", owner));
                waiter.reply();
                waiter.send(&wait.replace("me", owner));
            }
        }
        // The first holds it, and the other waits.
        for waiter in &mut self.pair {
            waiter.grant();
            self.admin.run("LOCK.FORCERELEASE k");
        }
    }

    fn unblocked(&mut self, runs: u64, how: &str) {
        self.admin.run("LOCK.ACQUIRE k holder 600000");
        let waiter = &mut self.pair[0];
        let unblock = format!("CLIENT UNBLOCK {} {how}", waiter.id());
        for _ in 0..runs {
            waiter.send("LOCK.ACQUIRE k me 60000 WAIT 0");
            while self.admin.int(&unblock) == 0 {}
            waiter.reply();
        }
        self.admin.run("LOCK.FORCERELEASE k");
    }

    /// A connection that loses its session's lock is closed.
    fn losses(&mut self, runs: u64) {
        for _ in 0..runs {
            let mut holder = Waiter::begin(self.server, &[], "LOCK.ACQUIRE k me 60000 SESSION");
            assert_eq!(holder.grant()[..2], [1, 1]);
            self.admin.run("DEL k");
            assert_eq!(holder.reply(), "closed");
        }
    }

    /// The server's cron runs 500 times a second. A server that reports the end of each iteration of its event loop
    /// while there is something to do delivers by a timer only when there was nothing to do for some of them.
    fn crons(&mut self, runs: u64, start: i64) {
        if !is_called("an iteration") {
            let end = start + 2 * runs as i64;
            while self.admin.clock() < end {}
            return;
        }
        for _ in 0..runs {
            self.hand_overs(1, "LOCK.RELEASE k me");
            let end = self.admin.clock() + 6;
            while self.admin.clock() < end {}
        }
    }
}
