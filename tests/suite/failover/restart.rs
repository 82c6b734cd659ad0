//! A server that has started again with less than it knew.

use super::beliefs::{contradictions, Belief};
use super::pair::Times;
use crate::support::{skip, Client, Clocks, Server, Setup};
use std::fs::{read_dir, OpenOptions};
use std::path::{Path, PathBuf};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How many locks are held when the server dies.
const LOCKS: usize = 12;

const TIMES: Times = Times {
    max_ttl: 6000,
    grace: 6000,
    min_replicas: 0,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits until the grace period of its start is over.
fn until_over(server: &Server) {
    let grant = server.client().grant("LOCK.ACQUIRE probe probe 1 WAIT 0");
    assert_eq!(grant[0], 1);
}

/// A client that holds a lock, and the connection on which it got it.
struct Holder {
    belief: Belief,
    ttl: u64,
    client: Client,
}

impl Holder {
    /// Takes the lock. Every third one by a session.
    fn new(server: &Server, number: usize) -> Holder {
        let (mut client, lock) = (server.client(), format!("k{number}"));
        let ttl = TIMES.max_ttl - 100 * (number as u64 % 4);
        let session = if number % 3 == 2 { " SESSION" } else { "" };
        let sent = Instant::now();
        let grant = client.grant(&format!("LOCK.ACQUIRE {lock} first {ttl}{session}"));
        assert_eq!(grant[0], 1);
        let belief = Belief {
            lock,
            owner: "first".to_owned(),
            token: grant[2],
            side: 0,
            from: Instant::now(),
            until: sent + ms(ttl - 1),
        };
        Holder {
            belief,
            ttl,
            client,
        }
    }

    /// Asks for what it holds to go on.
    fn renew(&mut self) -> String {
        let Belief { lock, token, .. } = &self.belief;
        let line = format!("LOCK.RENEW {lock} first {} TOKEN {token}", self.ttl);
        let sent = Instant::now();
        let reply = self.client.run(&line);
        if reply.starts_with("[1 ") {
            self.belief.until = sent + ms(self.ttl - 1);
        }
        reply
    }
}

/// Takes the lock as soon as it is to be had, by waiting or by asking again and again.
fn rival(server: &Server, lock: String, waits: bool) -> impl FnOnce() -> Belief + Send {
    let mut client = server.client();
    move || {
        let owner = format!("second-{waits}");
        let wait = if waits { " WAIT 0" } else { "" };
        let line = format!("LOCK.ACQUIRE {lock} {owner} 1000{wait}");
        loop {
            let sent = Instant::now();
            let grant = client.grant(&line);
            if grant[0] == 1 {
                let from = Instant::now();
                // After a wait the lease may be over when its client reads of it.
                let until = if waits {
                    let asserted = Instant::now();
                    match client.run(&format!("LOCK.ASSERT {lock} {owner}")).as_str() {
                        "OK" => asserted,
                        _ => from,
                    }
                } else {
                    sent + ms(999)
                };
                return Belief {
                    lock,
                    owner,
                    token: grant[2],
                    side: 1,
                    from,
                    until,
                };
            }
            sleep(ms(2));
        }
    }
}

/// Has locks held, kills the server, has it start again, and has others want the locks. Returns
/// what everyone believed, and how many could go on with their holds.
fn killed(setup: Setup, lose: impl FnOnce(&Path)) -> (Vec<Belief>, usize) {
    let mut server = setup.clone().start();
    until_over(&server);
    let take = |number| {
        sleep(ms(40));
        Holder::new(&server, number)
    };
    let mut holders: Vec<Holder> = (0..LOCKS).map(take).collect();
    holders[0].renew();
    server.kill();
    lose(server.dir());
    let server = setup.data_of(&server).start();
    let rivals = holders.iter().enumerate().flat_map(|(number, holder)| {
        let lock = holder.belief.lock.clone();
        let waits = [number % 2 == 0, number % 2 != 0];
        waits.map(|waits| spawn(rival(&server, lock.clone(), waits)))
    });
    let rivals: Vec<_> = rivals.collect();
    let mut gone_on = 0;
    // Those with a session count it as lost: their connections are closed.
    for (number, holder) in holders.iter_mut().enumerate() {
        holder.client = server.client();
        if number % 3 == 1 && holder.renew().starts_with("[1 ") {
            gone_on += 1;
        }
    }
    let mut beliefs: Vec<Belief> = holders.into_iter().map(|holder| holder.belief).collect();
    beliefs.extend(rivals.into_iter().map(|rival| rival.join().unwrap()));
    (beliefs, gone_on)
}

fn with_aof(times: Times) -> Setup {
    // What is written is in the file when the server is killed: with `everysec` a server does not write while the
    // disk is slow.
    times
        .setup()
        .config("appendonly yes")
        .config("appendfsync no")
}

/// The file to which the server appends.
fn aof(dir: &Path) -> PathBuf {
    let files = read_dir(dir.join("appendonlydir")).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    paths
        .find(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .unwrap()
}

/// Takes what came after half of the locks from a file of commands, as a crash of the machine does.
fn lose_half(dir: &Path) {
    let file = aof(dir);
    let text = std::fs::read(&file).unwrap();
    let begins = |at: &usize| text[*at..].starts_with(b"*1\r\n$5\r\nMULTI\r\n");
    let lock = format!("\r\nk{}\r\n", LOCKS / 2);
    let taken = |at: &usize| text[*at..].starts_with(lock.as_bytes());
    let taken = (0..text.len()).find(taken).unwrap();
    let end = (0..taken).rev().find(begins).unwrap();
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(end as u64).unwrap();
}

#[test]
fn without_a_grace_period_a_server_that_starts_again_gives_away_what_it_forgot() {
    let times = Times { grace: 0, ..TIMES };
    let (beliefs, gone_on) = killed(times.setup(), |_| ());
    assert_eq!(gone_on, 0);
    let wrong = contradictions(&beliefs);
    let locks = wrong.iter().filter(|it| it.2 == "two owners").count();
    assert!(locks >= LOCKS, "{locks}");
}

/// What came of it where the grace period is as long as it has to be: nobody believed in a lock
/// that someone else did. Returns how many holds could go on; none where the machine's clock was set.
fn gone_on(setup: Setup, lose: fn(&Path)) -> Option<usize> {
    let clocks = Clocks::start();
    let (beliefs, gone_on) = killed(setup, lose);
    assert_eq!(beliefs.len(), 3 * LOCKS);
    if clocks.were_set() {
        return None;
    }
    assert_eq!(contradictions(&beliefs).len(), 0, "{beliefs:#?}");
    Some(gone_on)
}

#[test]
fn a_server_that_has_started_again_grants_no_lock_that_someone_may_still_hold() {
    let tell = |setup, lose| spawn(move || gone_on(setup, lose));
    let stories = [
        tell(TIMES.setup(), |_| ()),
        tell(with_aof(TIMES), lose_half),
        tell(with_aof(TIMES), |_| ()),
    ];
    let stories = stories.map(|story| story.join().unwrap());
    let [Some(nothing), Some(half), Some(all)] = stories else {
        return skip("the machine's clock was set");
    };
    // Holds that the append-only file has can go on by their tokens.
    assert_eq!(nothing, 0);
    assert_eq!(half, LOCKS / 6);
    assert_eq!(all, LOCKS / 3);
}
