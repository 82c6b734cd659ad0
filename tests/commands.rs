//! The commands: what they reply, what `HOLDS` and `TOKEN` make of a repeat, what is refused.
#![allow(clippy::unwrap_used)]

mod support;
use redis::Value;
use support::Server;

#[test]
fn a_free_lock_is_taken_and_its_release_frees_it() {
    let server = Server::start();
    let mut client = server.client();
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders me 5000");
    assert_eq!([acquired, holds, ttl], [1, 1, 5000]);
    assert!(token > 1_700_000_000_000_000, "{token}");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(client.int("EXISTS orders"), 0);
    assert_eq!(client.run("LOCK.INFO orders"), "nil");
}

#[test]
fn a_reentry_counts_up_with_the_same_token() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me");
    for count in 2..5 {
        let [acquired, holds, again, _] = client.grant("LOCK.ACQUIRE orders me");
        assert_eq!([acquired, holds, again], [1, count, token]);
    }
}

#[test]
fn another_owner_is_told_the_time_left() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 5000");
    let [acquired, holds, token, ttl] = client.grant("LOCK.ACQUIRE orders you 9000");
    assert_eq!([acquired, holds, token], [0, 0, 0]);
    assert!((1..=5000).contains(&ttl), "{ttl}");
}

#[test]
fn a_reentry_never_shortens_the_lease() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 50000");
    let [.., ttl] = client.grant("LOCK.ACQUIRE orders me 100");
    assert!(ttl > 40_000, "{ttl}");
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 90000")[3], 90_000);
}

#[test]
fn a_partial_release_keeps_the_lock_and_no_release_changes_the_ttl() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 50000");
    client.grant("LOCK.ACQUIRE orders me 50000");
    client.grant("LOCK.ACQUIRE orders me 50000");
    let before = deadline(&mut client);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "2");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 1"), "1");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 1"), "1");
    let after = deadline(&mut client);
    assert!((before - after).abs() <= 2, "{before} became {after}");
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 0);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
    assert_eq!(client.grant("LOCK.ACQUIRE orders you")[0], 1);
}

/// When the lock lapses, in ms by the server's clock, give or take one.
fn deadline(client: &mut support::Client) -> i64 {
    let script = "local t = redis.call('TIME') return redis.call('PTTL', KEYS[1]) + t[1] * 1000 + math.floor(t[2] / 1000)";
    let reply = client.send(&[b"EVAL", script.as_bytes(), b"1", b"orders"]);
    redis::from_redis_value(reply).unwrap()
}

#[test]
fn a_renewal_sets_the_time_left_exactly_longer_or_shorter() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 5000");
    assert_eq!(
        client.grant("LOCK.RENEW orders me 90000"),
        [1, 1, token, 90_000]
    );
    assert_eq!(client.grant("LOCK.RENEW orders me 700"), [1, 1, token, 700]);
    assert!(client.int("PTTL orders") <= 700);
    let renewed = client.grant(&format!("LOCK.RENEW orders me 800 TOKEN {token}"));
    assert_eq!(renewed, [1, 1, token, 800]);
}

#[test]
fn only_the_holder_renews_asserts_and_releases() {
    let server = Server::start();
    let mut client = server.client();
    for command in [
        "LOCK.RENEW orders me",
        "LOCK.ASSERT orders me",
        "LOCK.RELEASE orders me",
    ] {
        assert_eq!(client.run(command), "NOTOWNER the lock is free");
    }
    client.grant("LOCK.ACQUIRE orders you");
    for command in [
        "LOCK.RENEW orders me",
        "LOCK.ASSERT orders me",
        "LOCK.RELEASE orders me",
    ] {
        assert_eq!(
            client.run(command),
            "NOTOWNER the lock is held by another owner"
        );
    }
}

#[test]
fn holds_makes_a_repeated_acquire_count_once() {
    let server = Server::start();
    let mut client = server.client();
    let first = client.grant("LOCK.ACQUIRE orders me 5000 HOLDS 1");
    let repeat = client.grant("LOCK.ACQUIRE orders me 5000 HOLDS 1");
    assert_eq!(first[..3], repeat[..3]);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 5000 HOLDS 2")[1], 2);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 5000 HOLDS 2")[1], 2);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 9000 HOLDS 2")[3], 9000);
}

#[test]
fn holds_that_do_not_follow_tell_both_counts_and_change_nothing() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(
        client.run("LOCK.ACQUIRE orders me HOLDS 2"),
        "HOLDCOUNT the owner has 0 holds, but HOLDS 2 fits 1 or 2 only"
    );
    assert_eq!(client.int("EXISTS orders"), 0);
    client.grant("LOCK.ACQUIRE orders me HOLDS 1");
    client.grant("LOCK.ACQUIRE orders me HOLDS 2");
    client.grant("LOCK.ACQUIRE orders me HOLDS 3");
    for (line, text) in [
        (
            "LOCK.ACQUIRE orders me HOLDS 1",
            "3 holds, but HOLDS 1 fits 0 or 1 only",
        ),
        (
            "LOCK.ACQUIRE orders me HOLDS 5",
            "3 holds, but HOLDS 5 fits 4 or 5 only",
        ),
        (
            "LOCK.ACQUIRE orders you HOLDS 2",
            "0 holds, but HOLDS 2 fits 1 or 2 only",
        ),
        (
            "LOCK.RELEASE orders me HOLDS 0",
            "3 holds, but HOLDS 0 fits 1 or 0 only",
        ),
        (
            "LOCK.RELEASE orders me HOLDS 1",
            "3 holds, but HOLDS 1 fits 2 or 1 only",
        ),
        (
            "LOCK.RELEASE orders me HOLDS 4",
            "3 holds, but HOLDS 4 fits 5 or 4 only",
        ),
    ] {
        assert_eq!(
            client.run(line),
            format!("HOLDCOUNT the owner has {text}"),
            "{line}"
        );
    }
    assert!(client.run("HGETALL orders").contains("me 3"));
}

