//! Who is told that a lock is free: Redisson's channel, or the one that is configured.

use crate::support::{
    cluster, cluster_replica, eventually, Client, Listener, Server, Setup, Waiter,
};

const CHANNEL: &str = "redisson_lock__channel:{orders}";

/// What a listener is told of one free lock.
fn free(channel: &str) -> (String, String) {
    (channel.to_owned(), "0".to_owned())
}

fn take_and_release(client: &mut Client, lock: &str) {
    client.grant(&format!("LOCK.ACQUIRE {lock} me 60000"));
    assert_eq!(client.int(&format!("LOCK.RELEASE {lock} me")), 0);
}

#[test]
fn a_full_release_is_told_once_on_redissons_channel() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    take_and_release(&mut client, "orders");
    assert_eq!(listener.next(), free(CHANNEL));
    listener.assert_quiet();
}

#[test]
fn a_force_release_is_told_once() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    client.grant("LOCK.ACQUIRE orders me 60000");
    client.grant("LOCK.ACQUIRE orders me 60000");
    assert_eq!(client.int("LOCK.FORCERELEASE orders"), 1);
    assert_eq!(listener.next(), free(CHANNEL));
    assert_eq!(client.int("LOCK.FORCERELEASE orders"), 0);
    listener.assert_quiet();
}

#[test]
fn nothing_is_told_while_the_lock_stays_as_free_or_held_as_it_was() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    for line in [
        "LOCK.RELEASE orders me HOLDS 0",
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders me 60000",
        "LOCK.ACQUIRE orders you 60000",
        "LOCK.RENEW orders me 90000",
        "LOCK.RELEASE orders me",
        "LOCK.RELEASE orders me HOLDS 1",
        "LOCK.RELEASE orders you",
        "LOCK.RELEASE orders you HOLDS 0",
        "LOCK.RELEASE orders me TOKEN 7",
        "LOCK.FORCERELEASE other",
    ] {
        client.run(line);
    }
    listener.assert_quiet();
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    assert_eq!(listener.next(), free(CHANNEL));
}

#[test]
fn a_lease_that_is_shortened_is_told_to_those_who_sleep_until_its_end() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    client.grant("LOCK.ACQUIRE orders me 600000");
    client.grant("LOCK.RENEW orders me 60000");
    assert_eq!(listener.next(), free(CHANNEL));
    // Waiters of our own are no reason to leave those of Redisson asleep.
    let _waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you WAIT 0");
    client.grant("LOCK.RENEW orders me 50000");
    assert_eq!(listener.next(), free(CHANNEL));
    client.grant("LOCK.RENEW orders me 90000");
    client.grant("LOCK.ACQUIRE orders me 100");
    client.run("LOCK.RENEW orders you 100");
    listener.assert_quiet();
}

#[test]
fn a_session_that_begins_to_linger_is_told_where_that_shortens_the_lease() {
    let server = Server::start();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    let mut other = server.client();
    for (linger, told) in [(60_000, true), (900_000, false)] {
        let mut client = server.client();
        let ended = other.counter("sessions_ended");
        client.grant(&format!(
            "LOCK.ACQUIRE orders me 600000 SESSION LINGER {linger}"
        ));
        drop(client);
        eventually("the session has ended", || {
            other.counter("sessions_ended") > ended
        });
        assert_eq!(other.run("LOCK.ASSERT orders me"), "OK");
        if told {
            assert_eq!(listener.next(), free(CHANNEL));
        }
        listener.assert_quiet();
        assert_eq!(other.int("LOCK.FORCERELEASE orders"), 1);
        assert_eq!(listener.next(), free(CHANNEL));
    }
}

#[test]
fn a_name_that_has_a_brace_is_not_wrapped_again() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "redisson_lock__channel:*");
    for (lock, name) in [
        ("{shop}:orders", "{shop}:orders"),
        ("odd{", "odd{"),
        ("odd}", "{odd}}"),
    ] {
        take_and_release(&mut client, lock);
        assert_eq!(
            listener.next(),
            free(&format!("redisson_lock__channel:{name}"))
        );
    }
    listener.assert_quiet();
}

#[test]
fn a_long_name_is_told_whole() {
    let server = Server::start();
    let lock = "x".repeat(5000);
    let channel = format!("redisson_lock__channel:{{{lock}}}");
    let mut listener = Listener::subscribe(&server, &channel);
    take_and_release(&mut server.client(), &lock);
    assert_eq!(listener.next(), free(&channel));
}

#[test]
fn releases_in_a_transaction_and_in_a_script_are_told() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::subscribe(&server, CHANNEL);
    for line in [
        "MULTI",
        "LOCK.ACQUIRE orders me",
        "LOCK.RELEASE orders me",
        "EXEC",
    ] {
        client.run(line);
    }
    assert_eq!(listener.next(), free(CHANNEL));
    let script = b"redis.call('LOCK.ACQUIRE', KEYS[1], 'me')
        return redis.call('LOCK.RELEASE', KEYS[1], 'me')";
    assert_eq!(client.say(&[b"EVAL", script, b"1", b"orders"]), "0");
    assert_eq!(listener.next(), free(CHANNEL));
    listener.assert_quiet();
}

