//! The servers other than Redis, and the locks of SQL databases: each is taken, waited for, handed over and lost.
//!
//! Run them with `cargo test -p redis-reentrant-lock-bench service -- --ignored`. `make test` does not: they need servers that
//! only the benchmark has, and the minutes that these take to start.

use super::{Kind, Missing, Service, Setting};
use crate::core::Core;
use crate::protocol::{Job, Work};
use crate::worker::{Locker, connect};
use lock_test_support::{PATIENCE, toolchain};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// So long one must still wait who waits for what is held.
const STILL_WAITS: Duration = Duration::from_millis(300);

const LEASE: Duration = Duration::from_secs(3);

/// Starts a server; none where it is not installed, which is said.
fn start(kind: Kind) -> Option<Box<dyn Service>> {
    match kind.start(&Core::none(), Setting::Alone) {
        Ok(service) => Some(service),
        Err(Missing(why)) if why.contains("is not installed") => {
            toolchain::Missing(why).skip("this service");
            None
        }
        Err(Missing(why)) => panic!("{why}"),
    }
}

fn client(service: &dyn Service, system: &str, number: usize) -> Box<dyn Locker> {
    let job = Job {
        system: system.to_owned(),
        urls: service.urls(),
        work: Work::Contend,
        lock: "bench:1".to_owned(),
        clients: 2,
        hold_us: 0,
        lease_ms: LEASE.as_millis() as u64,
        depth: 1,
        pipeline: 1,
        pace: 0,
    };
    connect(&job, number).unwrap()
}

/// Another client waits until the lock is released, and has it then. Returns how long that took.
fn hand_over(mut holder: Box<dyn Locker>, mut next: Box<dyn Locker>) -> Duration {
    holder.acquire("bench:1").unwrap();
    let (has_it, acquired) = channel();
    let waiting = spawn(move || {
        next.acquire("bench:1").unwrap();
        has_it.send(Instant::now()).unwrap();
        next.release("bench:1").unwrap();
    });
    let early = acquired.recv_timeout(STILL_WAITS);
    assert_eq!(
        early.err(),
        Some(RecvTimeoutError::Timeout),
        "it did not wait"
    );
    let released = Instant::now();
    holder.release("bench:1").unwrap();
    let took = acquired.recv_timeout(PATIENCE).unwrap() - released;
    waiting.join().unwrap();
    // It is free again.
    holder.acquire("bench:1").unwrap();
    holder.release("bench:1").unwrap();
    took
}

/// The holder's connection is killed: the time until the next one has the lock.
fn lose(service: &dyn Service, system: &str, kill: impl Fn(&str)) -> Duration {
    let mut holder = client(service, system, 0);
    holder.acquire("bench:1").unwrap();
    kill(&service.urls()[0]);
    let killed = Instant::now();
    let mut next = client(service, system, 1);
    next.acquire("bench:1").unwrap();
    assert!(holder.release("bench:1").is_err(), "it did not lose it");
    next.release("bench:1").unwrap();
    killed.elapsed()
}

fn reenter(service: &dyn Service, system: &str) {
    let mut locker = client(service, system, 0);
    assert!(locker.reentrant());
    for _ in 0..3 {
        locker.acquire("bench:1").unwrap();
    }
    for _ in 0..3 {
        locker.release("bench:1").unwrap();
    }
    assert!(
        locker.release("bench:1").is_err(),
        "released once too often"
    );
}

fn kill_mariadb(url: &str) {
    use mysql::prelude::Queryable;
    let opts = mysql::Opts::from_url(url).unwrap();
    let mut admin = mysql::Conn::new(opts).unwrap();
    let others = "SELECT id FROM information_schema.processlist WHERE db = 'bench' AND id <> CONNECTION_ID()";
    let ids: Vec<u64> = admin.query(others).unwrap();
    assert!(!ids.is_empty());
    for id in ids {
        // One may have ended since, that of a client that was dropped.
        match admin.query_drop(format!("KILL {id}")) {
            Err(mysql::Error::MySqlError(error)) if error.code == 1094 => (),
            outcome => outcome.unwrap(),
        }
    }
}

