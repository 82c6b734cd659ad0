//! Sessions: locks that live and end with a connection.

mod binding;
mod hold;
mod linger;
mod loss;
mod renewal;
mod safety;

use crate::support::{eventually, Client, Listener, Server, Waiter, PATIENCE};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How late the end of a connection may be acted on, on a busy machine: long before the server would
/// renew the lease next, a third of [`LEASE`] after it began.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A lease that is not about to end.
const LEASE: u32 = 60_000;

/// A connection on which `me` holds the lock `orders` as a session.
fn holder(server: &Server, ttl: u32) -> Client {
    let mut client = server.client();
    let grant = client.grant(&format!("LOCK.ACQUIRE orders me {ttl} SESSION"));
    assert_eq!(grant[..2], [1, 1]);
    client
}

fn wait(server: &Server, owner: &str) -> Waiter {
    Waiter::start(
        server,
        &format!("LOCK.ACQUIRE orders {owner} 600000 WAIT 0"),
    )
}

/// Whether the server closes this connection: it does so in the next iteration of its event loop.
fn is_closed(client: &mut Client) -> bool {
    let ping = redis::cmd("PING").get_packed_command();
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if client.raw.send_packed_command(&ping).is_err() || client.raw.recv_response().is_err() {
            return true;
        }
    }
    false
}

/// Closes a connection, and waits until the server has noticed.
fn close_noticed(mut client: Client, probe: &mut Client) {
    let list = format!("CLIENT LIST ID {}", client.int("CLIENT ID"));
    drop(client);
    eventually("the server has noticed", || probe.run(&list).is_empty());
}

/// A value of LOCK.INFO.
fn told(client: &mut Client, name: &str) -> String {
    let info = client.run("LOCK.INFO orders");
    let words: Vec<&str> = info.trim_matches(['[', ']']).split(' ').collect();
    let at = words.iter().position(|word| *word == name);
    at.map_or(info.clone(), |at| words[at + 1].to_owned())
}

/// A worker: a process that holds a lock and is in the middle of something.
fn worker(server: &Server, ttl: u32) -> Child {
    let mut worker = Command::new("redis-cli")
        .args(["-p", &server.port().to_string()])
        .env("REDISCLI_RCFILE", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let input = worker.stdin.as_mut().unwrap();
    writeln!(input, "LOCK.ACQUIRE orders worker {ttl} SESSION").unwrap();
    input.flush().unwrap();
    let mut client = server.client();
    eventually("the worker has the lock", || {
        told(&mut client, "owner") == "worker"
    });
    worker
}

#[test]
fn the_lock_of_a_worker_that_is_killed_is_the_next_waiters_at_once_with_a_new_token() {
    let server = Server::start();
    let mut worker = worker(&server, LEASE);
    let old: i64 = told(&mut server.client(), "token").parse().unwrap();
    let mut next = wait(&server, "next");
    worker.kill().unwrap();
    let killed = Instant::now();
    let [acquired, holds, token, _] = next.grant();
    let late = killed.elapsed();
    assert_eq!([acquired, holds], [1, 1]);
    assert!(token > old);
    assert!(late < AT_ONCE, "{late:?}");
    worker.wait().unwrap();
}

#[test]
fn the_lock_of_a_worker_that_is_killed_is_free_where_nobody_waits_and_that_is_told() {
    let server = Server::start();
    let channel = "redisson_lock__channel:{orders}";
    let mut listener = Listener::subscribe(&server, channel);
    let mut worker = worker(&server, LEASE);
    worker.kill().unwrap();
    let killed = Instant::now();
    assert_eq!(listener.next(), (channel.to_owned(), "0".to_owned()));
    let late = killed.elapsed();
    assert!(late < AT_ONCE, "{late:?}");
    assert_eq!(server.client().int("EXISTS orders"), 0);
    worker.wait().unwrap();
}

#[test]
fn every_hold_of_a_connection_ends_with_it_whatever_the_count() {
    let server = Server::start();
    let mut client = holder(&server, 60_000);
    client.grant("LOCK.ACQUIRE orders me 60000 SESSION");
    client.grant("LOCK.ACQUIRE orders me");
    client.grant("LOCK.ACQUIRE other me 60000 SESSION");
    client.run("SELECT 3");
    client.grant("LOCK.ACQUIRE orders me 60000 SESSION");
    client.run("SELECT 0");
    client.grant("LOCK.ACQUIRE without-one me 60000");
    let mut other = server.client();
    assert_eq!(other.counter("sessions"), 3);
    assert_eq!(client.int("LOCK.RELEASE orders me"), 2);
    drop(client);
    eventually("all are free", || other.counter("sessions_ended") == 3);
    assert_eq!(other.int("EXISTS orders other"), 0);
    other.run("SELECT 3");
    assert_eq!(other.int("EXISTS orders"), 0);
    other.run("SELECT 0");
    assert_eq!(other.run("LOCK.ASSERT without-one me"), "OK");
    assert_eq!(other.counter("sessions"), 0);
}

#[test]
fn what_is_told_of_sessions() {
    let server = Server::start();
    let mut client = server.client();
    client.grant("LOCK.ACQUIRE orders me 3000");
    assert_eq!(told(&mut client, "session"), "0");
    client.grant("LOCK.ACQUIRE orders me 3000 SESSION");
    assert_eq!(told(&mut client, "session"), "1");
    let mut other = server.client();
    assert_eq!(other.counter("sessions"), 1);
    eventually("it was renewed", || other.counter("sessions_renewed") > 0);
    assert!(other.int("PTTL orders") <= 3001);
    drop(client);
    eventually("it has ended", || other.counter("sessions_ended") == 1);
    assert_eq!(other.counter("sessions"), 0);
    let _second = holder(&server, 60_000);
    assert_eq!(other.counter("sessions_lost"), 0);
    other.run("LOCK.FORCERELEASE orders");
    assert_eq!(other.counter("sessions_lost"), 1);
    assert_eq!(other.counter("sessions_ended"), 1);
}
