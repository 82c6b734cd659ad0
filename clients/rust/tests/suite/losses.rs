//! A holder learns at once that it has lost its lock.

use crate::{locks, soon, until_free, until_waiting};
use lock_test_support::{Proxy, Server, Setup};
use redis_reentrant_lock_client::{Error, LockClient, Loss};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_session_is_told_at_once_of_a_forced_release() {
    let server = Server::start();
    let guard = locks(&server).lock("a").acquire().await.unwrap();
    let lost = guard.lost();
    assert!(guard.is_held());
    server.client().run("LOCK.FORCERELEASE a");
    let start = Instant::now();
    assert_eq!(soon(lost).await, Loss::Disconnected);
    // Long before the next check, which is due after 10 s.
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(!guard.is_held());
    assert_eq!(guard.valid_for(), Duration::ZERO);
    let error = guard.reenter().await.unwrap_err();
    assert!(matches!(error, Error::Lost(Loss::Disconnected)), "{error}");
    let error = guard.release().await.unwrap_err();
    assert!(matches!(error, Error::Lost(Loss::Disconnected)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_lease_is_told_of_a_forced_release_by_the_next_renewal() {
    let server = Server::start();
    let lock = locks(&server).lock("a").lease(Duration::from_millis(900));
    let guard = lock.renewed().acquire().await.unwrap();
    server.client().run("LOCK.FORCERELEASE a");
    assert_eq!(soon(guard.lost()).await, Loss::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_told_when_its_lease_is_over() {
    let server = Server::start();
    let lease = Duration::from_millis(300);
    let start = Instant::now();
    let guard = locks(&server)
        .lock("a")
        .lease(lease)
        .acquire()
        .await
        .unwrap();
    assert_eq!(soon(guard.lost()).await, Loss::LeaseOver);
    assert!(start.elapsed() >= lease);
    let error = guard.release().await.unwrap_err();
    assert!(matches!(error, Error::Lost(Loss::LeaseOver)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_lease_lasts_as_long_as_its_guard() {
    let server = Server::start();
    let lease = Duration::from_millis(600);
    let guard = locks(&server)
        .lock("a")
        .lease(lease)
        .renewed()
        .acquire()
        .await
        .unwrap();
    let lost = guard.lost();
    let waited = tokio::time::timeout(lease * 4, lost).await;
    assert!(waited.is_err(), "{waited:?}");
    assert!(guard.is_held());
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lock_lasts_longer_than_its_lease_and_survives_the_servers_timeout() {
    // Idle connections are closed after 2 s; the check is due after 10 s, unless the timeout is known.
    let server = Setup::new().config("timeout 2").start();
    let guard = locks(&server).lock("a").acquire().await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(6), guard.lost()).await;
    assert!(waited.is_err(), "{waited:?}");
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_server_is_a_loss_and_its_waiters_wait_on() {
    let mut server = Server::start();
    let lock = locks(&server).lock("a");
    let guard = lock.acquire().await.unwrap();
    let waits = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    let mut probe = server.client();
    tokio::task::spawn_blocking(move || until_waiting(&mut probe, 1))
        .await
        .unwrap();
    let lost = guard.lost();
    server.kill();
    assert_eq!(soon(lost).await, Loss::Disconnected);
    server.restart_in_place();
    // Nothing was on disk: the lock is free.
    let next = soon(waits).await.unwrap().unwrap();
    assert!(next.token() > guard.token());
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_is_a_loss_when_the_lease_is_over() {
    let server = Server::start();
    let locks = locks(&server);
    let session = locks
        .lock("a")
        .session_lease(Duration::from_secs(1))
        .acquire()
        .await
        .unwrap();
    let lease = locks
        .lock("b")
        .lease(Duration::from_secs(1))
        .renewed()
        .acquire()
        .await
        .unwrap();
    server.signal(libc::SIGSTOP);
    let start = Instant::now();
    for guard in [&session, &lease] {
        assert_eq!(soon(guard.lost()).await, Loss::LeaseOver);
        assert!(!guard.is_held());
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    server.signal(libc::SIGCONT);
    let mut client = server.client();
    tokio::task::spawn_blocking(move || {
        until_free(&mut client, "a");
        until_free(&mut client, "b");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_a_loss_for_a_session_and_none_for_a_lease() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let locks = LockClient::open(proxy.url()).unwrap();
    let session = locks.lock("a").acquire().await.unwrap();
    let lease = locks.lock("b").lease(Duration::from_millis(900)).renewed();
    let lease = lease.acquire().await.unwrap();
    proxy.cut();
    assert_eq!(soon(session.lost()).await, Loss::Disconnected);
    let waited = tokio::time::timeout(Duration::from_secs(2), lease.lost()).await;
    assert!(waited.is_err(), "{waited:?}");
    lease.release().await.unwrap();
    // The next one of the session gets it.
    let _next = soon(locks.lock("a").acquire()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_is_a_loss_when_the_lease_is_over() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let locks = LockClient::open(proxy.url()).unwrap();
    let lock = locks.lock("a").session_lease(Duration::from_secs(1));
    let guard = lock.acquire().await.unwrap();
    proxy.fall_silent();
    assert_eq!(soon(guard.lost()).await, Loss::LeaseOver);
}

/// No test waits until the system gives up: it checks the options of the sockets.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_vanishes_is_noticed_within_half_a_minute_also_with_a_call_under_way() {
    let server = Server::start();
    let locks = locks(&server);
    let _session = locks.lock("a").acquire().await.unwrap();
    let lease = locks.lock("b").lease(Duration::from_secs(30));
    let _lease = lease.acquire().await.unwrap();
    let sockets = sockets_to(server.port());
    assert_eq!(sockets.len(), 2);
    for socket in sockets {
        let idle = socket.tcp_keepalive_time().unwrap();
        let interval = socket.tcp_keepalive_interval().unwrap();
        let limit = idle + interval * socket.tcp_keepalive_retries().unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(limit, Duration::from_secs(30));
        // While data is not acknowledged, the system sends no probes.
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
    }
}

/// The sockets of this process that are connected to a port.
#[cfg(target_os = "linux")]
fn sockets_to(port: u16) -> Vec<redis::io::tcp::socket2::Socket> {
    use redis::io::tcp::socket2::Socket;
    let of_process = |fd: &i32| {
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        link.is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    };
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    let fds = fds.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let copies = fds.filter(of_process).filter_map(copy);
    let sockets = copies.map(Socket::from);
    let is_there = |socket: &Socket| {
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        peer.is_some_and(|peer| peer.port() == port)
    };
    sockets.filter(is_there).collect()
}

/// Another descriptor of what this one refers to, unless another thread has closed it.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn copy(fd: i32) -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::BorrowedFd;
    // SAFETY: it is only duplicated, which fails if it is closed.
    unsafe { BorrowedFd::borrow_raw(fd) }
        .try_clone_to_owned()
        .ok()
}

#[tokio::test(flavor = "current_thread")]
async fn a_release_after_work_that_blocked_the_runtime_tells_of_a_loss_meanwhile() {
    let server = Server::start();
    let lock = locks(&server).lock("a");
    for _ in 0..20 {
        let guard = lock.acquire().await.unwrap();
        // It blocks, so that the client cannot notice.
        server.client().run("CLIENT KILL TYPE normal");
        let released = guard.release().await;
        assert!(
            matches!(released, Err(Error::Lost(Loss::Disconnected))),
            "{released:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_waits_on_when_the_role_of_its_server_changes() {
    let server = Server::start();
    let lock = locks(&server).lock("a");
    server.client().run("LOCK.ACQUIRE a other 600000");
    let waits = tokio::spawn(async move { lock.acquire().await });
    let mut client = server.client();
    tokio::task::spawn_blocking(move || {
        until_waiting(&mut client, 1);
        // The server ends the wait, since a replica grants nothing.
        client.run("REPLICAOF 127.0.0.1 1");
        until_waiting(&mut client, 0);
        client.run("REPLICAOF NO ONE");
        until_waiting(&mut client, 1);
        client.run("LOCK.RELEASE a other");
    })
    .await
    .unwrap();
    let guard = soon(waits).await.unwrap().unwrap();
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_released_is_no_loss() {
    let server = Server::start();
    let guard = locks(&server).lock("a").acquire().await.unwrap();
    let lost = guard.lost();
    guard.release().await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(100), lost).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_on_holds_is_a_loss_for_the_holder() {
    let server = Setup::new().module_args("max-hold 1000").start();
    let guard = locks(&server).lock("a").acquire().await.unwrap();
    let start = Instant::now();
    soon(guard.lost()).await;
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_lease_outlives_a_restart_of_the_server_in_its_grace_period() {
    let setup = Setup::new().module_args("max-ttl 5000 grace-period 5000");
    let setup = setup.config("appendonly yes").config("appendfsync always");
    let mut server = setup.start();
    let lock = locks(&server).lock("a").lease(Duration::from_secs(5));
    // The server has just started: who waits is served when its grace period is over.
    let guard = soon(lock.renewed().acquire()).await.unwrap();
    server.kill();
    server.restart_in_place();
    let waited = tokio::time::timeout(Duration::from_secs(7), guard.lost()).await;
    assert!(waited.is_err(), "{waited:?}");
    let inner = guard.reenter().await.unwrap();
    inner.release().await.unwrap();
    guard.release().await.unwrap();
}
