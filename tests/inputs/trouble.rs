//! Waits, and what happens to those who wait; and a server that refuses what it took before.

use super::acts::{every_command, plant_under};
use super::calls::{line, pack, Call, KEYS};
use super::check::{self, Outcome};
use super::client::Client;
use super::play::{Form, Play, CLIENTS};
use super::specs::specs;
use super::words::{any_number, any_word, one_of};
use redis::Value;
use redis_reentrant_lock::command::Spec;

/// The settings with which a run begins, and goes on.
const SETTINGS: &str = "CONFIG SET lock.session-loss ignore lock.max-waiters 10000 lock.default-ttl 30000 \
    lock.max-ttl 0 lock.max-hold 0 lock.grace-period 0 lock.notify auto lock.channel-prefix redisson_lock__channel";

/// Sets them.
pub fn restore(play: &mut Play) {
    assert_eq!(play.say(SETTINGS), Value::Okay);
}

/// A call that is given as a line.
fn call(words: &str) -> Call {
    let words = line(words);
    let is_it = |spec: &&&'static Spec| words[0].eq_ignore_ascii_case(spec.name.as_bytes());
    let spec = specs().iter().find(is_it).expect("a command of the module");
    Call { spec, words }
}

/// Whoever calls that is refused, with that code.
fn refused(play: &mut Play, at: usize, words: &str, code: &str) {
    let outcomes = play.exchange(at, &[call(words)], Form::Pipeline);
    if outcomes != [Outcome::Refused(code.to_owned())] {
        let state = play.state(words);
        play.fail(&format!(
            "{words} was answered by {outcomes:?}, not by {code}\n{state}"
        ));
    }
}

/// The connection is the default user's, in the first database.
fn ready(play: &mut Play, at: usize) {
    play.clients[at].become_user(None);
    play.clients[at].select(0);
}

/// A new hold of a lock that was free.
fn hold(play: &mut Play, at: usize, words: &str) {
    ready(play, at);
    let outcomes = play.exchange(at, &[call(words)], Form::Pipeline);
    if !matches!(outcomes[0], Outcome::Done(Some(_))) {
        let state = play.state(words);
        play.fail(&format!(
            "{words} was answered by {:?}\n{state}",
            outcomes[0]
        ));
    }
}

/// Sends a wait, whose reply is read later.
fn wait(play: &mut Play, client: &mut Client, words: &str) {
    play.note("a wait", &line(words));
    play.tried.calls += 1;
    client.send(&pack(&line(words)));
}

/// Some wait, and something happens to their lock, to what it holds, or to them. Each gets one reply.
pub fn waits(play: &mut Play) {
    let key = one_of(&mut play.dice, &KEYS);
    play.admin.select(0);
    play.say(&format!("DEL {key}"));
    hold(play, 0, &format!("LOCK.ACQUIRE {key} holder 60000"));
    let mut waiters = Vec::new();
    for number in 0..play.dice.usize(1..5) {
        let mut client = Client::connect(play.server.port());
        let spoke = client.speak(play.dice.bool());
        play.expect(spoke);
        let timeout = one_of(&mut play.dice, &["0", "0", "1", "10", "60000"]);
        let session = one_of(&mut play.dice, &["", " SESSION", " SESSION LINGER 5"]);
        let words = format!("LOCK.ACQUIRE {key} w{number} 1000 WAIT {timeout}{session}");
        wait(play, &mut client, &words);
        waiters.push((client, call(&words)));
    }
    play.settle();
    play.someone_waits = true;
    for _ in 0..play.dice.usize(1..4) {
        befall(play, key, &mut waiters);
    }
    for (mut client, call) in waiters {
        let (dice, admin) = (&mut play.dice, &mut play.admin);
        let mut unblock = |id: i64| {
            let how = one_of(dice, &["TIMEOUT", "ERROR"]);
            admin.ask(&format!("CLIENT UNBLOCK {id} {how}"));
        };
        let reply = client.reply(&mut unblock);
        let is_in_step = client.is_in_step(&mut unblock);
        let reply = play.expect(reply);
        let codes = play.expect(check::any(&reply, client.resp3));
        codes.iter().for_each(|code| play.tried.note_code(code));
        let outcome = play.expect(check::reply(&call, &reply, client.resp3));
        play.tried.note(&call, &outcome);
        play.expect(is_in_step);
        client.leave(&mut play.admin);
    }
    play.someone_waits = false;
}