/// Checks that a listener at a replica hears of one release, and only once: the next message is
/// one that was published after it, over the same way.
fn check_replica(client: &mut Client, listener: &mut Listener, publish: &str) {
    client.grant("LOCK.ACQUIRE orders me 60000");
    client.grant("LOCK.ACQUIRE orders me 60000");
    client.int("LOCK.RELEASE orders me");
    client.int("LOCK.RELEASE orders me");
    client.run(&format!("{publish} {CHANNEL} afterwards"));
    assert_eq!(listener.next(), free(CHANNEL));
    assert_eq!(
        listener.next(),
        (CHANNEL.to_owned(), "afterwards".to_owned())
    );
}

#[test]
fn a_subscriber_of_a_replica_is_told_once() {
    let master = Server::start();
    for setup in [Setup::without_module(), Setup::new()] {
        let replica = master.replica(setup);
        let mut listener = Listener::subscribe(&replica, CHANNEL);
        check_replica(&mut master.client(), &mut listener, "PUBLISH");
    }
}

#[test]
fn a_subscriber_of_a_replica_is_told_by_shard_once() {
    let master = Setup::new().module_args("notify spublish").start();
    let replica = master.replica(Setup::without_module());
    let mut listener = Listener::ssubscribe(&replica, CHANNEL);
    check_replica(&mut master.client(), &mut listener, "SPUBLISH");
}

#[test]
fn a_subscriber_of_a_replica_in_a_cluster_is_told_once() {
    for args in ["", "notify publish"] {
        let setup = || Setup::new().module_args(args);
        let master = cluster(setup());
        let replica = cluster_replica(&master, setup());
        let mut client = master.client();
        if args.is_empty() {
            let mut listener = Listener::ssubscribe(&replica, CHANNEL);
            check_replica(&mut client, &mut listener, "SPUBLISH");
        } else {
            let mut listener = Listener::subscribe(&replica, CHANNEL);
            check_replica(&mut client, &mut listener, "PUBLISH");
        }
    }
}

#[test]
fn notify_off_tells_nobody() {
    let server = Setup::new().module_args("notify off").start();
    let mut listener = Listener::psubscribe(&server, "*");
    take_and_release(&mut server.client(), "orders");
    listener.assert_quiet();
}

#[test]
fn notify_publish_is_what_auto_does_outside_a_cluster() {
    for args in ["notify publish", "notify auto", ""] {
        let server = Setup::new().module_args(args).start();
        let mut listener = Listener::subscribe(&server, CHANNEL);
        take_and_release(&mut server.client(), "orders");
        assert_eq!(listener.next(), free(CHANNEL));
        listener.assert_quiet();
    }
}

#[test]
fn notify_spublish_tells_those_who_listen_to_the_shard() {
    let server = Setup::new().module_args("notify spublish").start();
    let mut shard = Listener::ssubscribe(&server, CHANNEL);
    let mut others = Listener::psubscribe(&server, "*");
    take_and_release(&mut server.client(), "orders");
    assert_eq!(shard.next(), free(CHANNEL));
    shard.assert_quiet();
    others.assert_quiet();
}

#[test]
fn in_a_cluster_auto_tells_the_shard() {
    let server = cluster(Setup::new());
    let mut client = server.client();
    let mut all = Listener::subscribe(&server, CHANNEL);
    let mut shard = Listener::ssubscribe(&server, CHANNEL);
    take_and_release(&mut client, "orders");
    assert_eq!(shard.next(), free(CHANNEL));
    shard.assert_quiet();
    all.assert_quiet();
}

#[test]
fn in_a_cluster_notify_publish_tells_everyone() {
    let server = cluster(Setup::new().module_args("notify publish"));
    let mut listener = Listener::subscribe(&server, CHANNEL);
    take_and_release(&mut server.client(), "orders");
    assert_eq!(listener.next(), free(CHANNEL));
    listener.assert_quiet();
}

#[test]
fn the_prefix_of_the_channel_is_configurable() {
    let server = Setup::new().module_args("channel-prefix my:locks").start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    for (lock, channel) in [
        ("orders", "my:locks:{orders}"),
        ("{shop}:orders", "my:locks:{shop}:orders"),
    ] {
        take_and_release(&mut client, lock);
        assert_eq!(listener.next(), free(channel));
    }
    listener.assert_quiet();
}

#[test]
fn the_way_and_the_channel_can_be_changed_while_the_server_runs() {
    let server = Server::start();
    let mut client = server.client();
    let mut listener = Listener::psubscribe(&server, "*");
    let set = |client: &mut Client, line: &str| {
        assert_eq!(client.run(&format!("CONFIG SET lock.{line}")), "OK");
        take_and_release(client, "orders");
    };
    set(&mut client, "notify off");
    listener.assert_quiet();
    set(&mut client, "notify publish");
    assert_eq!(listener.next(), free(CHANNEL));
    set(&mut client, "channel-prefix mine");
    assert_eq!(listener.next(), free("mine:{orders}"));
    let mut shard = Listener::ssubscribe(&server, "mine:{orders}");
    set(&mut client, "notify spublish");
    assert_eq!(shard.next(), free("mine:{orders}"));
    listener.assert_quiet();
}
