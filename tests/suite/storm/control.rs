//! A troublemaker's connection to a server, and the trouble that each server can have.

use super::calls::MASS;
use super::world::{call, one_of, Call, Line, World};
use crate::support::version;
use fastrand::Rng;
use std::time::{Duration, Instant};

/// How long it waits for something that need not come.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection to one server.
pub struct Control<'a> {
    /// The storm.
    pub world: &'a World,
    /// What it does next.
    pub dice: Rng,
    node: usize,
    line: Option<Line<'a>>,
    /// Connections that wait for locks of a mass, or that such locks are bound to.
    crowd: Vec<(Line<'a>, Call)>,
}

impl<'a> Control<'a> {
    /// It connects when it is needed.
    pub fn new(world: &'a World, node: usize, dice: Rng) -> Control<'a> {
        Control {
            world,
            dice,
            node,
            line: None,
            crowd: Vec::new(),
        }
    }

    /// Sends a line and returns its reply, empty where the connection has ended.
    pub fn say(&mut self, line: &str) -> String {
        self.exchange(&[call(line)]).pop().unwrap_or_default()
    }

    /// Sends lines in one go and returns their replies: none where the connection has ended.
    fn exchange(&mut self, calls: &[Call]) -> Vec<String> {
        if self.line.is_none() {
            self.line = self.world.connect(self.node, "trouble");
        }
        let Some(line) = &mut self.line else {
            return Vec::new();
        };
        match line.exchange(calls, calls.len()) {
            Ok(replies) => replies.iter().map(|reply| reply.shown()).collect(),
            Err(_) => {
                self.line = None;
                Vec::new()
            }
        }
    }

    /// Sends a line on a connection of its own, and returns that.
    pub fn aside(&mut self, line: &str) -> Option<Line<'a>> {
        let mut aside = self.world.connect(self.node, "trouble aside")?;
        aside.send(&[call(line)]).ok()?;
        Some(aside)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.world.nodes[self.node].port()
    }

