//! What happens to the data: it is flushed, swapped, evicted, overwritten, expires, is loaded anew.

use super::clients::any;
use crate::check::What;
use crate::fault::Fault;
use crate::scenario::BUSY;
use crate::world::{Control, World};
use fastrand::Rng;
use std::time::Duration;

/// Does what may lose locks, and has the checker know.
fn lossy(world: &World, work: impl FnOnce()) {
    world.note(What::MayLose);
    work();
    world.note(What::Keeps);
}

/// `FLUSHALL` and `FLUSHDB`, at once and in the background.
pub struct Flush;

impl Fault for Flush {
    fn name(&self) -> &'static str {
        "flush"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let lines = [
            "FLUSHALL",
            "FLUSHALL ASYNC",
            "FLUSHDB SYNC",
            "FLUSHDB ASYNC",
        ];
        let line = lines[rng.usize(..lines.len())];
        lossy(world, || drop(control.say(line)));
        true
    }
}

/// `SWAPDB` of the locks with an empty database, and mostly back.
pub struct Swap;

impl Fault for Swap {
    fn name(&self) -> &'static str {
        "swapdb"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        // Until the end all may be lost: what comes back is what was.
        lossy(world, || {
            control.say("SWAPDB 0 1");
            world.sleep(Duration::from_millis(rng.u64(..30)));
            if rng.bool() {
                control.say("SWAPDB 0 1");
            }
            control.say("SELECT 1");
            control.say("FLUSHDB");
        });
        true
    }
}

/// Eviction under `maxmemory`.
pub struct Evict;

impl Fault for Evict {
    fn name(&self) -> &'static str {
        "eviction"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let policies = [
            "allkeys-random",
            "allkeys-lru",
            "volatile-ttl",
            "volatile-random",
        ];
        let policy = policies[rng.usize(..policies.len())];
        let before = control.number("stats", "evicted_keys").unwrap_or(0);
        lossy(world, || {
            let used = control.number("memory", "used_memory").unwrap_or(0);
            control.say(&format!("CONFIG SET maxmemory-policy {policy}"));
            control.say(&format!("CONFIG SET maxmemory {}", used + 10_000));
            let filler = "x".repeat(5000);
            for n in 0..8 {
                control.say(&format!("SET filler{n} {filler} EX 1"));
            }
            world.sleep(Duration::from_millis(rng.u64(..20)));
            undo_eviction(&mut control);
        });
        control.number("stats", "evicted_keys").unwrap_or(0) > before
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            node.control().as_mut().map(undo_eviction);
        }
    }
}

fn undo_eviction(control: &mut Control) {
    control.say("CONFIG SET maxmemory 0");
    control.say("CONFIG SET maxmemory-policy noeviction");
    for n in 0..8 {
        control.say(&format!("DEL filler{n}"));
    }
}

/// Others delete locks, rename them, overwrite them, or end their leases.
pub struct Others;

impl Fault for Others {
    fn name(&self) -> &'static str {
        "others-write"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        lossy(world, || {
            for _ in 0..rng.usize(1..6) {
                let name = world.lock_name(rng.u32(..BUSY.locks));
                let line = match rng.u8(..8) {
                    0 | 1 => format!("DEL {name}"),
                    2 => format!("UNLINK {name}"),
                    3 => format!("SET {name} taken PX {}", rng.u8(1..50)),
                    4 => format!("PEXPIRE {name} {}", rng.u8(1..50)),
                    5 => format!("RENAME {name} {name}:away"),
                    6 => format!("HSET {name} somebody 1"),
                    _ => format!("LOCK.FORCERELEASE {name}"),
                };
                control.say(&line);
                control.say(&format!("PEXPIRE {name}:away 100"));
            }
            // What a lease was set to ends it later.
            world.sleep(Duration::from_millis(60));
            for lock in 0..BUSY.locks {
                // Else it is nobody's lock for as long as it likes.
                control.say(&format!("DEL {}", world.lock_name(lock)));
            }
        });
        true
    }
}

/// Many keys expire at once, locks of others among them.
pub struct MassExpiry;

impl Fault for MassExpiry {
    fn name(&self) -> &'static str {
        "mass-expiry"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let Some((seconds, micros)) = control
            .ask("TIME")
            .and_then(|time| redis::from_redis_value::<(u64, u64)>(time).ok())
        else {
            return false;
        };
        let deadline = seconds * 1000 + micros / 1000 + rng.u64(20..150);
        // A lease that is soon over also where the connection is lost before the next line.
        for n in 0..rng.usize(50..300) {
            control.say(&format!("LOCK.ACQUIRE mass{n} mass 1000"));
            control.say(&format!("PEXPIREAT mass{n} {deadline}"));
        }
        true
    }
}

/// The server writes all of its data, in the background.
pub enum Save {
    /// `BGSAVE`.
    Snapshot,
    /// `BGREWRITEAOF`.
    File,
}

impl Fault for Save {
    fn name(&self) -> &'static str {
        match self {
            Save::Snapshot => "bgsave",
            Save::File => "bgrewriteaof",
        }
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let line = self.name().to_uppercase();
        any(world, rng).is_some_and(|mut control| {
            let reply = control.say(&line);
            reply.contains("started") || reply.contains("scheduled")
        })
    }
}

/// `DEBUG RELOAD`.
pub struct Reload;

impl Fault for Reload {
    fn name(&self) -> &'static str {
        "debug-reload"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        any(world, rng).is_some_and(|mut control| control.say("DEBUG RELOAD") == "OK")
    }
}
