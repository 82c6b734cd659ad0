//! The commands: what they reply, what `HOLDS` and `TOKEN` make of a repeat, what is refused.

mod arguments;
use crate::support::{eventually, show, Client, Server};
use redis::Value;

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
    // A millisecond that has begun counts as a whole one, at both ends.
    assert!((1..=5001).contains(&ttl), "{ttl}");
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
fn deadline(client: &mut Client) -> i64 {
    let script = "local t = redis.call('TIME') return redis.call('PTTL', KEYS[1]) + t[1] * 1000 + math.floor(t[2] / 1000)";
    let reply = client.send(&[b"EVAL", script.as_bytes(), b"1", b"orders"]);
    redis::from_redis_value(reply).unwrap()
}

#[test]
fn a_renewal_sets_the_time_left_exactly_longer_or_shorter() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 50000");
    assert_eq!(
        client.grant("LOCK.RENEW orders me 90000"),
        [1, 1, token, 90_000]
    );
    let shorter = client.grant("LOCK.RENEW orders me 70000");
    assert_eq!(shorter, [1, 1, token, 70_000]);
    assert!(client.int("PTTL orders") <= 70_001);
    let renewed = client.grant(&format!("LOCK.RENEW orders me 80000 TOKEN {token}"));
    assert_eq!(renewed, [1, 1, token, 80_000]);
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
    let first = client.grant("LOCK.ACQUIRE orders me 50000 HOLDS 1");
    let repeat = client.grant("LOCK.ACQUIRE orders me 50000 HOLDS 1");
    assert_eq!(first[..3], repeat[..3]);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 50000 HOLDS 2")[1], 2);
    assert_eq!(client.grant("LOCK.ACQUIRE orders me 50000 HOLDS 2")[1], 2);
    assert_eq!(
        client.grant("LOCK.ACQUIRE orders me 90000 HOLDS 2")[3],
        90_000
    );
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
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "-1");
    assert_eq!(
        client.run("LOCK.RELEASE orders me HOLDS 1"),
        "NOTOWNER the lock is free"
    );
    client.grant("LOCK.ACQUIRE orders you");
    assert_eq!(client.run("LOCK.RELEASE orders me HOLDS 0"), "-1");
    assert!(client.run("HGETALL orders").contains("you 1"));
}

#[test]
fn a_release_of_a_hold_that_lapsed_does_not_look_like_one_that_freed_it() {
    let server = Server::start();
    let mut client = server.client();
    let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 50");
    eventually("the lease ends", || client.int("PTTL orders") < 0);
    for token in ["", &format!(" TOKEN {token}")] {
        let release = format!("LOCK.RELEASE orders me HOLDS 0{token}");
        assert_eq!(client.int(&release), -1);
    }
    client.grant("LOCK.ACQUIRE orders you");
    assert_eq!(client.int("LOCK.RELEASE orders me HOLDS 0"), -1);
    assert_eq!(client.int("LOCK.RELEASE orders you HOLDS 0"), 0);
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
        "-1"
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
    let text = show(&Value::Array(fields[..7].to_vec()));
    assert_eq!(text, format!("[owner me holds 2 token {token} ttl]"));
    assert!(matches!(fields[7], Value::Int(ttl) if (1..=50_000).contains(&ttl)));
}

#[test]
fn info_is_a_map_in_resp3() {
    let server = Server::start();
    let mut client = server.client3();
    client.grant("LOCK.ACQUIRE orders me 50000");
    let reply = client.ask("LOCK.INFO orders");
    let Value::Map(pairs) = reply else {
        panic!("{reply:?}")
    };
    let names: Vec<String> = pairs.iter().map(|(name, _)| show(name)).collect();
    assert_eq!(
        names,
        ["owner", "holds", "token", "ttl", "session", "waiters", "queue"]
    );
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
