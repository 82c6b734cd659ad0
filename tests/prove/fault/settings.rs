//! An operator who cannot leave the settings alone, and one who unloads the module.

use super::clients::any;
use crate::fault::Fault;
use crate::world::World;
use fastrand::Rng;
use lock_test_support::{module, version};

/// `CONFIG SET` and more, of what changes no promise.
pub struct Settings;

/// What is set, and to what it is set back.
const SETTINGS: [(&str, &[&str], &str); 11] = [
    ("hz", &["500", "100", "1"], "10"),
    ("active-expire-effort", &["10"], "1"),
    ("lazyfree-lazy-expire", &["yes"], "no"),
    ("lazyfree-lazy-server-del", &["yes"], "no"),
    ("hash-max-listpack-entries", &["0"], "128"),
    ("activedefrag", &["yes"], "no"),
    ("notify-keyspace-events", &["KEA"], ""),
    ("lock.max-waiters", &["2"], "10000"),
    ("lock.default-ttl", &["50", "60000"], "30000"),
    ("lock.notify", &["publish", "off"], "auto"),
    ("latency-tracking", &["no"], "yes"),
];

impl Fault for Settings {
    fn name(&self) -> &'static str {
        "config-set"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        for _ in 0..rng.usize(1..10) {
            let (name, values, _) = SETTINGS[rng.usize(..SETTINGS.len())];
            let value = values[rng.usize(..values.len())];
            control.say(&format!("CONFIG SET {name} {value}"));
        }
        let others = [
            "DEBUG SET-ACTIVE-EXPIRE 0",
            "DEBUG SET-ACTIVE-EXPIRE 1",
            "DEBUG SLEEP 0.02",
            "MEMORY PURGE",
            "LOCK.LINES COUNT 100",
            "CONFIG RESETSTAT",
        ];
        control.say(others[rng.usize(..others.len())]);
        true
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            let Some(mut control) = node.control() else {
                continue;
            };
            for (name, _, value) in SETTINGS {
                match value {
                    "" => control.say("CONFIG SET notify-keyspace-events KEA"),
                    value => control.say(&format!("CONFIG SET {name} {value}")),
                };
            }
            control.say("DEBUG SET-ACTIVE-EXPIRE 1");
        }
    }
}

/// `MODULE UNLOAD`, and `MODULE LOAD`. It is refused while there are waits or sessions.
pub struct Unload;

impl Fault for Unload {
    fn name(&self) -> &'static str {
        "module-unload"
    }

    fn lacks(&self, _: &World) -> Option<String> {
        // docs/guarantees.md, Unloading. There is no Valkey of that number.
        let crashes = version() == (8, 2);
        crashes.then(|| {
            "Redis 8.2 crashes where a connection repeats a command that is gone".to_owned()
        })
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let unloaded = control.say("MODULE UNLOAD lock") == "OK";
        world.sleep(std::time::Duration::from_millis(rng.u64(..20)));
        self.calm(world);
        unloaded
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            let loaded = node.say("MODULE LIST").contains("lock");
            if !loaded {
                node.say(&format!("MODULE LOAD {}", module().display()));
            }
        }
    }
}
