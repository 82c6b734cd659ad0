//! A panic in any callback stops there: the server logs it and goes on, and so do the locks.
//!
//! The panics are planted (`src/module/ffi/planted.rs`), which only a build for tests can have: with the module of a
//! release these tests do not apply.

use crate::support::{
    eventually, has_planted_faults, version, Client, Listener, Server, Setup, Waiter,
};
use std::path::Path;

/// Every callback that a server with clients calls, by the names that the log has.
pub const CALLBACKS: [&str; 30] = [
    "lock.acquire",
    "lock.release",
    "lock.renew",
    "lock.assert",
    "lock.info",
    "lock.lines",
    "lock.forcerelease",
    "a scan",
    "a reply",
    "an end of a wait",
    "a timeout",
    "a disconnect",
    "a key event",
    "a server event",
    "the cron",
    "a wakeup",
    "what follows a wakeup",
    "the end of a wakeup",
    "a delivery",
    "a close",
    "an iteration",
    "INFO",
    "CONFIG GET of a number",
    "CONFIG GET of a choice",
    "CONFIG GET of the prefix",
    "CONFIG SET of a number",
    "CONFIG SET of a choice",
    "CONFIG SET of the prefix",
    "the end of CONFIG SET",
    "unloading",
];

/// Those that are called only when another one has panicked, or when the module is loaded.
const OTHERS: [&str; 3] = ["an error reply", "what follows an error", "loading"];

fn plant(setup: Setup, place: &str, callback: &str) -> Server {
    let planted = format!("{place} {callback}");
    let setup = setup.env("LOCK_PLANTED_PANIC", &planted);
    let setup = setup.config("enable-module-command yes");
    setup.may_crash().start()
}

/// Newer servers do not sleep beyond a timer, so the end of their iterations is not reported.
pub fn is_called(callback: &str) -> bool {
    callback != "an iteration" || version() < (7, 2)
}

fn count(server: &Server, callback: &str) -> usize {
    let text = format!("internal error in {callback}: planted");
    server.log().matches(&text).count()
}

/// A client does something with everything. Replies are not read: some do not come.
fn disturb(server: &Server, admin: &mut Client) {
    let mut clients: Vec<Client> = Vec::new();
    let mut say = |line: &str| {
        let mut client = server.client();
        client.forget(line);
        clients.push(client);
    };
    // Free at once, by the end of a lease, by a connection that closes, by others.
    say("LOCK.ACQUIRE a me 1000 SESSION");
    say("LOCK.ACQUIRE a you 1000 WAIT 500");
    say("LOCK.ACQUIRE b me 3");
    say("LOCK.ACQUIRE b you 1000 WAIT 500");
    say("LOCK.ACQUIRE c me 1000");
    say("LOCK.ACQUIRE c you 1000 WAIT 2");
    say("LOCK.ACQUIRE c they 1000 WAIT 500");
    say("LOCK.INFO c");
    say("LOCK.LINES");
    say("LOCK.RENEW c me 1000");
    say("LOCK.ASSERT c me");
    say("LOCK.RELEASE c me");
    say("LOCK.ACQUIRE d me 1000 SESSION");
    say("LOCK.ACQUIRE e me 1000");
    say("LOCK.ACQUIRE e you 1000 WAIT 500");
    say("LOCK.FORCERELEASE e");
    say("LOCK.ACQUIRE f me 1000");
    say("INFO lock");
    for line in [
        "CONFIG GET lock.*",
        "CONFIG SET lock.max-waiters 1000",
        "CONFIG SET lock.notify publish",
        "CONFIG SET lock.channel-prefix p",
    ] {
        say(line);
    }
    // Two that wait for `f`, of which one is unblocked and one leaves.
    let wait = "LOCK.ACQUIRE f you 1000 WAIT 500";
    let (unblocked, gone) = (server.client(), server.client());
    let mut waiting = [unblocked, gone].map(|mut client| {
        let id = client.int("CLIENT ID");
        client.forget(wait);
        (client, id)
    });
    admin.run(&format!("CLIENT UNBLOCK {}", waiting[0].1));
    admin.run(&format!("CLIENT KILL ID {}", waiting[1].1));
    waiting[0].0.forget("PING");
    admin.run("DEL d");
    admin.run("SWAPDB 0 1");
    admin.run("FLUSHALL");
}

/// Each call gets one reply, whatever it is: after two, or none, a client takes replies for those of other calls.
fn check_replies(server: &Server, admin: &mut Client, callback: &str) {
    for _ in 0..4 {
        if let Some(command) = callback.strip_prefix("lock.") {
            let arguments = match command {
                "lines" => "",
                "info" | "forcerelease" => "{one}",
                _ => "{one} me",
            };
            admin.run(&format!("LOCK.{command} {arguments}"));
            assert_eq!(admin.run("PING"), "PONG", "{callback}");
        }
        if callback == "a reply" || callback == "a timeout" {
            admin.run("LOCK.ACQUIRE {one} me 60000");
            let mut waiter = Waiter::start(server, "LOCK.ACQUIRE {one} you 60000 WAIT 0");
            match callback {
                "a reply" => admin.run("LOCK.RELEASE {one} me"),
                _ => admin.run(&format!("CLIENT UNBLOCK {}", waiter.id())),
            };
            let reply = waiter.reply();
            assert_eq!(waiter.run("PING"), "PONG", "{callback}: {reply}");
            admin.run("LOCK.FORCERELEASE {one}");
        }
    }
}

