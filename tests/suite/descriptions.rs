//! How the commands describe themselves to the server, to clients and to people.

use crate::support::{show, skip, version, Client, Server};
use redis::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A command as it ought to be described.
struct Wanted {
    name: &'static str,
    /// How many arguments, the name included; at least so many where it is negative.
    arity: i64,
    flags: &'static [&'static str],
    categories: &'static [&'static str],
    /// The flags of its key.
    key: &'static [&'static str],
}

impl Wanted {
    /// Whether its first argument is the name of a lock.
    fn has_key(&self) -> bool {
        !self.key.is_empty()
    }
}

const WANTED: [Wanted; 7] = [
    Wanted {
        name: "lock.acquire",
        arity: -3,
        flags: &["write", "denyoom", "fast", "blocking"],
        categories: &["@lock", "@write", "@fast", "@blocking"],
        key: &["RW", "access", "update"],
    },
    Wanted {
        name: "lock.release",
        arity: -3,
        flags: &["write", "fast"],
        categories: &["@lock", "@write", "@fast"],
        key: &["RW", "access", "delete"],
    },
    Wanted {
        name: "lock.renew",
        arity: -3,
        flags: &["write", "fast"],
        categories: &["@lock", "@write", "@fast"],
        key: &["RW", "access", "update"],
    },
    Wanted {
        name: "lock.assert",
        arity: -3,
        flags: &["readonly", "fast"],
        categories: &["@lock", "@read", "@fast"],
        key: &["RO", "access"],
    },
    Wanted {
        name: "lock.info",
        arity: 2,
        flags: &["readonly", "fast"],
        categories: &["@lock", "@read", "@fast"],
        key: &["RO", "access"],
    },
    Wanted {
        name: "lock.lines",
        arity: -1,
        flags: &["readonly"],
        categories: &["@lock", "@read", "@slow", "@dangerous"],
        key: &[],
    },
    Wanted {
        name: "lock.forcerelease",
        arity: 2,
        flags: &["write"],
        categories: &["@lock", "@write", "@slow", "@dangerous"],
        key: &["RW", "access", "delete"],
    },
];

fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) | Value::Set(parts) => parts,
        _ => panic!("not a list: {}", show(value)),
    }
}

