//! Data that is no lock: every command refuses it, and none changes it.

use crate::support::{eventually, skip, Client, Listener, Server, Setup, Waiter};

/// Every way to call a command on the key `data` as `me`.
const CALLS: [&str; 15] = [
    "LOCK.ACQUIRE data me",
    "LOCK.ACQUIRE data me 5000",
    "LOCK.ACQUIRE data me HOLDS 1",
    "LOCK.ACQUIRE data me HOLDS 2",
    "LOCK.ACQUIRE data me TOKEN 7",
    "LOCK.RELEASE data me",
    "LOCK.RELEASE data me HOLDS 0",
    "LOCK.RELEASE data me HOLDS 1",
    "LOCK.RELEASE data me TOKEN 7",
    "LOCK.RENEW data me",
    "LOCK.RENEW data me 5000 TOKEN 7",
    "LOCK.ASSERT data me",
    "LOCK.ASSERT data me TOKEN 7",
    "LOCK.INFO data",
    "LOCK.FORCERELEASE data",
];

/// Everything that shows a change of the key `data`.
fn state(client: &mut Client) -> (redis::Value, Option<i64>, Option<String>) {
    (
        client.ask("DUMP data"),
        client.deadline("data"),
        client.info("persistence", "rdb_changes_since_last_save"),
    )
}

/// Writes the data and checks that no call changes it, and that each is answered so that `fits`.
fn unharmed(client: &mut Client, data: &[&str], fits: impl Fn(&str, &str) -> bool) {
    client.run("DEL data");
    for line in data {
        let reply = client.run(line);
        assert!(!reply.starts_with("ERR"), "{line}: {reply}");
    }
    assert_eq!(client.int("EXISTS data"), 1);
    let before = state(client);
    for line in CALLS {
        let reply = client.run(line);
        assert!(fits(line, &reply), "{data:?}, {line}: {reply}");
        assert_eq!(state(client), before, "{data:?}, {line}");
    }
}

const REFUSAL: &str = "WRONGTYPE the key holds something that is not a lock";

fn refused(client: &mut Client, data: &[&str]) {
    unharmed(client, data, |_, reply| reply == REFUSAL);
}

const TTL: &str = "PEXPIRE data 600000";

#[test]
fn data_of_every_other_type_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    for data in [
        "SET data text",
        "SET data 1",
        "SETBIT data 7 1",
        "PFADD data a b",
        "RPUSH data me 1 mode fenced:7",
        "SADD data me mode",
        "SADD data 1 2 3",
        "ZADD data 1 me 7 mode",
        "GEOADD data 13.4 52.5 Berlin",
        "XADD data * me 1 mode fenced:7",
    ] {
        refused(&mut client, &[data]);
        refused(&mut client, &[data, TTL]);
    }
}

#[test]
fn data_of_a_type_that_a_module_brought_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    if !client.has("VADD") {
        return skip("the server brings no such type");
    }
    refused(&mut client, &["VADD data VALUES 2 1 0 me"]);
}

#[test]
fn a_hash_without_an_expiry_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    refused(&mut client, &["HSET data name Ada"]);
    refused(&mut client, &["HSET data me 1"]);
    refused(&mut client, &["HSET data me 1 mode fenced:7"]);
    refused(&mut client, &["HSET data you 1 mode fenced:7"]);
    refused(&mut client, &["HSET data mode fenced:7"]);
}

#[test]
fn a_hash_with_other_fields_than_a_lock_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    let many: String = (0..1000).map(|n| format!(" field{n} {n}")).collect();
    for fields in [
        "name Ada year 1815",
        "me 1 you 1",
        "me 1 you 1 mode fenced:7",
        "name Ada you 1 mode fenced:7",
        "mode fenced:7",
        "MODE fenced:7 me 1",
        "fencing_token 7 me 1",
        &format!("me 1 mode fenced:7{many}"),
        &many[1..],
    ] {
        refused(&mut client, &[&format!("HSET data {fields}"), TTL]);
    }
}

#[test]
fn a_read_write_lock_of_redisson_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    for fields in [
        "mode write me 1",
        "mode read me 1",
        "mode read you 1",
        "mode 1",
        "mode read me 1 you 1",
    ] {
        refused(&mut client, &[&format!("HSET data {fields}"), TTL]);
    }
}

#[test]
fn a_count_out_of_range_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    for count in [
        "0",
        "-1",
        "abc",
        "01",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        "2147483648",
        "4294967297",
        "18446744073709551617",
    ] {
        refused(&mut client, &[&format!("HSET data me {count}"), TTL]);
        let with_token = format!("HSET data me {count} mode fenced:7");
        refused(&mut client, &[&with_token, TTL]);
    }
    client.say(&[b"DEL", b"data"]);
    client.say(&[b"HSET", b"data", b"me", b""]);
    client.run(TTL);
    assert_eq!(client.run("LOCK.RELEASE data me"), REFUSAL);
    assert_eq!(client.run("LOCK.INFO data"), REFUSAL);
}

