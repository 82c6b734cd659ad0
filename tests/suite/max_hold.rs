//! `lock.max-hold`: how long a hold may last, whatever renews it.

use crate::support::{eventually, Client, Listener, Setup, Waiter};

fn setup(max_hold: i64) -> Setup {
    Setup::new().module_args(&format!("max-hold {max_hold}"))
}

/// When a hold of `orders` has to end that lasts for so long: its start is beside its token, or the
/// token is the time of it.
fn end_of_hold(client: &mut Client, max_hold: i64) -> i64 {
    let stored = client.stored("orders");
    let fence = stored.fields["mode"].strip_prefix("fenced:").unwrap();
    let (_, start) = fence.split_once(':').unwrap_or(("", fence));
    let start: i64 = start.parse().unwrap();
    (start + 999) / 1000 + max_hold
}

/// Makes the next tokens run ahead of the clock, as someone may who writes to one lock's key.
fn plant_a_token_of_an_hour_ahead(client: &mut Client) {
    let token = (client.clock() + 3_600_000) * 1000;
    client.run(&format!("HSET planted other 1 mode fenced:{token}"));
    client.run("PEXPIRE planted 600000");
    assert_eq!(client.holder("planted"), format!("other 1 {token}"));
}

#[test]
fn a_renewal_in_a_loop_ends_with_the_hold() {
    let server = setup(4000).start();
    let mut client = server.client();
    let [_, _, token, ttl] = client.grant("LOCK.ACQUIRE orders me 3000");
    assert_eq!(ttl, 3000);
    let end = end_of_hold(&mut client, 4000);
    let (mut last, mut replies) = (0, 0);
    eventually("the hold ends", || {
        last = client.deadline("orders").unwrap_or(last);
        let reply = client.run("LOCK.RENEW orders me 3000");
        let held = reply.starts_with(&format!("[1 1 {token} "));
        replies += i32::from(held);
        assert!(held || reply == "NOTOWNER the lock is free", "{reply}");
        !held
    });
    assert!(replies > 0);
    assert_eq!(last, end);
    assert!(client.clock() >= end);
    assert_eq!(client.grant("LOCK.ACQUIRE orders you 600")[0], 1);
}

#[test]
fn replies_tell_the_time_that_is_really_left() {
    let server = setup(60_000).start();
    let mut client = server.client();
    let [.., ttl] = client.grant("LOCK.ACQUIRE orders me 90000");
    assert_eq!(ttl, 60_000);
    let end = end_of_hold(&mut client, 60_000);
    assert_eq!(client.deadline("orders"), Some(end));
    for line in [
        "LOCK.RENEW orders me 90000",
        "LOCK.ACQUIRE orders me 90000",
        "LOCK.ACQUIRE orders me 90000 HOLDS 2",
        "LOCK.ACQUIRE orders me 90000 SESSION",
    ] {
        let before = client.clock();
        let [.., ttl] = client.grant(line);
        assert!(ttl <= end - before, "{line}: {ttl}");
        assert!(ttl >= end - client.clock() - 1, "{line}: {ttl}");
        assert_eq!(client.deadline("orders"), Some(end), "{line}");
    }
    assert_eq!(client.grant("LOCK.RENEW orders me 20000")[3], 20_000);
    client.grant("LOCK.RENEW orders me 90000");
    assert_eq!(client.deadline("orders"), Some(end));
}

#[test]
fn a_shorter_bound_takes_nothing_away_that_a_hold_has() {
    let server = setup(0).start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 600000");
    client.grant("LOCK.ACQUIRE orders me 600000");
    let stands = client.deadline("orders");
    client.run("CONFIG SET lock.max-hold 1000");
    for line in [
        "LOCK.ACQUIRE orders me 900000",
        "LOCK.ACQUIRE orders me 1000",
        "LOCK.ACQUIRE orders me 1000 SESSION",
        "LOCK.RELEASE orders me",
        "LOCK.RENEW orders me 900000",
    ] {
        client.run(line);
        assert_eq!(client.deadline("orders"), stands, "{line}");
    }
    // But who asks for less gets less, and no more after that.
    assert_eq!(client.grant("LOCK.RENEW orders me 300000")[3], 300_000);
    let stands = client.deadline("orders");
    client.grant("LOCK.RENEW orders me 600000");
    assert_eq!(client.deadline("orders"), stands);
    // A longer one counts at once.
    client.run("CONFIG SET lock.max-hold 600000");
    client.grant("LOCK.RENEW orders me 900000");
    let end = end_of_hold(&mut client, 600_000);
    assert_eq!(client.deadline("orders"), Some(end));
}

