//! A random client for real servers: calls of every command, proper, nearly proper and wild, sent in every way in which
//! a client can send them, while the keys hold anything and connections end at any time.
//!
//! Every call gets one reply, in the protocol of its connection and in the form that its page describes; an error is one
//! line with a documented code; what is refused, busy or only a question changes nothing; and in the end nothing is left.

#[path = "../specs.rs"]
pub mod specs;

mod acts;
mod calls;
mod check;
mod client;
mod plant;
mod play;
mod tried;
mod trouble;
pub mod words;

pub use tried::Tried;

use lock_test_support::{eventually, Server};
use play::Play;
use redis::Value;
use std::time::{Duration, Instant};

/// A function that makes a call and returns what it gets. One of the server's own libraries has it.
const FUNCTION: &str = "inputs_call";
const LIBRARY: &str = "#!lua name=inputs\nredis.register_function('inputs_call', \
    function(keys, args) return {redis.pcall(unpack(args))} end)";

/// Users who may do little, their rules, and what commands these are.
const USERS: [(&str, &str, &[&str]); 3] = [
    (
        "reader",
        "%R~k0 +lock.info +lock.assert",
        &["lock.info", "lock.assert"],
    ),
    (
        "worker",
        "~k0 +lock.acquire +lock.release",
        &["lock.acquire", "lock.release"],
    ),
    ("nobody", "", &[]),
];

/// What everyone needs to be spoken to.
const COMMON: &str = "+@connection +@transaction +@scripting";

/// What a client does, how often beside the others, and its name.
type Act = (&'static str, usize, fn(&mut Play));

const ACTS: [Act; 18] = [
    ("calls", 60, acts::calls),
    ("calls without a reply", 4, acts::silence),
    ("abandoned transactions", 4, acts::abandoned_transaction),
    ("watched locks", 4, acts::watch),
    ("changes of a connection", 8, acts::change),
    ("connections that end", 3, acts::leave),
    ("garbage", 6, acts::garbage),
    ("planted values", 16, acts::plant),
    ("lapsed leases", 2, acts::lapse),
    ("flushes", 2, acts::flush),
    ("trespassers", 4, acts::trespass),
    ("waits", 6, trouble::waits),
    ("cycles of waits", 2, trouble::cycle),
    ("too many waits", 1, trouble::too_many),
    ("rules of the server", 2, trouble::rules),
    ("replicas", 1, trouble::replica),
    ("grace periods", 1, trouble::grace),
    ("settings", 3, trouble::settings),
];

/// Each act is played at least so often.
const ROUNDS: usize = 2;

/// Plays for so long, and at least each act a few times, on a server that nobody else uses meanwhile. Fails where
/// anything is not as it must be. What is chosen is drawn from the seed.
///
/// In the end the server is empty, and its settings are as before.
pub fn run(server: &Server, time: Duration, seed: u64) -> Tried {
    let (start, mut play) = (Instant::now(), Play::new(server, seed));
    let settings = play.say("CONFIG GET lock.*");
    prepare(&mut play);
    let mut deck: Vec<Act> = Vec::new();
    for _ in 0..ROUNDS {
        let cards = ACTS.iter().flat_map(|act| std::iter::repeat_n(*act, act.1));
        let from = deck.len();
        deck.extend(cards);
        play.dice.shuffle(&mut deck[from..]);
    }
    for number in 0.. {
        if number >= deck.len() && start.elapsed() >= time {
            break;
        }
        if number % deck.len() == 0 {
            server.assert_sound();
        }
        let (name, _, act) = deck[number % deck.len()];
        act(&mut play);
        *play.tried.acts.entry(name).or_default() += 1;
    }
    finish(play, settings)
}

fn prepare(play: &mut Play) {
    let mut client = play.server.client();
    play.lacks = plant::RARE.to_vec();
    play.lacks.retain(|name| !client.has(name));
    // A connection that loses a session would be closed, and its calls have no reply.
    trouble::restore(play);
    for (user, rules, _) in USERS {
        let set = play.say(&format!(
            "ACL SETUSER {user} reset on >secret {COMMON} {rules}"
        ));
        assert_eq!(set, Value::Okay, "{user}");
    }
    let load = ["FUNCTION", "LOAD", "REPLACE", LIBRARY].map(|word| word.as_bytes().to_vec());
    play.say_words(&load);
}

/// Ends all connections but one. Nothing may be left of what they did.
fn finish(mut play: Play, settings: Value) -> Tried {
    let clients = std::mem::take(&mut play.clients);
    for client in clients {
        client.leave(&mut play.admin);
    }
    play.say("FLUSHALL");
    for (user, ..) in USERS {
        play.say(&format!("ACL DELUSER {user}"));
    }
    play.say("FUNCTION DELETE inputs");
    let mut set: Vec<Vec<u8>> = ["CONFIG", "SET"]
        .map(|word| word.as_bytes().to_vec())
        .to_vec();
    set.extend(redis::from_redis_value::<Vec<Vec<u8>>>(settings).unwrap());
    assert_eq!(play.say_words(&set), Value::Okay);
    let mut client = play.server.client();
    eventually("nothing is left", || {
        let counters = ["waiters", "lines", "sessions"];
        counters.iter().all(|name| client.counter(name) == 0)
            && client.info("clients", "blocked_clients").as_deref() == Some("0")
            && client.run("INFO keyspace").trim() == "# Keyspace"
            && client.run("LOCK.LINES") == "[]"
    });
    play.server.assert_sound();
    play.tried
}