    /// Does nothing for up to so many ms.
    pub fn nap(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(self.dice.u64(..=ms)));
    }

    /// Asks until the reply contains this. False where it does not soon.
    pub fn until(&mut self, line: &str, wanted: &str) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.say(line).contains(wanted) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// A number that INFO tells.
    pub fn number(&mut self, section: &str, field: &str) -> u64 {
        let text = self.say(&format!("INFO {section}"));
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Has many locks expire at the same time. Someone waits for some, others have sessions.
    pub fn mass_expiry(&mut self) {
        self.let_crowd_go();
        let dice = &mut self.dice;
        let prefix = &self.world.prefixes[dice.usize(..self.world.prefixes.len())];
        let database = dice.usize(..self.world.databases);
        let count = dice.usize(20..MASS);
        let names: Vec<String> = (0..count).map(|n| format!("{prefix}m{n}")).collect();
        let crowd = dice.usize(..24);
        let mut calls = Vec::new();
        if self.world.databases > 1 {
            calls.push(call(&format!("SELECT {database}")));
        }
        let select = calls.clone();
        let begin = calls.len();
        let hold = |lock: &String| call(&format!("LOCK.ACQUIRE {lock} mass 60000"));
        calls.extend(names.iter().map(hold));
        self.exchange(&calls);
        for (n, lock) in names.iter().cycle().take(crowd).enumerate() {
            let line = match n % 3 {
                0 => format!("LOCK.ACQUIRE {lock} mass 1000 SESSION"),
                1 => format!("LOCK.ACQUIRE {lock} w{n} 1500 WAIT 800 SESSION"),
                _ => format!("LOCK.ACQUIRE {lock} w{n} 50 WAIT 800"),
            };
            let Some(mut line_of_it) = self.world.connect(self.node, "crowd") else {
                return;
            };
            let mut sent = select.clone();
            sent.push(call(&line));
            if line_of_it.send(&sent).is_ok() {
                self.crowd.push((line_of_it, sent.concat()));
            }
        }
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        let deadline = now + self.dice.u64(20..200);
        calls.truncate(begin);
        let by_fields = self.world.fields_expire && self.dice.usize(..4) == 0;
        calls.extend(names.iter().enumerate().map(|(n, lock)| {
            call(&match (by_fields, n % 2) {
                (true, 0) => format!("HPEXPIREAT {lock} {deadline} FIELDS 2 mass mode"),
                (true, _) => format!("HPEXPIREAT {lock} {} FIELDS 2 mass mode", deadline + 60_000),
                _ => format!("PEXPIREAT {lock} {deadline}"),
            })
        }));
        self.exchange(&calls);
    }

    /// Ends the connections of a mass: some at once, some when they were answered.
    pub fn let_crowd_go(&mut self) {
        let wait = self.dice.bool();
        for (mut line, sent) in self.crowd.drain(..) {
            if wait {
                let count = 1 + usize::from(sent[0] == "SELECT");
                let _ = line.read(&[sent], count);
            }
        }
    }

    /// Ends some of them, without a look.
    fn drop_some(&mut self) {
        let left = self.dice.usize(..=self.crowd.len());
        self.crowd.truncate(left);
    }

    /// Pauses clients for a while.
    pub fn pause(&mut self) {
        let what = one_of(&mut self.dice, &["WRITE", "WRITE", "ALL"]);
        // While all are paused, nobody can end it.
        let most = if what == "ALL" { 150 } else { 60_000 };
        self.say(&format!("CLIENT PAUSE {most} {what}"));
        self.nap(20);
        self.drop_some();
        self.nap(200);
        self.say("CLIENT UNPAUSE");
    }

    /// Unblocks, kills or evicts clients.
    pub fn clients(&mut self) {
        let list = self.say("CLIENT LIST");
        let clients: Vec<&str> = list
            .lines()
            .filter(|line| !line.contains("cmd=client|list"))
            .collect();
        let Some(client) = self.dice.choice(&clients) else {
            return;
        };
        let word = |name: &str| client.split(' ').find_map(|part| part.strip_prefix(name));
        let id = word("id=").unwrap_or("0");
        let is_blocked = word("flags=").is_some_and(|flags| flags.contains('b'));
        let is_replica =
            word("flags=").is_some_and(|flags| flags.contains('S') || flags.contains('M'));
        match self.dice.usize(..16) {
            0..=7 if is_blocked && self.may_unblock() => {
                let how = one_of(&mut self.dice, &["TIMEOUT", "ERROR"]);
                self.say(&format!("CLIENT UNBLOCK {id} {how}"));
            }
            8..=11 if !is_replica => drop(self.say(&format!("CLIENT KILL ID {id}"))),
            12 => drop(self.say("CLIENT KILL USER app")),
            13 => drop(self.say("CLIENT KILL TYPE normal")),
            14 => drop(self.say("CLIENT KILL TYPE replica")),
            15 => {
                self.say("CONFIG SET maxmemory-clients 300k");
                self.nap(20);
                self.say("CONFIG SET maxmemory-clients 0");
            }
            _ => (),
        }
    }

    /// Redis 7.0 ends where a client is unblocked that a pause has postponed (redis#14164), and in a
    /// cluster nobody knows when a failover pauses them.
    fn may_unblock(&self) -> bool {
        version() >= (7, 2) || self.world.databases > 1
    }

    /// Changes a setting, or keeps the server busy.
    pub fn settings(&mut self) {
        let lines = [
            "CONFIG SET hz 500",
            "CONFIG SET hz 100",
            "CONFIG SET hz 10",
            "CONFIG SET hz 1",
            "CONFIG SET active-expire-effort 10",
            "CONFIG SET active-expire-effort 1",
            "CONFIG SET lazyfree-lazy-expire yes",
            "CONFIG SET lazyfree-lazy-expire no",
            "CONFIG SET lazyfree-lazy-server-del yes",
            "CONFIG SET lazyfree-lazy-server-del no",
            "CONFIG SET hash-max-listpack-entries 0",
            "CONFIG SET hash-max-listpack-entries 128",
            "CONFIG SET activedefrag yes",
            "CONFIG SET notify-keyspace-events KEA",
            "CONFIG SET lock.session-loss ignore",
            "CONFIG SET lock.session-loss close",
            "CONFIG SET lock.max-hold 1500",
            "CONFIG SET lock.max-hold 0",
            "CONFIG SET lock.max-waiters 8",
            "CONFIG SET lock.max-waiters 10000",
            "CONFIG SET lock.max-ttl 5000",
            "CONFIG SET lock.max-ttl 0",
            "CONFIG SET lock.grace-period 200",
            "CONFIG SET lock.grace-period 0",
            "CONFIG SET lock.notify publish",
            "CONFIG SET lock.notify auto",
            "DEBUG SET-ACTIVE-EXPIRE 0",
            "DEBUG SET-ACTIVE-EXPIRE 1",
            "DEBUG SLEEP 0.02",
            "DEBUG SLEEP 0.15",
            "DEBUG DIGEST",
            "MEMORY PURGE",
            "LOCK.LINES COUNT 100",
        ];
        let line = one_of(&mut self.dice, &lines);
        self.say(line);
    }
}

/// Puts a server back into the state that it had before the storm. Each may fail where a server does
/// not know it.
pub fn calm_down(control: &mut Control) {
    for line in [
        "CLIENT UNPAUSE",
        "FAILOVER ABORT",
        "CONFIG SET hz 10",
        "CONFIG SET active-expire-effort 1",
        "CONFIG SET lazyfree-lazy-expire no",
        "CONFIG SET lazyfree-lazy-server-del no",
        "CONFIG SET hash-max-listpack-entries 128",
        "CONFIG SET activedefrag no",
        "CONFIG SET maxmemory 0",
        "CONFIG SET maxmemory-clients 0",
        "CONFIG SET min-replicas-to-write 0",
        "CONFIG SET lock.session-loss close",
        "CONFIG SET lock.max-hold 0",
        "CONFIG SET lock.max-waiters 10000",
        "CONFIG SET lock.max-ttl 0",
        "CONFIG SET lock.grace-period 0",
        "CONFIG SET lock.notify auto",
        "DEBUG SET-ACTIVE-EXPIRE 1",
    ] {
        control.say(line);
    }
}
