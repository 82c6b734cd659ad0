//! Nothing is renewed, freed or written again where it must not be.

use super::{close_noticed, eventually, holder, is_closed, told, wait};
use crate::support::{lasting, Server, Setup, Waiter};
use std::time::Duration;

/// The shortest ttl of a session, and a time in which it runs out for sure.
const TTL: u32 = 1000;
const LONGER: Duration = Duration::from_millis(1500);

/// Lets the time pass in which a lease runs out that nobody renews.
fn let_it_run_out() {
    std::thread::sleep(LONGER);
}

#[test]
fn a_server_that_stood_still_for_longer_than_the_ttl_keeps_the_lock_its_owners() {
    let server = Server::start();
    let mut client = holder(&server, TTL);
    client.grant("LOCK.ACQUIRE orders me 1000 SESSION");
    let token = told(&mut client, "token");
    let mut line = wait(&server, "waiting");
    let mut rival = server.client();
    server.signal(libc::SIGSTOP);
    // Sent already when the server goes on.
    let cmd = redis::cmd("LOCK.ACQUIRE")
        .arg("orders")
        .arg("rival")
        .clone();
    rival
        .raw
        .send_packed_command(&cmd.get_packed_command())
        .unwrap();
    let_it_run_out();
    server.signal(libc::SIGCONT);
    let reply: Vec<i64> = redis::from_redis_value(rival.raw.recv_response().unwrap()).unwrap();
    assert_eq!(reply[0], 0, "the rival has it: {reply:?}");
    assert!(!line.has_reply());
    assert_eq!(told(&mut client, "token"), token);
    assert_eq!(told(&mut client, "holds"), "2");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    drop(client);
    assert_eq!(line.grant()[..2], [1, 1]);
}

#[test]
fn a_pause_for_longer_than_the_ttl_keeps_the_lock_its_owners() {
    for mode in ["WRITE", "ALL"] {
        let server = Server::start();
        let mut client = holder(&server, TTL);
        let token = told(&mut client, "token");
        let mut line = wait(&server, "waiting");
        let mut other = server.client();
        let mut rival = Waiter::start(&server, "PING");
        assert_eq!(rival.reply(), "PONG");
        other.run(&format!("CLIENT PAUSE 1500 {mode}"));
        // Sent in the pause, and run at its end.
        rival.send("LOCK.ACQUIRE orders rival");
        assert_eq!(rival.grant()[0], 0, "{mode}: the rival has it");
        assert_eq!(told(&mut client, "token"), token, "{mode}");
        assert_eq!(client.run("LOCK.ASSERT orders me"), "OK", "{mode}");
        assert!(!line.has_reply(), "{mode}");
        drop(client);
        assert_eq!(line.grant()[..2], [1, 1]);
    }
}

#[test]
fn a_pause_does_not_let_the_end_of_a_connection_be_forgotten() {
    let server = Server::start();
    let client = holder(&server, 60_000);
    let mut other = server.client();
    other.run("CLIENT PAUSE 500 WRITE");
    drop(client);
    eventually("it is freed after the pause", || {
        other.int("EXISTS orders") == 0
    });
    assert_eq!(other.counter("sessions_ended"), 1);
}

#[test]
fn a_lapsed_lease_whose_connection_has_closed_meanwhile_is_the_next_ones() {
    let server = Server::start();
    let client = holder(&server, TTL);
    let mut rival = wait(&server, "rival");
    server.signal(libc::SIGSTOP);
    drop(client);
    let_it_run_out();
    server.signal(libc::SIGCONT);
    assert_eq!(rival.grant()[..2], [1, 1]);
}

#[test]
fn a_client_that_goes_away_during_a_long_script_changes_nothing_inside_it() {
    let server = Setup::new().config("lua-time-limit 10").start();
    let client = holder(&server, 60_000);
    let mut line = wait(&server, "next");
    let mut other = server.client();
    // It goes on until the server has handled the end of the connection, which it does now and then
    // while a script runs for long.
    let script = b"
        local function clients()
            return tonumber(redis.call('INFO', 'clients'):match('connected_clients:(%d+)'))
        end
        local before, all = redis.call('HGET', KEYS[1], 'me'), clients()
        local rounds = 0
        repeat rounds = rounds + 1 until clients() < all or rounds == 10000000
        return {before, redis.call('HGET', KEYS[1], 'me'), tostring(clients() < all)}";
    let killer = {
        let mut probe = server.client();
        std::thread::spawn(move || {
            eventually("the script is slow", || {
                probe.run("PING").starts_with("BUSY")
            });
            drop(client);
            probe
        })
    };
    let reply = other.say(&[b"EVAL", script, b"1", b"orders"]);
    killer.join().unwrap();
    assert_eq!(reply, "[1 1 true]");
    assert_eq!(line.grant()[..2], [1, 1]);
}

