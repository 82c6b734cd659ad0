//! What troubles a server and its replica: pauses, failovers, aborted shutdowns, locks that expire by
//! the hundred, and an operator who cannot leave the settings alone.

use super::control::Control;
use super::world::{call, one_of, World};
use crate::support::Server;
use fastrand::Rng;

/// Makes the user that some of the clients are.
pub const USER: &str = "ACL SETUSER app reset on >secret ~* &* +@all";

/// Goes on until the storm is over, and then leaves a server that is a master and takes writes.
pub fn run(world: &World, replica: &Server, dice: Rng) {
    let mut trouble = Trouble {
        control: Control::new(world, 0, dice),
        world,
        replica,
    };
    while !world.is_over() {
        trouble.make();
        trouble.control.nap(40);
    }
}

struct Trouble<'a> {
    world: &'a World,
    replica: &'a Server,
    control: Control<'a>,
}

impl Trouble<'_> {
    fn make(&mut self) {
        if self.control.dice.bool() {
            self.control.mass_expiry();
        }
        match self.control.dice.usize(..20) {
            0..=2 => self.control.pause(),
            3 | 4 => self.failover_that_times_out(),
            5 => self.failover_there_and_back(),
            6 => self.replica_there_and_back(),
            7 | 8 => self.shutdown_and_abort(),
            9 => self.evict(),
            10 => self.too_few_replicas(),
            11 => self.save_or_load(),
            12 => self.rights(),
            13..=15 => self.control.clients(),
            _ => self.control.settings(),
        }
    }

    /// Stops the replica, so that it does not hear of what is written now.
    fn with_deaf_replica(&mut self, work: impl FnOnce(&mut Control)) {
        self.replica.signal(libc::SIGSTOP);
        // Else it is not behind, and a failover succeeds, and a shutdown is one.
        self.control.say("SET deaf-replica x");
        let info = self.control.say("INFO replication");
        let behind = info.contains("state=online") && !info.contains("connected_slaves:0");
        if behind {
            work(&mut self.control);
        }
        self.replica.signal(libc::SIGCONT);
    }

    fn failover_that_times_out(&mut self) {
        let port = self.replica.port();
        self.with_deaf_replica(|control| {
            let timeout = control.dice.usize(20..200);
            control.say(&format!("FAILOVER TO 127.0.0.1 {port} TIMEOUT {timeout}"));
            if control.dice.bool() {
                control.nap(60);
                control.say("FAILOVER ABORT");
            }
            control.until("INFO replication", "master_failover_state:no-failover");
        });
    }

    fn failover_there_and_back(&mut self) {
        self.control.say("FAILOVER");
        let gone = self.control.until("ROLE", "slave");
        self.control.nap(100);
        if gone && self.control.dice.bool() {
            self.replica.client().run("FAILOVER");
            self.control.until("ROLE", "master");
        }
        self.restore_roles();
    }

    fn replica_there_and_back(&mut self) {
        let port = self.replica.port();
        self.control.say(&format!("REPLICAOF 127.0.0.1 {port}"));
        self.control.nap(100);
        self.restore_roles();
    }

    fn restore_roles(&mut self) {
        self.control.say("FAILOVER ABORT");
        self.control.say("REPLICAOF NO ONE");
        self.control.until("ROLE", "master");
        let port = self.world.nodes[0].port();
        let mut there = self.replica.client();
        there.run("FAILOVER ABORT");
        there.run(&format!("REPLICAOF 127.0.0.1 {port}"));
    }

    fn shutdown_and_abort(&mut self) {
        if self.control.say("SHUTDOWN ABORT").contains("syntax") {
            return; // it cannot be stopped
        }
        self.with_deaf_replica(|control| {
            // It waits for the replica, as long as that is behind.
            let how = one_of(
                &mut control.dice,
                &["SHUTDOWN NOSAVE", "SHUTDOWN SAVE", "SHUTDOWN"],
            );
            let other = control.aside(how);
            control.nap(150);
            // It may have come before what it is to abort.
            control.until("SHUTDOWN ABORT", "OK");
            if let Some(mut other) = other {
                let _ = other.read(&[call(how)], 1);
            }
        });
    }

    fn evict(&mut self) {
        let used = self.control.number("INFO memory", "used_memory");
        let policies = [
            "allkeys-random",
            "allkeys-lru",
            "volatile-ttl",
            "volatile-random",
            "noeviction",
        ];
        let policy = one_of(&mut self.control.dice, &policies);
        self.control
            .say(&format!("CONFIG SET maxmemory-policy {policy}"));
        self.control
            .say(&format!("CONFIG SET maxmemory {}", used + 20_000));
        let filler = "x".repeat(5000);
        for n in 0..10 {
            self.control.say(&format!("SET filler{n} {filler}"));
        }
        self.control.nap(30);
        self.control.say("CONFIG SET maxmemory 0");
    }

    fn too_few_replicas(&mut self) {
        self.control.say("CONFIG SET min-replicas-to-write 2");
        self.control.nap(200);
        self.control.say("CONFIG SET min-replicas-to-write 0");
    }

    fn save_or_load(&mut self) {
        let lines = [
            "BGSAVE",
            "BGREWRITEAOF",
            "DEBUG RELOAD",
            "DEBUG LOADAOF",
            "CONFIG SET appendonly no",
            "CONFIG SET appendonly yes",
            "DEBUG CHANGE-REPL-ID",
        ];
        let line = one_of(&mut self.control.dice, &lines);
        // Else it loads what was, and its replica does not.
        if line != "DEBUG LOADAOF" || has_whole_aof(&self.control.say("INFO persistence")) {
            self.control.say(line);
        }
        if line == "DEBUG RELOAD" {
            self.begin_anew();
        }
    }

    /// Gives the replica and the append-only file everything anew. What has expired is not loaded, and Redis tells nobody: a
    /// replica keeps the old fields of a hash, and adds those of the next one.
    fn begin_anew(&mut self) {
        for line in [
            "DEBUG CHANGE-REPL-ID",
            "CLIENT KILL TYPE replica",
            "BGREWRITEAOF",
        ] {
            self.control.say(line);
        }
    }

    fn rights(&mut self) {
        let changes = [
            "-lock.acquire",
            "+lock.acquire",
            "resetkeys",
            "~k1* ~m*",
            "-@all",
            "off",
            ">other",
        ];
        let change = one_of(&mut self.control.dice, &changes);
        if self.control.dice.usize(..3) == 0 {
            self.control.say("ACL DELUSER app");
        } else {
            self.control.say(&format!("ACL SETUSER app {change}"));
        }
        self.control.nap(100);
        self.control.say(USER);
    }
}

/// Whether the append-only file has all that the server has.
pub fn has_whole_aof(info: &str) -> bool {
    [
        "aof_enabled:1",
        "aof_rewrite_in_progress:0",
        "aof_rewrite_scheduled:0",
    ]
    .iter()
    .all(|line| info.contains(line))
}