fn befall(play: &mut Play, key: &str, waiters: &mut Vec<(Client, Call)>) {
    play.admin.select(0);
    let who = play.dice.usize(..waiters.len().max(1));
    let id = waiters.get(who).map_or(-1, |(client, _)| client.id);
    match play.dice.usize(..12) {
        0 | 1 => plant_under(play, key.as_bytes()),
        2 => every_command(play, key.as_bytes()),
        3 => drop(play.say(&format!("CLIENT UNBLOCK {id} TIMEOUT"))),
        4 => drop(play.say(&format!("CLIENT UNBLOCK {id} ERROR"))),
        5 => drop(play.say(&format!("LOCK.RELEASE {key} holder"))),
        6 => drop(play.say(&format!("DEL {key}"))),
        7 => drop(play.say(&format!("PEXPIRE {key} 1"))),
        8 => drop(play.say(&format!("LOCK.FORCERELEASE {key}"))),
        9 => drop(play.say("SWAPDB 0 1")),
        10 if !waiters.is_empty() => {
            play.tried.cut += 1;
            let (client, call) = waiters.remove(who);
            play.note("a wait, cut", &call.words);
            client.leave(&mut play.admin);
        }
        _ => {
            // In one packet: in the same iteration of the event loop.
            let lines = [
                format!("LOCK.RELEASE {key} holder"),
                format!("CLIENT UNBLOCK {id} ERROR"),
            ];
            let at = CLIENTS - 1;
            ready(play, at);
            for words in &lines {
                play.note(&format!("client {at}, in one packet"), &line(words));
            }
            let packet: Vec<u8> = lines.iter().flat_map(|it| pack(&line(it))).collect();
            play.clients[at].send(&packet);
            (0..2).for_each(|_| drop(play.reply(at)));
        }
    }
}

/// Two owners wait for each other.
pub fn cycle(play: &mut Play) {
    play.admin.select(0);
    play.say("DEL k0 k1");
    hold(play, 0, "LOCK.ACQUIRE k0 a 60000");
    hold(play, 1, "LOCK.ACQUIRE k1 b 60000");
    let mut waiter = Client::connect(play.server.port());
    wait(play, &mut waiter, "LOCK.ACQUIRE k1 a 60000 WAIT 0");
    play.settle();
    refused(play, 1, "LOCK.ACQUIRE k0 b 60000 WAIT 0", "DEADLOCK");
    refused(play, 1, "LOCK.ACQUIRE k1 b 60000 HOLDS 3", "HOLDCOUNT");
    play.say(&format!("CLIENT UNBLOCK {} ERROR", waiter.id));
    let reply = waiter.reply(&mut |_| ());
    let reply = play.expect(reply);
    let codes = play.expect(check::any(&reply, false));
    if codes != ["UNBLOCKED"] {
        play.fail(&format!("one who was unblocked got {reply:?}"));
    }
    play.tried.note_code("UNBLOCKED");
    let is_in_step = waiter.is_in_step(&mut |_| ());
    play.expect(is_in_step);
}

/// No more may wait.
pub fn too_many(play: &mut Play) {
    play.admin.select(0);
    play.say("DEL k0");
    play.say("CONFIG SET lock.max-waiters 0");
    hold(play, 0, "LOCK.ACQUIRE k0 a 60000");
    ready(play, 1);
    refused(play, 1, "LOCK.ACQUIRE k0 b 60000 WAIT 5", "TOOMANYWAITERS");
    restore(play);
}

/// Any calls, and each command on one key.
fn some_calls(play: &mut Play) {
    for _ in 0..6 {
        super::acts::calls(play);
    }
    every_command(play, b"k0");
}

/// The server takes no writes, because memory or replicas are missing.
pub fn rules(play: &mut Play) {
    for (setting, code) in [
        ("maxmemory", "OOM"),
        ("min-replicas-to-write", "NOREPLICAS"),
    ] {
        let reply = play.say(&format!("CONFIG SET {setting} 1"));
        assert_eq!(reply, Value::Okay);
        ready(play, 0);
        refused(play, 0, "LOCK.ACQUIRE k0 a", code);
        some_calls(play);
        let reply = play.say(&format!("CONFIG SET {setting} 0"));
        assert_eq!(reply, Value::Okay);
    }
}

/// The server is a replica for a while, writable or not, of a master that is not there.
pub fn replica(play: &mut Play) {
    let writable = one_of(&mut play.dice, &["yes", "no"]);
    demote(play);
    play.say(&format!("CONFIG SET replica-read-only {writable}"));
    ready(play, 0);
    refused(play, 0, "LOCK.ACQUIRE k0 a", "READONLY");
    some_calls(play);
    play.say("CONFIG SET replica-read-only yes");
    assert_eq!(play.say("REPLICAOF NO ONE"), Value::Okay);
}

/// The server was promoted, and grants no free lock for a while.
pub fn grace(play: &mut Play) {
    demote(play);
    play.say("CONFIG SET lock.grace-period 60000");
    assert_eq!(play.say("REPLICAOF NO ONE"), Value::Okay);
    some_calls(play);
    restore(play);
}

/// Those who hold sessions would lose their connections.
fn demote(play: &mut Play) {
    play.say("FLUSHALL");
    play.settle();
    assert_eq!(play.say("REPLICAOF 127.0.0.1 1"), Value::Okay);
}

/// A setting gets another value, or is not given one.
pub fn settings(play: &mut Play) {
    let names = [
        "default-ttl",
        "max-ttl",
        "max-hold",
        "notify",
        "channel-prefix",
    ];
    let name = format!("lock.{}", one_of(&mut play.dice, &names));
    let value = match play.dice.usize(..3) {
        0 => any_word(&mut play.dice),
        1 => any_number(&mut play.dice, 0, 1 << 53),
        _ => play.dice.usize(1000..5000).to_string().into_bytes(),
    };
    let set = [
        b"CONFIG".to_vec(),
        b"SET".to_vec(),
        name.into_bytes(),
        value,
    ];
    let reply = play.say_words(&set);
    let checked = check::any(&reply, false);
    play.expect(checked);
    some_calls(play);
    restore(play);
}