#[test]
fn a_master_that_is_short_of_replicas_renews_nothing_and_closes_the_connection_when_the_lease_ends()
{
    let server = Server::start();
    let mut client = holder(&server, TTL);
    let mut probe = server.client();
    probe.run("CONFIG SET min-replicas-to-write 1");
    let before = probe.counter("sessions_renewed");
    eventually("the lease has run out", || probe.int("PTTL orders") < 0);
    assert_eq!(probe.counter("sessions_renewed"), before);
    // It may have been replaced, and the holder has only its connection to go by.
    eventually("it is lost", || probe.counter("sessions_lost") == 1);
    assert!(is_closed(&mut client));
    probe.run("CONFIG SET min-replicas-to-write 0");
    assert_eq!(
        probe.run("LOCK.ASSERT orders me"),
        "NOTOWNER the lock is free"
    );
    assert_eq!(probe.grant("LOCK.ACQUIRE orders you 60000")[0], 1);
}

#[test]
fn a_short_of_replicas_master_frees_nothing_and_does_so_when_it_may_again() {
    let server = Server::start();
    let client = holder(&server, 60_000);
    let mut line = wait(&server, "next");
    let mut probe = server.client();
    probe.run("CONFIG SET min-replicas-to-write 1");
    close_noticed(client, &mut probe);
    assert!(!line.has_reply());
    assert_eq!(probe.run("LOCK.ASSERT orders me"), "OK");
    probe.run("CONFIG SET min-replicas-to-write 0");
    assert_eq!(line.grant()[..2], [1, 1]);
}

