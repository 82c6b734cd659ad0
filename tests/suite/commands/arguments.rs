//! What the arguments may be, and the line that says so.

use crate::support::Server;
use redis::Value;

#[test]
fn owners_and_keys_are_any_bytes() {
    let server = Server::start();
    let mut client = server.client();
    let long = vec![0xfe; 1024];
    for bytes in [
        b"\0".as_slice(),
        b"%s%n",
        b"a b",
        b"\xff\xfe\xc3",
        b"a\r\nb",
        b"\"'\\",
        &long,
    ] {
        let name =
            |command: &str| -> Vec<Vec<u8>> { vec![command.into(), bytes.into(), bytes.into()] };
        let mut say = |command: &str| {
            let words = name(command);
            client.say(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert!(say("LOCK.ACQUIRE").starts_with("[1 1 "));
        assert!(say("LOCK.ACQUIRE").starts_with("[1 2 "));
        assert_eq!(say("LOCK.ASSERT"), "OK");
        assert!(say("LOCK.RENEW").starts_with("[1 2 "));
        let Value::Array(info) = client.send(&[b"LOCK.INFO", bytes]) else {
            panic!("no info")
        };
        assert_eq!(info[1], Value::BulkString(bytes.to_vec()));
        let words: [&[u8]; 3] = [b"LOCK.RELEASE", bytes, bytes];
        assert_eq!(client.say(&words), "1");
        assert_eq!(client.say(&words), "0");
        assert_eq!(client.say(&words), "NOTOWNER the lock is free");
    }
    assert_eq!(client.int("DBSIZE"), 0);
}

#[test]
fn owners_that_are_too_long_empty_or_reserved_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    for command in [
        b"LOCK.ACQUIRE".as_slice(),
        b"LOCK.RELEASE",
        b"LOCK.RENEW",
        b"LOCK.ASSERT",
    ] {
        for owner in [b"".as_slice(), &[b'x'; 1025]] {
            let reply = client.say(&[command, b"orders", owner]);
            assert_eq!(reply, "ERR owner must be 1 to 1024 bytes long");
        }
        let reply = client.say(&[command, b"orders", b"mode"]);
        assert_eq!(reply, "ERR owner must not be \"mode\", which is reserved");
    }
    assert_eq!(client.int("DBSIZE"), 0);
}

#[test]
fn a_ttl_is_a_whole_number_of_ms_from_1_to_2_to_the_53_less_1() {
    let server = Server::start();
    let mut client = server.client();
    for ttl in [
        "0",
        "-1",
        "9007199254740992",
        "9223372036854775807",
        "99999999999999999999",
        "1.5",
    ] {
        for command in ["LOCK.ACQUIRE", "LOCK.RENEW"] {
            assert_eq!(
                client.run(&format!("{command} orders me {ttl}")),
                format!("ERR ttl must be a whole number from 1 to 9007199254740991, not \"{ttl}\"")
            );
        }
    }
    assert_eq!(client.int("DBSIZE"), 0);
    let longest = 9_007_199_254_740_991;
    assert_eq!(
        client.grant(&format!("LOCK.ACQUIRE orders me {longest}"))[3],
        longest
    );
    assert_eq!(
        client.grant(&format!("LOCK.RENEW orders me {longest}"))[3],
        longest
    );
    assert!(client.int("PTTL orders") > longest - 10_000);
}

#[test]
fn a_wrong_argument_is_named_in_one_line() {
    let server = Server::start();
    let mut client = server.client();
    for (line, reply) in [
        (
            "LOCK.ACQUIRE",
            "ERR wrong number of arguments for 'lock.acquire' command",
        ),
        (
            "LOCK.ACQUIRE k",
            "ERR wrong number of arguments for 'lock.acquire' command",
        ),
        (
            "LOCK.RELEASE k",
            "ERR wrong number of arguments for 'lock.release' command",
        ),
        (
            "LOCK.INFO",
            "ERR wrong number of arguments for 'lock.info' command",
        ),
        (
            "LOCK.INFO k x",
            "ERR wrong number of arguments for 'lock.info' command",
        ),
        (
            "LOCK.FORCERELEASE k x",
            "ERR wrong number of arguments for 'lock.forcerelease' command",
        ),
        (
            "LOCK.ACQUIRE k me soon",
            "ERR unknown option \"soon\", expected a ttl in ms or WAIT or SESSION or LINGER or HOLDS or TOKEN",
        ),
        (
            "LOCK.RELEASE k me 500",
            "ERR unknown option \"500\", expected HOLDS or TOKEN",
        ),
        (
            "LOCK.RENEW k me HOLDS 1",
            "ERR unknown option \"HOLDS\", expected a ttl in ms or TOKEN",
        ),
        (
            "LOCK.ASSERT k me 500",
            "ERR unknown option \"500\", expected TOKEN",
        ),
        (
            "LOCK.ACQUIRE k me HOLDS 0",
            "ERR HOLDS must be a whole number from 1 to 2147483647, not \"0\"",
        ),
        (
            "LOCK.RELEASE k me HOLDS -1",
            "ERR HOLDS must be a whole number from 0 to 2147483647, not \"-1\"",
        ),
        ("LOCK.ACQUIRE k me HOLDS", "ERR HOLDS needs a value"),
        ("LOCK.ACQUIRE k me WAIT", "ERR WAIT needs a value"),
        (
            "LOCK.ACQUIRE k me WAIT -1",
            "ERR WAIT must be a whole number from 0 to 9007199254740991, not \"-1\"",
        ),
        (
            "LOCK.RENEW k me WAIT 5",
            "ERR unknown option \"WAIT\", expected a ttl in ms or TOKEN",
        ),
        (
            "LOCK.RELEASE k me TOKEN 1 TOKEN 1",
            "ERR TOKEN may be given only once",
        ),
    ] {
        assert_eq!(client.run(line), reply, "{line}");
    }
}

#[test]
fn the_count_ends_at_2_to_the_31_less_1() {
    let server = Server::start();
    let mut client = server.client();
    client.run("HSET orders me 2147483646");
    client.run("PEXPIRE orders 50000");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me")[1], 2_147_483_647);
    let refused = "HOLDCOUNT the owner has 2147483647 holds, the maximum";
    assert_eq!(client.run("LOCK.ACQUIRE orders me"), refused);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "2147483646");
}