#[test]
fn holds_makes_a_repeated_release_count_once() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me");
    client.grant("LOCK.ACQUIRE orders me");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 1"), "1");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 1"), "1");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "0");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "0");
    assert_eq!(
        client.run("LOCK.RELEASE orders me HOLDS 1"),
        "NOTOWNER the lock is free"
    );
    client.grant("LOCK.ACQUIRE orders you");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "0");
    assert!(client.run("HGETALL orders").contains("you 1"));
}

#[test]
fn a_release_that_was_delayed_never_frees_a_later_hold() {
    let server = Server::start();
    let mut client = server.client();
    let [.., old, _] = client.grant("LOCK.ACQUIRE orders me");
    client.run("LOCK.RELEASE orders me");
    let [.., new, _] = client.grant("LOCK.ACQUIRE orders me");
    assert!(new > old);
    let other = "NOTOWNER the owner's present hold has another token";
    assert_eq!(
        client.run(&format!("LOCK.RELEASE orders me TOKEN {old}")),
        other
    );
    assert_eq!(
        client.run(&format!("LOCK.RELEASE orders me HOLDS 0 TOKEN {old}")),
        "0"
    );
    assert_eq!(
        client.run(&format!("LOCK.ASSERT orders me TOKEN {old}")),
        other
    );
    assert_eq!(
        client.run(&format!("LOCK.RENEW orders me TOKEN {old}")),
        other
    );
    assert_eq!(
        client.run(&format!("LOCK.ACQUIRE orders me TOKEN {old}")),
        other
    );
    assert_eq!(
        client.run(&format!("LOCK.ASSERT orders me TOKEN {new}")),
        "OK"
    );
    assert_eq!(
        client.run(&format!("LOCK.RELEASE orders me TOKEN {new}")),
        "0"
    );
}

#[test]
fn an_acquire_with_a_token_is_never_a_new_hold() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(
        client.run("LOCK.ACQUIRE orders me TOKEN 5"),
        "NOTOWNER the lock is free"
    );
    assert_eq!(
        client.run("LOCK.ACQUIRE orders me HOLDS 1 TOKEN 5"),
        "NOTOWNER the lock is free"
    );
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me");
    assert_eq!(
        client.grant(&format!("LOCK.ACQUIRE orders me TOKEN {token}"))[1],
        2
    );
    assert_eq!(
        client.grant(&format!("LOCK.ACQUIRE orders me HOLDS 2 TOKEN {token}"))[1],
        2
    );
    let stranger = client.run(&format!("LOCK.ACQUIRE orders you TOKEN {token}"));
    assert_eq!(stranger, "NOTOWNER the lock is held by another owner");
}

#[test]
fn info_tells_who_holds_the_lock() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 50000");
    client.grant("LOCK.ACQUIRE orders me 50000");
    let info = client.ask("LOCK.INFO orders");
    let Value::Array(fields) = info else {
        panic!("{info:?}")
    };
    let text = support::show(&Value::Array(fields[..7].to_vec()));
    assert_eq!(text, format!("[owner me holds 2 token {token} ttl]"));
    assert!(matches!(fields[7], Value::Int(ttl) if (1..=50_000).contains(&ttl)));
}

#[test]
fn info_is_a_map_in_resp3_where_the_server_has_maps_for_modules() {
    let server = Server::start();
    let mut client = server.client3();
    client.grant("LOCK.ACQUIRE orders me 50000");
    let reply = client.ask("LOCK.INFO orders");
    if support::version() < (7, 0) {
        assert!(matches!(reply, Value::Array(_)), "{reply:?}");
    } else {
        let Value::Map(pairs) = reply else {
            panic!("{reply:?}")
        };
        let names: Vec<String> = pairs.iter().map(|(name, _)| support::show(name)).collect();
        assert_eq!(
            names,
            ["owner", "holds", "token", "ttl", "session", "waiters", "queue"]
        );
    }
    assert_eq!(client.run("LOCK.INFO free"), "nil");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(client.run("LOCK.RELEASE orders me"), "0");
}

#[test]
fn a_forced_release_frees_the_lock_whoever_holds_it() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.run("LOCK.FORCERELEASE orders"), "0");
    client.grant("LOCK.ACQUIRE orders me");
    client.grant("LOCK.ACQUIRE orders me");
    assert_eq!(client.run("LOCK.FORCERELEASE orders"), "1");
    assert_eq!(client.run("LOCK.FORCERELEASE orders"), "0");
    assert_eq!(
        client.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is free"
    );
}

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
        for owner in [b"mode".as_slice(), b"fencing_token"] {
            let reply = client.say(&[command, b"orders", owner]);
            assert_eq!(
                reply,
                "ERR owner must not be \"fencing_token\" or \"mode\", which are reserved"
            );
        }
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
    let refused = "HOLDCOUNT the owner has 2147483647 holds, the most there can be";
    assert_eq!(client.run("LOCK.ACQUIRE orders me"), refused);
    assert_eq!(client.run("LOCK.RELEASE orders me"), "2147483646");
}
