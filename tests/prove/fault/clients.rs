//! What is done to clients: killed, unblocked, evicted, paused.

use crate::fault::Fault;
use crate::world::{Control, World};
use fastrand::Rng;
use lock_test_support::version;
use std::time::Duration;

/// A node that is drawn, and a connection to it.
pub fn any(world: &World, rng: &mut Rng) -> Option<Control> {
    world.nodes[rng.usize(..world.nodes.len())].control()
}

/// The ids of the clients of `CLIENT LIST` whose line has all of these.
fn ids(list: &str, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let lines = list.lines().filter(|line| wanted(line));
    lines.filter_map(|line| word(line, "id=")).collect()
}

fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|part| part.strip_prefix(name))
}

fn has_flag(line: &str, flag: char) -> bool {
    word(line, "flags=").is_some_and(|flags| flags.contains(flag))
}

/// `CLIENT KILL`, of some clients or of all.
pub struct Kill;

impl Fault for Kill {
    fn name(&self) -> &'static str {
        "client-kill"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        match rng.u8(..6) {
            0 => control.say("CLIENT KILL TYPE normal SKIPME yes"),
            1 => control.say("CLIENT KILL USER default SKIPME yes"),
            _ => {
                let list = control.say("CLIENT LIST");
                let mut found = ids(&list, |line| {
                    !has_flag(line, 'S') && !has_flag(line, 'M') && !line.contains("cmd=client")
                });
                rng.shuffle(&mut found);
                for id in found.iter().take(rng.usize(1..6)) {
                    control.say(&format!("CLIENT KILL ID {id}"));
                }
                String::new()
            }
        };
        true
    }
}

/// `CLIENT UNBLOCK`, as a timeout and as an error.
pub struct Unblock {
    /// Whether clients are paused at the same time.
    pub beside_pauses: bool,
}

impl Fault for Unblock {
    fn name(&self) -> &'static str {
        "client-unblock"
    }

    fn lacks(&self, _: &World) -> Option<String> {
        // redis#14164, which came with 8.2; Valkey's 8.1 has valkey#2117.
        (self.beside_pauses && version() < (8, 1))
            .then(|| "Redis ends where a postponed client is unblocked".to_owned())
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let list = control.say("CLIENT LIST");
        let mut found = ids(&list, |line| has_flag(line, 'b'));
        rng.shuffle(&mut found);
        let found: Vec<&str> = found.into_iter().take(rng.usize(1..8)).collect();
        for id in &found {
            let how = if rng.bool() { "TIMEOUT" } else { "ERROR" };
            control.say(&format!("CLIENT UNBLOCK {id} {how}"));
        }
        !found.is_empty()
    }
}

/// `CLIENT PAUSE`, of writes and of everything.
pub struct Pause;

impl Fault for Pause {
    fn name(&self) -> &'static str {
        "client-pause"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let (what, ms) = match rng.u8(..3) {
            // While all are paused, nobody can end it.
            0 => ("ALL", rng.u64(5..120)),
            _ => ("WRITE", rng.u64(5..1800)),
        };
        control.say(&format!("CLIENT PAUSE {ms} {what}"));
        world.sleep(Duration::from_millis(rng.u64(..=ms)));
        control.say("CLIENT UNPAUSE");
        true
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            node.say("CLIENT UNPAUSE");
        }
    }
}

/// `maxmemory-clients`: connections are closed that take much memory.
pub struct EvictClients;

impl Fault for EvictClients {
    fn name(&self) -> &'static str {
        "maxmemory-clients"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let before = control.number("stats", "evicted_clients").unwrap_or(0);
        let limit = rng.u64(100..400);
        control.say(&format!("CONFIG SET maxmemory-clients {limit}k"));
        world.sleep(Duration::from_millis(rng.u64(1..30)));
        // It may itself be among those.
        drop(control);
        self.calm(world);
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        control.number("stats", "evicted_clients").unwrap_or(0) > before
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            node.say("CONFIG SET maxmemory-clients 0");
        }
    }
}

/// The users of the clients lose the right to acquire for a moment, or the right to their locks.
pub struct Rights;

impl Fault for Rights {
    fn name(&self) -> &'static str {
        "acl"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let Some(mut control) = any(world, rng) else {
            return false;
        };
        let change = [
            "-lock.acquire",
            "-lock.renew",
            "-lock.release",
            "resetkeys ~other",
        ];
        let change = change[rng.usize(..change.len())];
        control.say(&format!("ACL SETUSER default {change}"));
        world.sleep(Duration::from_millis(rng.u64(..80)));
        self.calm(world);
        true
    }

    fn calm(&mut self, world: &World) {
        for node in &world.nodes {
            node.say("ACL SETUSER default ~* +@all +lock.acquire +lock.renew +lock.release");
        }
    }
}