/// What locks do, in short.
fn check(server: &Server, callback: &str) {
    let mut client = server.client();
    client.run("FLUSHALL");
    let [acquired, holds, ..] = client.grant("LOCK.ACQUIRE {check} me 60000");
    assert_eq!([acquired, holds], [1, 1], "{callback}");
    let mut waiter = Waiter::start(server, "LOCK.ACQUIRE {check} you 20 WAIT 0");
    let mut last = Waiter::start(server, "LOCK.ACQUIRE {check} they 60000 WAIT 0 SESSION");
    assert_eq!(client.run("LOCK.RELEASE {check} me"), "0", "{callback}");
    assert_eq!(waiter.grant()[..2], [1, 1], "{callback}");
    assert_eq!(last.grant()[..2], [1, 1], "{callback}");
    drop(last);
    eventually("the lock of a closed connection is free", || {
        client.run("LOCK.INFO {check}") == "nil"
    });
    eventually("nobody is blocked", || {
        client.info("clients", "blocked_clients") == Some("0".to_owned())
    });
}

#[test]
fn a_panic_in_any_callback_is_logged_and_neither_the_server_nor_its_locks_stop() {
    if !has_planted_faults() {
        return;
    }
    let places = ["begin", "end"].map(|place| {
        std::thread::spawn(move || {
            for callback in CALLBACKS.into_iter().filter(|callback| is_called(callback)) {
                let server = plant(Setup::new(), place, callback);
                let mut admin = server.client();
                check_replies(&server, &mut admin, callback);
                let mut looks = 0;
                eventually(callback, || {
                    // In between it is quiet for a while: some things are done then.
                    if looks % 100 == 0 {
                        disturb(&server, &mut admin);
                    }
                    if callback == "unloading" {
                        admin.run("MODULE UNLOAD lock");
                        load(&mut admin);
                    }
                    looks += 1;
                    // With the third it is used up.
                    count(&server, callback) == 3
                });
                check(&server, callback);
            }
        })
    });
    let ends = places.map(|place| place.join().is_ok());
    assert_eq!(ends, [true; 2], "begin, end");
}

/// Loads the module.
pub fn load(client: &mut Client) -> String {
    let module = crate::support::module();
    client.run(&format!("MODULE LOAD {}", module.display()))
}

/// The first three releases get an error, since their message was not published.
#[test]
fn a_panic_among_the_effects_of_a_step_had_them_carried_out_again_and_again() {
    if !has_planted_faults() {
        return;
    }
    let server = plant(Setup::new(), "begin", "the effects");
    let channel = "redisson_lock__channel:{orders}";
    let (mut listener, mut client) = (Listener::subscribe(&server, channel), server.client());
    let mut failed = 0;
    for _ in 0..3 {
        client.grant("LOCK.ACQUIRE orders me 60000");
        failed += usize::from(
            client
                .run("LOCK.RELEASE orders me")
                .starts_with("ERR internal"),
        );
    }
    assert_eq!(failed, 3);
    client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    client.run(&format!("PUBLISH {channel} last"));
    let messages = [(); 2].map(|()| listener.next().1);
    assert_eq!(messages, ["0", "last"]);
}

#[test]
fn a_panic_while_the_module_is_loaded_refuses_it_and_the_server_goes_on() {
    if !has_planted_faults() {
        return;
    }
    let server = plant(Setup::without_module(), "begin", "loading");
    let mut client = server.client();
    for _ in 0..3 {
        assert!(load(&mut client).starts_with("ERR"), "it was loaded");
        assert_eq!(client.run("PING"), "PONG");
    }
    assert!(server.log().contains("internal error in loading: planted"));
}

#[test]
fn every_callback_is_among_those_in_which_a_panic_is_planted() {
    let mut names = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/module"),
        &mut names,
    );
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let is_known = CALLBACKS.contains(&&*name) || OTHERS.contains(&&*name);
        assert!(is_known, "no panic is planted in {name}");
    }
}

/// The names in calls of `guard` and `only_notes`.
fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["guard(", "only_notes("] {
            for after in text.split(call).skip(1) {
                // It may stand on lines of its own.
                let after: String = after.split_whitespace().collect::<Vec<_>>().join(" ");
                let name = after.split_once(", \"").and_then(|(context, rest)| {
                    (context.trim().len() < 12).then(|| rest.split('"').next())?
                });
                names.extend(
                    name.filter(|name| *name != "a test" && *name != "inside")
                        .map(str::to_owned),
                );
            }
        }
    }
}
