//! The server renews a session's lease for as long as its connection is open.

use super::{eventually, holder, told};
use crate::support::{Client, Journal, Server, Setup, Waiter};
use std::time::{Duration, Instant};

/// The ttl of the sessions here, and many times that.
const TTL: i64 = 3000;
const LONG: Duration = Duration::from_secs(10);

/// Checks for a long time that the leases never come near their ends.
fn assert_kept(probe: &mut Client, locks: &[&str]) {
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        for lock in locks {
            let left = probe.int(&format!("PTTL {lock}"));
            assert!((500..=TTL + 1).contains(&left), "{lock}: {left}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_session_outlives_its_ttl_many_times_whatever_its_client_does() {
    let server = Server::start();
    let mut probe = server.client();
    probe.grant("LOCK.ACQUIRE held other 600000");
    let _silent = {
        let mut client = server.client();
        client.grant(&format!("LOCK.ACQUIRE silent me {TTL} SESSION"));
        client
    };
    let waiter = |lock: &str, line: &str| {
        let before = format!("LOCK.ACQUIRE {lock} me {TTL} SESSION");
        Waiter::begin(&server, &["HELLO 3", &before], line)
    };
    let _popping = waiter("popping", "BLPOP list 0");
    let _listening = waiter("listening", "SUBSCRIBE news");
    let _waiting = waiter("waiting", "LOCK.ACQUIRE held me WAIT 0");
    eventually("all are at it", || {
        probe.info("clients", "blocked_clients").unwrap() == "2"
            && probe.run("PUBSUB CHANNELS") == "[news]"
    });
    assert_kept(&mut probe, &["silent", "popping", "listening", "waiting"]);
    assert_eq!(probe.counter("sessions"), 4);
}

#[test]
fn a_renewal_is_propagated_as_a_deadline_a_third_of_the_ttl_after_the_one_before() {
    let server = Server::start();
    let mut journal = Journal::of_replication(&server);
    let _client = holder(&server, TTL as u32);
    let mut probe = server.client();
    eventually("it was renewed six times", || {
        probe.counter("sessions_renewed") >= 6
    });
    let handed_on = journal.read(&mut probe);
    let deadlines: Vec<i64> = handed_on
        .iter()
        .filter_map(|line| {
            let at = line.find("PEXPIREAT orders ")?;
            let rest = &line[at + "PEXPIREAT orders ".len()..];
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect();
    assert!(deadlines.len() > 6, "{handed_on:?}");
    let mut later: Vec<i64> = deadlines.windows(2).map(|pair| pair[1] - pair[0]).collect();
    later.sort_unstable();
    let median = later[later.len() / 2];
    assert!((TTL / 4..=TTL / 2).contains(&median), "{deadlines:?}");
    let others = handed_on
        .iter()
        .skip(1)
        .filter(|l| !l.contains("PEXPIREAT"));
    assert_eq!(others.count(), 0, "{handed_on:?}");
}

#[test]
fn the_renewal_of_ten_thousand_sessions_costs_little_more_than_if_their_clients_did_it() {
    const SESSIONS: usize = 10_000;
    let server = Server::start();
    let mut probe = server.client();
    let mut client = server.client();
    let calls = |client: &mut Client, command: &str, session: bool| {
        let before = server.cpu();
        let mut pipe = redis::pipe();
        for n in 0..SESSIONS {
            let lock = format!("lock-{n}");
            pipe.cmd(command).arg(lock).arg("me").arg(30_000);
            if session {
                pipe.arg("SESSION");
            }
        }
        pipe.query::<Vec<Vec<i64>>>(&mut client.raw).unwrap();
        server.cpu() - before
    };
    calls(&mut client, "LOCK.ACQUIRE", true);
    assert_eq!(probe.counter("sessions"), SESSIONS as u64);
    // All were bound at once, and so are renewed at once: that is what has to be paid for.
    let before = server.cpu();
    let idle = idle(Duration::from_secs(12));
    let busy = (server.cpu() - before).saturating_sub(idle);
    assert!(probe.counter("sessions_renewed") >= SESSIONS as u64);
    let called = calls(&mut client, "LOCK.RENEW", false);
    println!("{SESSIONS} sessions are renewed in {busy:?}, and by their clients in {called:?}");
    // Processor time is told in steps of 10 ms.
    let most = 2 * called + Duration::from_millis(50);
    assert!(busy < most, "{busy:?}, {called:?}");
    assert_eq!(told(&mut probe, "session"), "nil");
}

/// What an idle server takes meanwhile, which this waits for.
fn idle(span: Duration) -> Duration {
    let server = Setup::new().start();
    let before = server.cpu();
    std::thread::sleep(span);
    server.cpu() - before
}
