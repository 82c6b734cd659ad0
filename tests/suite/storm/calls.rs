//! What the clients of a storm say: of locks, and of what stands in their way.

use super::world::{call, one_of, Call, World};
use fastrand::Rng;

/// Locks a prefix, and their owners: few, so that they meet.
const LOCKS: usize = 12;
const OWNERS: usize = 8;

/// Keys that a mass of locks expires under: see the troublemaker.
pub const MASS: usize = 300;

/// The name of a lock.
pub fn lock(world: &World, dice: &mut Rng) -> String {
    let prefix = &world.prefixes[dice.usize(..world.prefixes.len())];
    // Some of the mass, too.
    match dice.usize(..10) {
        0 => format!("{prefix}m{}", dice.usize(..MASS)),
        _ => format!("{prefix}k{}", dice.usize(..LOCKS)),
    }
}

/// Two names, which share a slot in a cluster.
fn two_locks(world: &World, dice: &mut Rng) -> (String, String) {
    let prefix = &world.prefixes[dice.usize(..world.prefixes.len())];
    let mut name = || format!("{prefix}k{}", dice.usize(..LOCKS));
    (name(), name())
}

fn ttl(dice: &mut Rng) -> u64 {
    match dice.usize(..20) {
        0..=9 => dice.u64(1..60),
        10..=15 => dice.u64(60..600),
        16..=18 => 60_000,
        _ => 600_000,
    }
}

/// A call of a command of the module.
pub fn of_lock(world: &World, dice: &mut Rng) -> Call {
    let (lock, owner) = (lock(world, dice), format!("o{}", dice.usize(..OWNERS)));
    let mut line = match dice.usize(..30) {
        0..=15 => return acquire(&lock, &owner, dice),
        16..=20 => format!("LOCK.RELEASE {lock} {owner}"),
        21 => format!("LOCK.RELEASE {lock} {owner} HOLDS {}", dice.usize(..2)),
        22..=24 => format!("LOCK.RENEW {lock} {owner} {}", ttl(dice)),
        25 => format!("LOCK.ASSERT {lock} {owner}"),
        26 => format!("LOCK.INFO {lock}"),
        27 => format!("LOCK.LINES COUNT {}", dice.usize(1..20)),
        _ => format!("LOCK.FORCERELEASE {lock}"),
    };
    if line.starts_with("LOCK.RENEW") && dice.usize(..8) == 0 {
        line.push_str(" TOKEN 1795251785622463");
    }
    call(&line)
}

fn acquire(lock: &str, owner: &str, dice: &mut Rng) -> Call {
    let session = dice.usize(..4) == 0;
    let ttl = if session { 1000 + ttl(dice) } else { ttl(dice) };
    let mut line = format!("LOCK.ACQUIRE {lock} {owner} {ttl}");
    match dice.usize(..10) {
        0..=4 => line.push_str(&format!(" WAIT {}", dice.usize(1..100))),
        5 => line.push_str(" WAIT 0"),
        _ => (),
    }
    if session {
        line.push_str(" SESSION");
        if dice.usize(..3) == 0 {
            line.push_str(&format!(" LINGER {}", dice.usize(..200)));
        }
    }
    if dice.usize(..8) == 0 {
        line.push_str(&format!(" HOLDS {}", dice.usize(1..3)));
    }
    call(&line)
}

/// A call of someone who knows nothing of locks, on their keys.
pub fn of_others(world: &World, dice: &mut Rng) -> Call {
    let ((a, b), ms) = (two_locks(world, dice), dice.usize(1..400));
    let owner = dice.usize(..OWNERS);
    let anywhere = world.databases > 1;
    let (db, other) = (dice.usize(..world.databases), dice.usize(..world.databases));
    call(&match dice.usize(..38) {
        0..=5 => format!("DEL {a}"),
        6 => format!("UNLINK {a} {b}"),
        7 => format!("SET {a} taken"),
        8 => format!("SET {a} taken PX {ms}"),
        9..=11 if world.renames => format!("RENAME {a} {b}"),
        12 if world.renames => format!("RENAMENX {a} {b}"),
        13..=15 => format!("PEXPIRE {a} {ms}"),
        16 => format!("PERSIST {a}"),
        17 => format!("HSET {a} o{owner} 1"),
        18 => format!("HINCRBY {a} o{owner} 1"),
        19 => format!("HDEL {a} o{owner}"),
        20 => format!("HDEL {a} mode"),
        21 => format!("RPUSH {a} taken"),
        22 if anywhere => format!("COPY {a} {b} DB {db} REPLACE"),
        22 => format!("COPY {a} {b} REPLACE"),
        23 if anywhere => format!("MOVE {a} {db}"),
        24 | 25 if anywhere => format!("SWAPDB {db} {other}"),
        // More of it would leave nothing for the others to do.
        26 if dice.usize(..5) == 0 => {
            one_of(dice, &["FLUSHALL", "FLUSHALL ASYNC", "FLUSHDB"]).to_owned()
        }
        27 | 28 => format!("GETDEL {a}"),
        29 => format!("SINTERSTORE {a} {b}"),
        30..=33 if world.fields_expire => {
            format!(
                "HPEXPIRE {a} {ms} FIELDS 3 o{owner} o{} mode",
                (owner + 1) % OWNERS
            )
        }
        30 if world.fields_expire => format!("HPERSIST {a} FIELDS 1 mode"),
        34 if anywhere => format!("SELECT {db}"),
        35 => format!("WATCH {a}"),
        _ => return redisson(&a, dice),
    })
}

/// As Redisson's scripts take and free a lock, and as a dump of a lock is put elsewhere.
fn redisson(lock: &str, dice: &mut Rng) -> Call {
    let taken = "if redis.call('exists', KEYS[1]) == 0 or redis.call('hexists', KEYS[1], ARGV[2]) == 1 then \
        redis.call('hincrby', KEYS[1], ARGV[2], 1); redis.call('pexpire', KEYS[1], ARGV[1]); return nil; end; \
        return redis.call('pttl', KEYS[1]);";
    let freed = "if redis.call('hexists', KEYS[1], ARGV[2]) == 0 then return nil; end; \
        if redis.call('hincrby', KEYS[1], ARGV[2], -1) > 0 then redis.call('pexpire', KEYS[1], ARGV[1]); return 0; \
        else redis.call('del', KEYS[1]); redis.call('publish', 'redisson_lock__channel:{x}', '0'); return 1; end;";
    let restored = "local d = redis.call('dump', KEYS[1]); \
        if d then redis.call('restore', KEYS[1], ARGV[1], d, 'REPLACE') end";
    let script = one_of(dice, &[taken, freed, restored]);
    let owner = format!("o{}", dice.usize(..OWNERS));
    let words = [
        "EVAL",
        script,
        "1",
        lock,
        &dice.usize(1..400).to_string(),
        &owner,
    ];
    words.map(str::to_owned).to_vec()
}

/// Either.
pub fn any(world: &World, dice: &mut Rng) -> Call {
    match dice.usize(..5) {
        0 => of_others(world, dice),
        _ => of_lock(world, dice),
    }
}

/// A script that makes these calls, and goes on after an error.
pub fn script(calls: &[Call]) -> Call {
    let mut script = String::new();
    for call in calls {
        let words: Vec<String> = call.iter().map(|word| format!("[[{word}]]")).collect();
        script.push_str(&format!("redis.pcall({}) ", words.join(",")));
    }
    ["EVAL", &script, "0"].map(str::to_owned).to_vec()
}
