//! An owner's id is a secret to a user who may call neither `LOCK.INFO` nor `LOCK.LINES`.

use crate::hostile::COMMANDS;
use crate::support::{Client, Listener, Server, Waiter};

/// The ids of the holder, and of one that waits. No text of an error has four bytes of them.
const HOLDER: &str = "zQ7xVj93kWqX";
const WAITER: &str = "0Jw8vZq2Hy6K";

/// A stranger's guess, as long.
const STRANGER: &str = "pppppppppppp";

/// Arguments, right and wrong, for any place.
const WORDS: [&str; 16] = [
    "30000",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "HOLDS 1",
    "HOLDS 2",
    "HOLDS x",
    "TOKEN 1",
    "TOKEN",
    "WAIT 1",
    "WAIT x",
    "SESSION",
    "LINGER 5",
    "COUNT 3",
    "NONSENSE",
];

/// A server on which the lock is held and waited for, and users have all other commands of locks.
struct World {
    server: Server,
    admin: Client,
    guesser: Client,
    _waiter: Waiter,
}

impl World {
    fn start() -> World {
        let server = Server::start();
        let mut admin = server.client();
        admin.run(
            "ACL SETUSER guesser reset on nopass ~lock:* +ping +lock.acquire +lock.release \
             +lock.renew +lock.assert +lock.forcerelease",
        );
        let mut guesser = server.client();
        assert_eq!(guesser.run("AUTH guesser any"), "OK");
        hold(&mut admin);
        admin.run("SET lock:text any");
        let line = format!("LOCK.ACQUIRE lock:queue {WAITER} 600000 WAIT 0");
        admin.grant(&format!("LOCK.ACQUIRE lock:queue {HOLDER} 600000"));
        let waiter = Waiter::start(&server, &line);
        World {
            server,
            admin,
            guesser,
            _waiter: waiter,
        }
    }
}

/// Gives the lock to its holder again, whatever a call has done to it.
fn hold(admin: &mut Client) {
    let acquire = format!("LOCK.ACQUIRE lock:held {HOLDER} 600000");
    admin.run("LOCK.FORCERELEASE lock:held");
    assert_eq!(admin.grant(&acquire)[..2], [1, 1]);
}

/// Calls of a command with this owner, most of them wrong, as lines: with one word more, or two.
fn calls(command: &str, owner: &str, more: usize) -> Vec<String> {
    let mut calls = vec![command.to_owned()];
    for start in [
        format!("{command} lock:held"),
        format!("{command} lock:held {owner}"),
        format!("{command} lock:text {owner}"),
        format!("{command} other:held {owner}"),
    ] {
        calls.push(start.clone());
        for first in WORDS {
            calls.push(format!("{start} {first}"));
            for second in WORDS.iter().filter(|_| more > 1) {
                calls.push(format!("{start} {first} {second}"));
            }
        }
    }
    calls
}

/// Whether a reply has four bytes in a row of an id.
fn shows(reply: &str, id: &str) -> bool {
    (0..id.len() - 3).any(|at| reply.contains(&id[at..at + 4]))
}

#[test]
fn no_reply_of_any_command_shows_an_owner_to_a_user_who_may_not_look() {
    let mut world = World::start();
    let mut kinds = std::collections::BTreeSet::new();
    for command in COMMANDS {
        for line in calls(command, STRANGER, 2) {
            let reply = world.guesser.run(&line);
            assert!(!shows(&reply, HOLDER), "{line}: {reply}");
            assert!(!shows(&reply, WAITER), "{line}: {reply}");
            kinds.insert(reply.split(' ').next().unwrap().to_owned());
            if command != "LOCK.ASSERT" && !reply.starts_with("NOPERM") {
                hold(&mut world.admin);
            }
        }
    }
    for line in [
        "LOCK.ACQUIRE lock:queue pppppppppppp WAIT 1",
        "LOCK.RELEASE lock:queue pppppppppppp",
        "LOCK.RENEW lock:queue pppppppppppp",
        "LOCK.ASSERT lock:queue pppppppppppp",
    ] {
        let reply = world.guesser.run(line);
        assert!(!shows(&reply, HOLDER) && !shows(&reply, WAITER), "{reply}");
    }
    for kind in ["ERR", "NOPERM", "NOTOWNER", "WRONGTYPE", "[0"] {
        assert!(kinds.contains(kind), "{kind} was not among {kinds:?}");
    }
    // The search would find it.
    let shown = world.admin.run("LOCK.INFO lock:held");
    assert!(shows(&shown, HOLDER), "{shown}");
}

#[test]
fn a_refused_deadlock_does_not_show_whom_it_is_with() {
    let mut world = World::start();
    let mine = format!("LOCK.ACQUIRE lock:mine {STRANGER} 600000");
    world.guesser.grant(&mine);
    let wait = format!("LOCK.ACQUIRE lock:mine {HOLDER} 600000 WAIT 0");
    let _holder = Waiter::start(&world.server, &wait);
    let line = format!("LOCK.ACQUIRE lock:held {STRANGER} 600000 WAIT 0");
    let reply = world.guesser.run(&line);
    assert!(reply.starts_with("DEADLOCK "), "{reply}");
    assert!(!shows(&reply, HOLDER), "{reply}");
}

#[test]
fn a_guess_that_is_nearly_right_gets_the_reply_of_any_other_guess() {
    let mut world = World::start();
    let lower = HOLDER.to_lowercase();
    let near = [
        &HOLDER[..HOLDER.len() - 1],
        &HOLDER[1..],
        &lower,
        "zQ7xVj93kWqY",
        "zQ7xVj93kWqX0",
        "zQ7x*",
        "z?7xVj93kWqX",
    ];
    for command in &COMMANDS[..4] {
        for (guess, call) in near.iter().flat_map(|guess| {
            let calls = calls(command, guess, 1).into_iter();
            calls.map(move |call| (guess, call))
        }) {
            let reply = world.guesser.run(&call);
            let other = world.guesser.run(&call.replace(guess, STRANGER));
            // Of two times left, the later is the shorter.
            let fixed = |reply: &str| reply.starts_with('[').then(|| reply[..5].to_owned());
            assert!(
                reply == other || fixed(&reply) == fixed(&other) && fixed(&reply).is_some(),
                "{call}: {reply}, but to a stranger: {other}"
            );
        }
    }
}

#[test]
fn logs_show_an_owner_where_the_security_policy_says_so_and_only_there() {
    let mut world = World::start();
    world
        .admin
        .run("CONFIG SET slowlog-log-slower-than 0 notify-keyspace-events KEA");
    world.guesser.run(&format!("LOCK.INFO lock:held {HOLDER}"));
    world
        .guesser
        .run(&format!("LOCK.ACQUIRE other:held {HOLDER}"));
    let mut events = Listener::subscribe(&world.server, "__keyevent@0__:hset");
    hold(&mut world.admin);
    assert!(!shows(&events.next().1, HOLDER));
    assert!(shows(&world.admin.run("SLOWLOG GET"), HOLDER));
    assert!(shows(&world.admin.run("HGETALL lock:held"), HOLDER));
    let refused = world.admin.run("ACL LOG");
    assert!(refused.contains("other:held"), "{refused}");
    assert!(!shows(&refused, HOLDER), "{refused}");
    assert!(!shows(&world.admin.run("CLIENT LIST"), HOLDER));
}
