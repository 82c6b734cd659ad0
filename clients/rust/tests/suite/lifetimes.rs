//! Processes that die.

use crate::{soon, until_waiting};
use lock_test_support::Server;
use redis_reentrant_lock_client::blocking::LockClient;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Not a test of its own: another process, which holds a lock until it is killed.
#[test]
fn holds_a_lock_until_it_is_killed() {
    let Some(address) = env::var_os("HOLD_AT") else {
        return;
    };
    let locks = LockClient::open(address.to_str().unwrap()).unwrap();
    let _guard = locks.lock("a").acquire().unwrap();
    println!("\nholding");
    std::thread::sleep(Duration::from_secs(600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_frees_its_session_lock_at_once() {
    let server = Server::start();
    let mut holder = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "lifetimes::holds_a_lock_until_it_is_killed",
            "--nocapture",
        ])
        .env("HOLD_AT", server.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    assert!(
        output
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "holding")
    );
    let lock = crate::locks(&server).lock("a");
    assert!(lock.try_acquire().await.unwrap().is_none());
    let waits = tokio::spawn(async move { lock.acquire().await });
    let mut probe = server.client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    let start = Instant::now();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let _next = soon(waits).await.unwrap().unwrap();
    // Its lease is 30 s.
    assert!(start.elapsed() < Duration::from_secs(5));
}
