//! The memory of a server while many contend: it is as large after a million operations as after the first.

mod contender;

use contender::Contender;
use lock_test_support::{eventually, Server, Setup};
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many contend at the same time.
const CONTENDERS: usize = 8;

/// A lock that none of them gets.
const HELD: &str = "held";

/// The allocated memory may grow by so many bytes an operation: less than the smallest block in every eighth of them.
const ALLOCATED: i64 = 2;

/// The resident memory may grow by so many bytes an operation, and by so many in any case: the allocator gives back
/// whole pages, when it pleases.
const RESIDENT: i64 = 4;
const PAGES: i64 = 1 << 20;

/// The memory of a server after so many operations, in bytes, when nobody is connected any more.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// How many operations there were until then.
    pub operations: u64,
    /// What is allocated.
    pub allocated: i64,
    /// What is resident.
    pub resident: i64,
}

/// The memory of a server from round to round.
#[derive(Debug)]
pub struct Memory {
    /// Where the choices were drawn from.
    pub seed: u64,
    /// After each round. Those of the time when it warms up are the first.
    pub samples: Vec<Sample>,
}

/// So many rounds warm it up.
const WARM_UP: usize = 2;

/// A server whose memory nothing but its data and its clients moves.
pub fn quiet() -> Setup {
    Setup::new()
        .config("slowlog-log-slower-than -1")
        .config("latency-tracking no")
}

/// Lets clients contend on a server that nobody else uses: some rounds to warm up, and then others, each of so many
/// operations. An operation is a call of a command.
pub fn run(server: &Server, rounds: u64, operations: u64, seed: u64) -> Memory {
    let mut samples = Vec::new();
    for round in 0..rounds + WARM_UP as u64 {
        contend(server, operations, seed.wrapping_add(round << 32));
        samples.push(sample(server, (round + 1) * operations));
    }
    Memory { seed, samples }
}

fn contend(server: &Server, operations: u64, seed: u64) {
    let mut holder = server.client();
    assert_eq!(
        holder.grant(&format!("LOCK.ACQUIRE {HELD} holder 6000000"))[0],
        1
    );
    let left = AtomicU64::new(operations);
    let ids: Vec<AtomicI64> = (0..CONTENDERS).map(|_| AtomicI64::new(0)).collect();
    std::thread::scope(|scope| {
        for number in 0..CONTENDERS {
            let seed = seed.wrapping_add(number as u64);
            let mut contender = Contender::new(server, number, seed, &ids, &left);
            scope.spawn(move || contender.run());
        }
    });
}

fn sample(server: &Server, operations: u64) -> Sample {
    let mut client = server.client();
    eventually("nobody else is connected, and nothing is left", || {
        let counters = ["waiters", "lines", "sessions"];
        client.info("clients", "connected_clients").as_deref() == Some("1")
            && counters.iter().all(|name| client.counter(name) == 0)
    });
    // Not before: whoever waits still, and has closed its connection, would be granted what is free then.
    client.run("FLUSHALL");
    // Where the allocator is jemalloc.
    client.run("MEMORY PURGE");
    let mut now = || {
        let allocated = client.info("memory", "used_memory").unwrap();
        Sample {
            operations,
            allocated: allocated.parse().unwrap(),
            resident: resident(server),
        }
    };
    // What the server frees in the background: in a cron of each 100 ms those clients that it made for waits and did not need
    // since the last one.
    let (mut least, mut since) = (now(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let sample = now();
        if sample.allocated < least.allocated {
            since = Instant::now();
        }
        least.allocated = least.allocated.min(sample.allocated);
        least.resident = least.resident.min(sample.resident);
        std::thread::sleep(Duration::from_millis(5));
    }
    least
}

/// The resident memory of a server's process, in bytes.
fn resident(server: &Server) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches("kB").trim();
    1024 * kib.parse::<i64>().unwrap()
}

impl Memory {
    /// How many operations there were after it had warmed up.
    pub fn operations(&self) -> u64 {
        self.last().operations - self.first().operations
    }

    fn first(&self) -> &Sample {
        &self.samples[WARM_UP - 1]
    }

    fn last(&self) -> &Sample {
        &self.samples[self.samples.len() - 1]
    }

    /// By how many bytes the allocated and the resident memory have grown since it had warmed up.
    pub fn growth(&self) -> (i64, i64) {
        let (first, last) = (self.first(), self.last());
        (
            last.allocated - first.allocated,
            last.resident - first.resident,
        )
    }

    /// Says whether it has grown by no more than it may: in all that time by less than if one operation in some had
    /// lost the smallest block.
    pub fn is_flat(&self) -> bool {
        let (allocated, resident) = self.growth();
        let operations = self.operations() as i64;
        allocated < ALLOCATED * operations && resident < RESIDENT * operations + PAGES
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let (allocated, resident) = self.growth();
        let operations = self.operations();
        write!(
            f,
            "{operations} operations, {allocated} bytes more allocated, "
        )?;
        write!(
            f,
            "{resident} bytes more resident; seed {}; after",
            self.seed
        )?;
        for it in &self.samples {
            let (allocated, resident) = (it.allocated, it.resident);
            write!(f, " {}: {allocated} {resident};", it.operations)?;
        }
        Ok(())
    }
}

/// Whether there are operations left; takes that many.
fn take(left: &AtomicU64, count: u64) -> bool {
    let less = |left: u64| left.checked_sub(count);
    left.fetch_update(Relaxed, Relaxed, less).is_ok()
}