#[test]
fn planted_tokens_of_other_locks_do_not_move_the_end_of_a_hold() {
    let server = setup(60_000).start();
    let mut client = server.client();
    plant_a_token_of_an_hour_ahead(&mut client);
    let before = client.clock();
    client.grant("LOCK.ACQUIRE orders me 90000");
    let deadline = client.deadline("orders").unwrap();
    assert!((before + 60_000..=client.clock() + 60_001).contains(&deadline));
    assert_eq!(deadline, end_of_hold(&mut client, 60_000));
    client.grant("LOCK.RENEW orders me 90000");
    assert_eq!(client.deadline("orders"), Some(deadline));
}

#[test]
fn a_hold_keeps_its_start_over_a_restart_and_a_promotion() {
    for planted in [false, true] {
        let mut master = setup(60_000).config("appendonly yes").start();
        let mut client = master.client();
        if planted {
            plant_a_token_of_an_hour_ahead(&mut client);
        }
        let [.., token, _] = client.grant("LOCK.ACQUIRE orders me 50000");
        let end = end_of_hold(&mut client, 60_000);
        master.restart();
        let replica = master.replica(setup(60_000));
        let (mut there, mut here) = (master.client(), replica.client());
        assert_eq!(there.grant("LOCK.RENEW orders me 90000")[2], token);
        assert_eq!(there.deadline("orders"), Some(end), "restarted");
        there.grant("LOCK.RENEW orders me 30000");
        master.wait_for_replica(&replica);
        here.run("REPLICAOF NO ONE");
        assert_eq!(here.grant("LOCK.RENEW orders me 90000")[2], token);
        assert_eq!(here.deadline("orders"), Some(end), "promoted");
    }
}

#[test]
fn a_hold_that_redisson_made_begins_when_it_is_given_a_token() {
    let server = setup(60_000).start();
    let mut client = server.client();
    for call in ["RENEW", "ACQUIRE"] {
        client.run("DEL orders");
        client.run("HSET orders me 1");
        client.run("PEXPIRE orders 600000");
        let stands = client.deadline("orders");
        // It is not bound before, and not shortened then.
        client.grant(&format!("LOCK.{call} orders me 900000"));
        assert_eq!(client.deadline("orders"), stands, "{call}");
        client.grant("LOCK.RENEW orders me 20000");
        client.grant("LOCK.RENEW orders me 900000");
        let end = end_of_hold(&mut client, 60_000);
        assert_eq!(client.deadline("orders"), Some(end), "{call}");
    }
}

#[test]
fn one_who_waits_for_a_hold_that_is_renewed_for_ever_gets_the_lock_at_its_end() {
    let server = setup(4000).start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 3000");
    let end = end_of_hold(&mut client, 4000);
    let mut next = Waiter::start(&server, "LOCK.ACQUIRE orders next 60000 WAIT 0");
    eventually("the hold ends", || {
        client
            .run("LOCK.RENEW orders me 3000")
            .starts_with("NOTOWNER ")
    });
    let [acquired, _, token, ttl] = next.grant();
    assert_eq!(acquired, 1);
    // The token is the time of the grant, and the bound counts for the next one too.
    assert!(token >= end * 1000, "{token} before {end}");
    assert_eq!(ttl, 4000);
}

#[test]
fn an_unlock_is_not_published_where_a_renewal_at_the_bound_changes_nothing() {
    let server = setup(60_000).start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 90000");
    let mut listener = Listener::psubscribe(&server, "*");
    let mut events = server.client();
    events.run("CONFIG SET notify-keyspace-events KEA");
    client.grant("LOCK.RENEW orders me 90000");
    client.grant("LOCK.RENEW orders me 600000");
    listener.assert_quiet();
}