fn words(value: &Value) -> BTreeSet<String> {
    parts(value).iter().map(show).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A flat list of names and values.
fn map(value: &Value) -> BTreeMap<String, Value> {
    let pairs = parts(value).chunks(2);
    pairs
        .map(|pair| (show(&pair[0]), pair[1].clone()))
        .collect()
}

/// What COMMAND INFO says of a command.
fn command_info(client: &mut Client, name: &str) -> Vec<Value> {
    let reply = client.ask(&format!("COMMAND INFO {name}"));
    parts(&parts(&reply)[0]).to_vec()
}

/// What COMMAND DOCS says of a command.
fn docs(client: &mut Client, name: &str) -> BTreeMap<String, Value> {
    let reply = client.ask(&format!("COMMAND DOCS {name}"));
    map(&parts(&reply)[1])
}

/// Whether the server has ACL categories of modules' own.
fn has_categories(client: &mut Client) -> bool {
    !client.run("ACL CAT lock").starts_with("ERR")
}

#[test]
fn command_info_tells_the_flags_and_where_the_key_is() {
    let server = Server::start();
    let mut client = server.client();
    for wanted in WANTED {
        let info = command_info(&mut client, wanted.name);
        assert_eq!(show(&info[0]), wanted.name);
        let mut flags = words(&info[2]);
        flags.remove("module"); // Where it comes from.
        assert_eq!(flags, set(wanted.flags), "{}", wanted.name);
        let positions: Vec<String> = info[3..6].iter().map(show).collect();
        let position = if wanted.has_key() { "1" } else { "0" };
        assert_eq!(positions, [position; 3], "{}", wanted.name);
    }
}

#[test]
fn command_info_tells_the_arity() {
    let server = Server::start();
    let mut client = server.client();
    for wanted in WANTED {
        let info = command_info(&mut client, wanted.name);
        assert_eq!(show(&info[1]), wanted.arity.to_string(), "{}", wanted.name);
    }
}

#[test]
fn too_few_arguments_are_told_as_the_server_tells_it() {
    let server = Server::start();
    let mut client = server.client();
    for wanted in WANTED {
        for words in 1..wanted.arity.abs() {
            let line = format!("{}{}", wanted.name, " x".repeat(words as usize - 1));
            let error = format!(
                "ERR wrong number of arguments for '{}' command",
                wanted.name
            );
            assert_eq!(client.run(&line), error);
            if wanted.arity > 0 {
                assert_eq!(client.run(&format!("{} x x", wanted.name)), error);
            }
        }
    }
}

#[test]
fn the_key_specification_tells_what_is_done_to_the_key() {
    let server = Server::start();
    let mut client = server.client();
    for wanted in WANTED {
        let info = command_info(&mut client, wanted.name);
        let specs = parts(&info[8]);
        if !wanted.has_key() {
            assert!(specs.is_empty(), "{}", wanted.name);
            continue;
        }
        assert_eq!(specs.len(), 1, "{}", wanted.name);
        let spec = map(&specs[0]);
        assert_eq!(words(&spec["flags"]), set(wanted.key), "{}", wanted.name);
        assert_eq!(
            show(&spec["begin_search"]),
            "[type index spec [index 1]]",
            "{}",
            wanted.name
        );
        assert_eq!(
            show(&spec["find_keys"]),
            "[type range spec [lastkey 0 keystep 1 limit 0]]",
            "{}",
            wanted.name
        );
    }
}

/// The arguments after the key as COMMAND DOCS tells them, as a synopsis.
fn synopsis(arguments: &[Value]) -> String {
    let shown = arguments.iter().map(|argument| {
        let argument = map(argument);
        let (name, kind) = (show(&argument["name"]), show(&argument["type"]));
        let token = argument.get("token").map(show);
        let text = match (kind.as_str(), token) {
            ("pure-token", Some(token)) => token,
            ("block", None) => synopsis(parts(&argument["arguments"])),
            ("string", None) => name.clone(),
            ("integer", None) if name != "owner" => name.clone(),
            ("integer", Some(token)) => format!("{token} {name}"),
            other => panic!("{name} is {other:?}"),
        };
        match argument.get("flags").map(show).as_deref() {
            Some("[optional]") => format!("[{text}]"),
            None => text,
            other => panic!("{name} has the flags {other:?}"),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// What COMMAND DOCS says of a command, as a page of a manual.
fn page(client: &mut Client, wanted: &Wanted) -> String {
    let docs = docs(client, wanted.name);
    assert_eq!(show(&docs["since"]), "0.1.0");
    assert_eq!(show(&docs["group"]), "module");
    assert_eq!(show(&docs["module"]), "lock");
    let arguments = parts(&docs["arguments"]);
    let (key, rest) = arguments.split_at(usize::from(wanted.has_key()));
    for key in key.iter().map(map) {
        assert_eq!(show(&key["name"]), "key");
        assert_eq!(show(&key["type"]), "key");
        assert_eq!(show(&key["key_spec_index"]), "0");
    }
    let key = if wanted.has_key() { " key" } else { "" };
    let line = format!("{}{key} {}", wanted.name, synopsis(rest));
    let (summary, complexity) = (show(&docs["summary"]), show(&docs["complexity"]));
    format!("{}\n    {summary}\n    {complexity}", line.trim_end())
}

#[test]
fn command_docs_explain_each_command_and_its_arguments() {
    let server = Server::start();
    let mut client = server.client();
    let pages = WANTED.map(|wanted| page(&mut client, &wanted));
    insta::assert_snapshot!(pages.join("\n"), @r"
    lock.acquire key owner [ttl] [WAIT timeout] [SESSION [LINGER linger]] [HOLDS holds] [TOKEN token]
        Takes a lock, or reenters it if the owner holds it
        O(1)
    lock.release key owner [HOLDS holds] [TOKEN token]
        Releases one hold of a lock, and frees the lock with the last one
        O(1)
    lock.renew key owner [ttl] [TOKEN token]
        Sets the time left of the holder's lease
        O(1)
    lock.assert key owner [TOKEN token]
        Fails unless the owner holds the lock
        O(1)
    lock.info key
        Shows who holds a lock, how often, with which token and for how long
        O(1)
    lock.lines [COUNT n]
        Lists the locks that are waited for, the longest wait queue first
        O(N log(N)) with N being the number of locks of the database that are waited for
    lock.forcerelease key
        Frees a lock whoever holds it
        O(1)
    ");
}

#[test]
fn command_getkeys_finds_the_lock_among_the_arguments() {
    let server = Server::start();
    let mut client = server.client();
    for line in [
        "LOCK.ACQUIRE orders me 5000 HOLDS 1 TOKEN 7",
        "lock.acquire orders me",
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.RENEW orders me 5000",
        "LOCK.ASSERT orders me TOKEN 7",
        "LOCK.INFO orders",
        "LOCK.FORCERELEASE orders",
    ] {
        let keys = client.run(&format!("COMMAND GETKEYS {line}"));
        assert_eq!(keys, "[orders]", "{line}");
    }
}

#[test]
fn the_server_lists_exactly_these_commands_of_the_module() {
    let server = Server::start();
    let mut client = server.client();
    let reply = client.ask("COMMAND LIST FILTERBY MODULE lock");
    assert_eq!(words(&reply), set(&WANTED.map(|wanted| wanted.name)));
}

#[test]
fn the_acl_category_lock_lists_every_command() {
    let server = Server::start();
    let mut client = server.client();
    if !has_categories(&mut client) {
        return skip("the server has no ACL categories of modules' own");
    }
    let listed = words(&client.ask("ACL CAT lock"));
    if listed.is_empty() && version() == (7, 4) {
        return skip("ACL CAT leaves the commands of modules out, though they are in it");
    }
    assert_eq!(listed, set(&WANTED.map(|wanted| wanted.name)));
    assert!(words(&client.ask("ACL CAT")).contains("lock"));
}

#[test]
fn each_command_is_in_the_acl_categories_that_fit_it() {
    let server = Server::start();
    let mut client = server.client();
    if !has_categories(&mut client) {
        return skip("the server has no ACL categories of modules' own");
    }
    let dangerous = words(&client.ask("ACL CAT dangerous"));
    for wanted in WANTED {
        let info = command_info(&mut client, wanted.name);
        let name = wanted.name;
        assert_eq!(words(&info[6]), set(wanted.categories), "{name}");
        let is_dangerous = wanted.categories.contains(&"@dangerous");
        if version() != (7, 4) {
            assert_eq!(dangerous.contains(name), is_dangerous, "{name}");
        }
    }
}