fn kill_postgres(url: &str) {
    let mut admin = postgres::Client::connect(url, postgres::NoTls).unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = 'bench' AND pid <> pg_backend_pid()";
    assert!(!admin.query(others, &[]).unwrap().is_empty());
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn a_lock_of_mariadb_is_handed_over_and_lost() {
    let Some(mariadb) = start(Kind::MariaDb) else {
        return;
    };
    assert!(
        mariadb.version().starts_with("MariaDB 1"),
        "{}",
        mariadb.version()
    );
    for system in ["mariadb-row", "mariadb-for-update", "mariadb-get-lock"] {
        let clients = [0, 1].map(|number| client(&*mariadb, system, number));
        let [holder, next] = clients;
        let handed_over = hand_over(holder, next);
        let lost = lose(&*mariadb, system, kill_mariadb);
        println!("{system}: handed over in {handed_over:?}, lost in {lost:?}");
        // A row stays until its lease has ended.
        assert_eq!(
            lost >= LEASE / 2,
            system == "mariadb-row",
            "{system}: {lost:?}"
        );
    }
    reenter(&*mariadb, "mariadb-get-lock");
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn a_row_that_is_renewed_stays() {
    let Some(mariadb) = start(Kind::MariaDb) else {
        return;
    };
    let [mut holder, mut next] = [0, 1].map(|number| client(&*mariadb, "mariadb-row", number));
    assert!(
        holder.renew("bench:1").unwrap().is_err(),
        "renewed before it was held"
    );
    holder.acquire("bench:1").unwrap();
    let begin = Instant::now();
    let waiting = spawn(move || {
        next.acquire("bench:1").unwrap();
        begin.elapsed()
    });
    while begin.elapsed() < LEASE {
        holder.renew("bench:1").unwrap().unwrap();
        sleep(Duration::from_millis(50));
    }
    assert!(waiting.join().unwrap() >= LEASE * 2 - Duration::from_millis(500));
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn a_lock_of_postgres_is_handed_over_and_lost() {
    let Some(postgres) = start(Kind::Postgres) else {
        return;
    };
    assert!(
        postgres.version().starts_with("PostgreSQL 1"),
        "{}",
        postgres.version()
    );
    let [holder, next] = [0, 1].map(|number| client(&*postgres, "postgres-advisory", number));
    let handed_over = hand_over(holder, next);
    let lost = lose(&*postgres, "postgres-advisory", kill_postgres);
    println!("postgres-advisory: handed over in {handed_over:?}, lost in {lost:?}");
    reenter(&*postgres, "postgres-advisory");
    let _connected = client(&*postgres, "postgres-advisory", 0);
    assert!(
        postgres.pids().len() > 2,
        "connections are processes of their own"
    );
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn a_thousand_clients_can_connect() {
    for (kind, system) in [
        (Kind::MariaDb, "mariadb-get-lock"),
        (Kind::Postgres, "postgres-advisory"),
    ] {
        let Some(service) = start(kind) else { continue };
        lock_test_support::allow_many_files();
        let begin = Instant::now();
        let mut clients: Vec<_> = (0..1000).map(|n| client(&*service, system, n)).collect();
        println!(
            "{system}: 1,000 clients are connected after {:?}",
            begin.elapsed()
        );
        for client in &mut clients {
            client.acquire("bench:1").unwrap();
            client.release("bench:1").unwrap();
        }
    }
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn zookeeper_starts_and_ends() {
    let Some(zookeeper) = start(Kind::ZooKeeper) else {
        return;
    };
    let version = zookeeper.version();
    assert!(version.starts_with("ZooKeeper 3."), "{version}");
    ends(zookeeper);
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn etcd_starts_and_ends() {
    let Some(etcd) = start(Kind::Etcd) else {
        return;
    };
    let version = etcd.version();
    assert!(version.starts_with("etcd 3."), "{version}");
    ends(etcd);
}

fn ends(service: Box<dyn Service>) {
    let pids = service.pids();
    assert!(pids.iter().all(|&pid| runs(pid)));
    drop(service);
    assert!(!pids.iter().any(|&pid| runs(pid)));
}

/// Whether a process has not ended.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Not a test but the program of the next one.
#[test]
#[ignore = "the program that another test kills"]
fn holds_servers() {
    let kinds = [Kind::MariaDb, Kind::Postgres, Kind::ZooKeeper, Kind::Etcd];
    let started = kinds.map(|kind| {
        // The thread that asks for it ends before it.
        let start = move || {
            let service = Box::leak(start(kind)?);
            // The connection by which it was set up has ended then.
            sleep(STILL_WAITS);
            Some(service.pids())
        };
        spawn(start)
    });
    let pids: Vec<Vec<u32>> = started
        .into_iter()
        .filter_map(|thread| thread.join().unwrap())
        .collect();
    sleep(STILL_WAITS);
    println!("\npids {pids:?}");
    sleep(PATIENCE);
}

#[test]
#[ignore = "it starts other servers than Redis"]
fn servers_end_when_their_program_is_killed() {
    // What it leaves behind. The servers' accounts come through it.
    let folder = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "service::tests::holds_servers",
            "--ignored",
            "--nocapture",
        ])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let pids = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("pids ").map(str::to_owned))
        .unwrap();
    // Killed before anything can fail, so that it does not go on.
    let pids: Vec<Vec<u32>> = serde_json::from_str(&pids).unwrap();
    println!("its servers are the processes {pids:?}");
    let too_early = !pids.iter().all(|pids| runs(pids[0]));
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(!too_early, "a server ended too early");
    let killed = Instant::now();
    while pids.iter().flatten().any(|&pid| runs(pid)) {
        assert!(killed.elapsed() < PATIENCE, "a server is still there");
        sleep(Duration::from_millis(10));
    }
}