#[test]
fn a_replica_renews_and_frees_nothing_and_a_promotion_leaves_the_lease_as_it_is() {
    let master = Server::start();
    let replica = master.replica(Setup::new());
    let _client = holder(&master, 60_000);
    master.wait_for_replica(&replica);
    let mut there = replica.client();
    assert_eq!(told(&mut there, "session"), "0");
    assert_eq!(there.counter("sessions"), 0);
    let refused = there.run("LOCK.ACQUIRE other me 60000 SESSION");
    assert!(refused.starts_with("READONLY "), "{refused}");
    there.run("CONFIG SET replica-read-only no");
    let refused = there.run("LOCK.ACQUIRE other me 60000 SESSION");
    assert!(refused.starts_with("READONLY "), "{refused}");
    there.run("REPLICAOF NO ONE");
    assert_eq!(there.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(there.counter("sessions"), 0);
    assert_eq!(there.counter("sessions_renewed"), 0);
}

#[test]
fn reset_does_not_end_a_session_and_a_kill_does() {
    let server = Server::start();
    let mut client = holder(&server, TTL);
    let mut probe = server.client();
    let id = client.int("CLIENT ID");
    assert_eq!(client.run("RESET"), "RESET");
    let before = probe.counter("sessions_renewed");
    eventually("it is renewed still", || {
        probe.counter("sessions_renewed") > before + 3
    });
    assert_eq!(probe.run("LOCK.ASSERT orders me"), "OK");
    probe.run(&format!("CLIENT KILL ID {id}"));
    eventually("it is free", || probe.int("EXISTS orders") == 0);
}

#[test]
fn after_the_crash_of_the_server_the_lease_lapses_at_its_ttl() {
    let setup = Setup::new()
        .config("appendonly yes")
        .config("appendfsync always");
    let mut server = setup.clone().start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 5000 SESSION");
    server.kill();
    let server = setup.data_of(&server).start();
    let mut client = server.client();
    let left = client.int("PTTL orders");
    assert!((1..=5001).contains(&left), "{left}");
    assert_eq!(told(&mut client, "session"), "0");
    let mut next = wait(&server, "next");
    assert_eq!(next.grant()[..2], [1, 1]);
    assert_eq!(client.counter("sessions_lost"), 0);
}

#[test]
fn a_reload_of_the_data_keeps_the_session() {
    let server = Server::start();
    let mut client = holder(&server, TTL);
    let mut probe = server.client();
    assert_eq!(probe.run("DEBUG RELOAD"), "OK");
    let before = probe.counter("sessions_renewed");
    eventually("it is renewed still", || {
        probe.counter("sessions_renewed") > before + 3
    });
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(probe.counter("sessions_lost"), 0);
}

#[test]
fn master_replica_and_aof_hold_the_same_after_sessions_of_every_fate() {
    const LOCKS: usize = 60;
    let setup = Setup::new()
        .config("appendonly yes")
        .config("appendfsync always");
    let mut server = setup.clone().start();
    let replica = server.replica(Setup::without_module());
    let mut probe = server.client();
    let (mut open, mut waiters) = (Vec::new(), Vec::new());
    for n in 0..LOCKS {
        let mut client = server.client();
        let linger = ["", " LINGER 6000000"][n % 2];
        client.grant(&format!("LOCK.ACQUIRE lock-{n} me 6000000 SESSION{linger}"));
        let line = format!("LOCK.ACQUIRE lock-{n} you 6000000 WAIT 0");
        waiters.push(Waiter::start(&server, &line));
        match n % 5 {
            0 => drop(client),
            1 => drop(client.run(&format!("LOCK.RELEASE lock-{n} me"))),
            2 => drop(probe.run(&format!("DEL lock-{n}"))),
            3 => drop(probe.run(&format!("LOCK.FORCERELEASE lock-{n}"))),
            _ => open.push(client),
        }
    }
    eventually("every end was acted on", || {
        probe.counter("sessions") == open.len() as u64
    });
    // Those that linger and those whose connection is open are held by their owners still.
    let handed_over = LOCKS as u64 - open.len() as u64 - LOCKS as u64 / 10;
    assert_eq!(probe.counter("handed_over"), handed_over);
    server.wait_for_replica(&replica);
    let here = lasting(&mut probe);
    assert_eq!(here.len(), LOCKS);
    assert_eq!(lasting(&mut replica.client()), here);
    server.kill();
    let server = setup.data_of(&server).start();
    assert_eq!(lasting(&mut server.client()), here);
}

#[test]
fn the_module_is_not_unloaded_from_under_a_session() {
    let server = Setup::new().config("enable-module-command yes").start();
    let mut client = holder(&server, TTL);
    let unloaded = client.run("MODULE UNLOAD lock");
    // The session's renewal is a timer of the module's.
    assert!(unloaded.contains("the module holds timer"), "{unloaded}");
    assert_eq!(client.run("LOCK.ASSERT orders me"), "OK");
    assert_eq!(client.int("LOCK.RELEASE orders me"), 0);
    eventually("it is unloaded without one", || {
        client.run("MODULE UNLOAD lock") == "OK"
    });
}

#[test]
fn a_lease_that_is_written_again_has_every_hold_that_its_owners_waits_made() {
    let server = Server::start();
    let mut other = server.client();
    other.grant("LOCK.ACQUIRE orders you 60000");
    let line = "LOCK.ACQUIRE orders me 1000 WAIT 0 SESSION";
    let mut waits = [(); 2].map(|()| Waiter::start(&server, line));
    other.run("LOCK.RELEASE orders you");
    let counts = [0, 1].map(|n: usize| waits[n].grant()[1]);
    assert_eq!(counts, [1, 2]);
    server.signal(libc::SIGSTOP);
    let_it_run_out();
    server.signal(libc::SIGCONT);
    eventually("it is written again", || told(&mut other, "holds") == "2");
}

#[test]
fn a_forced_release_of_a_lease_that_had_run_out_is_not_undone_by_the_session() {
    let server = Server::start();
    let _client = holder(&server, TTL);
    let mut operator = server.client();
    server.signal(libc::SIGSTOP);
    let force = redis::cmd("LOCK.FORCERELEASE").arg("orders").clone();
    let packed = force.get_packed_command();
    operator.raw.send_packed_command(&packed).unwrap();
    let_it_run_out();
    server.signal(libc::SIGCONT);
    let freed = operator.raw.recv_response().unwrap();
    assert_eq!(freed, redis::Value::Int(1));
    assert_eq!(operator.counter("sessions_lost"), 1);
    assert_eq!(operator.int("EXISTS orders"), 0);
}

#[test]
fn a_bound_on_leases_that_was_lowered_binds_waits_renewals_and_lingering() {
    let server = Server::start();
    let mut other = server.client();
    let client = {
        let mut client = server.client();
        client.grant("LOCK.ACQUIRE orders me 3600000 SESSION LINGER 3600000");
        client
    };
    let mut waiter = Waiter::start(&server, "LOCK.ACQUIRE orders you 3600000 WAIT 0");
    assert_eq!(
        other.run("CONFIG SET lock.default-ttl 1000 lock.max-ttl 1000"),
        "OK"
    );
    drop(client);
    eventually("it has ended", || other.counter("sessions_ended") == 1);
    assert!(other.int("PTTL orders") <= 1001);
    assert_eq!(waiter.grant()[3], 1000);
}

#[test]
fn an_owner_that_is_told_that_it_holds_the_lock_keeps_it_though_its_old_connections_end_was_due() {
    for call in ["LOCK.ACQUIRE orders me 60000", "LOCK.RENEW orders me 60000"] {
        let server = Server::start();
        let client = holder(&server, 60_000);
        let mut line = wait(&server, "next");
        let mut probe = server.client();
        probe.run("CONFIG SET min-replicas-to-write 1");
        close_noticed(client, &mut probe);
        // In one go: before the end of the connection can be acted on.
        let mut pipeline = redis::pipe();
        let words: Vec<&str> = call.split(' ').collect();
        pipeline
            .cmd("CONFIG")
            .arg("SET")
            .arg("min-replicas-to-write")
            .arg(0);
        pipeline.cmd(words[0]).arg(&words[1..]);
        let replies: (String, Vec<i64>) = pipeline.query(&mut probe.raw).unwrap();
        assert_eq!(replies.1[0], 1, "{call}");
        assert_eq!(told(&mut probe, "session"), "0", "{call}");
        // Another's end is acted on: so this one's would have been.
        let mark = server.client();
        { mark }.grant("LOCK.ACQUIRE mark me 60000 SESSION");
        eventually("it was acted on", || probe.int("EXISTS mark") == 0);
        assert_eq!(probe.run("LOCK.ASSERT orders me"), "OK", "{call}");
        assert!(!line.has_reply());
        probe.run("LOCK.FORCERELEASE orders");
        assert_eq!(line.grant()[..2], [1, 1]);
    }
}