#[test]
fn a_token_out_of_range_is_refused_and_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    for token in [
        "0",
        "-1",
        "abc",
        "07",
        "7.0",
        "9007199254740991",
        "9223372036854775808",
        "18446744073709551617",
        "",
        "7:0",
        "7:abc",
        "7:9007199254740991",
        "7:",
        "7:5:3",
    ] {
        for owner in ["me", "you"] {
            let fields = format!("HSET data {owner} 1 mode fenced:{token}");
            refused(&mut client, &[&fields, TTL]);
        }
    }
    // None of them was taken for one that was issued.
    client.run("DEL data");
    assert!(client.grant("LOCK.ACQUIRE data me")[2] < 4_000_000_000_000_000);
}

#[test]
fn a_small_hash_that_could_be_anothers_lock_is_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    let long = "x".repeat(1025);
    for fields in [
        "name Ada",
        "you 0",
        "you 2147483648 mode fenced:7",
        "name Ada mode fenced:7",
        &format!("{long} 1"),
    ] {
        // Those who ask for themselves need not look at what the other field holds.
        unharmed(
            &mut client,
            &[&format!("HSET data {fields}"), TTL],
            |line, reply| match line.split(' ').next() {
                Some("LOCK.INFO" | "LOCK.FORCERELEASE") => reply == REFUSAL,
                _ if line.ends_with("me HOLDS 0") => reply == "-1" || reply == REFUSAL,
                _ => ["[0 0 0 ", "NOTOWNER ", "HOLDCOUNT ", "WRONGTYPE "]
                    .iter()
                    .any(|start| reply.starts_with(start)),
            },
        );
    }
}

#[test]
fn a_field_with_an_empty_name_is_no_owner() {
    let server = Server::start();
    let mut client = server.client();
    client.say(&[b"HSET", b"data", b"", b"1"]);
    client.run(TTL);
    let before = state(&mut client);
    assert_eq!(client.run("LOCK.INFO data"), REFUSAL);
    assert_eq!(client.run("LOCK.FORCERELEASE data"), REFUSAL);
    assert_eq!(client.grant("LOCK.ACQUIRE data me")[0], 0);
    assert_eq!(state(&mut client), before);
}

#[test]
fn fields_that_someone_adds_to_a_lock_or_takes_away_are_unharmed() {
    let server = Server::start();
    let mut client = server.client();
    for tampering in [
        "HSET data note urgent",
        "HSET data you 1",
        "HSET data mode write",
        "HDEL data me",
        "HSET data me 0",
        "HINCRBY data me -5",
        "HINCRBY data me 2147483647",
        "HSET data mode fenced:0",
    ] {
        refused(&mut client, &["LOCK.ACQUIRE data me", tampering]);
    }
}

#[test]
fn a_field_that_expires_by_itself_leaves_no_lock() {
    let server = Server::start();
    let mut client = server.client();
    if !client.has("HPEXPIRE") {
        return skip("the server has no expiry of fields");
    }
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    for field in ["me", "mode"] {
        client.run("DEL data");
        client.run("LOCK.ACQUIRE data me 600000");
        client.run(&format!("HPEXPIRE data 1 FIELDS 1 {field}"));
        eventually("the field expires", || {
            client.run(&format!("HGET data {field}")) == "nil"
        });
        for line in CALLS {
            let reply = client.run(line);
            let refused = reply == REFUSAL || reply.starts_with("NOTOWNER ");
            let told = ["[0 0 0 ", "HOLDCOUNT ", "-1"];
            let fits = refused || told.iter().any(|start| reply.starts_with(start));
            assert!(fits || field != "me", "{line}: {reply}");
        }
        assert_eq!(client.run("PING"), "PONG");
    }
}

#[test]
fn nothing_is_told_of_data_that_was_refused() {
    let server = Setup::new().config("notify-keyspace-events KEA").start();
    let mut client = server.client();
    client.run("SET data text");
    client.run("HSET hash name Ada year 1815");
    let mut listener = Listener::psubscribe(&server, "*");
    for line in CALLS {
        client.run(line);
        client.run(&line.replace("data", "hash"));
    }
    listener.assert_quiet();
    assert_eq!(client.run("GET data"), "text");
}

#[test]
fn a_look_whether_writes_are_taken_deletes_no_field_of_someones_hash() {
    let master = Server::start();
    let replica = master.replica(Setup::without_module());
    let mut client = master.client();
    client.grant("LOCK.ACQUIRE orders me 60000");
    let waiter = Waiter::start(&master, "LOCK.ACQUIRE orders you WAIT 0");
    client.run("MULTI");
    client.run("DEL orders");
    client.send(&[b"HSET", b"orders", b"", b"data"]);
    client.run("EXEC");
    master.wait_for_replica(&replica);
    for server in [&master, &replica] {
        assert_eq!(server.client().run("HGETALL orders"), "[ data]");
    }
    drop(waiter);
}
