//! The server's other traffic: GET and SET of small values.

use crate::protocol::Pairs;
use crate::stats::Times;
use crate::wire::{Reply, Wire};
use std::time::{Duration, Instant};

/// So many connections.
const CONNECTIONS: usize = 8;

/// Each sends so many commands in one go.
const BATCH: usize = 10;

/// Among so many keys.
const KEYS: usize = 10_000;

/// As long.
const VALUE: [u8; 100] = [b'x'; 100];

/// The connections.
pub struct Traffic(Vec<Wire>);

/// What they did.
pub struct Moved {
    /// How many commands.
    pub operations: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// How long a batch took.
    pub times: Times,
}

impl Traffic {
    /// Connects, and writes all keys.
    pub fn connect(url: &str) -> Result<Traffic, String> {
        let wires = (0..CONNECTIONS).map(|_| Wire::connect(url));
        let mut wires = wires.collect::<Result<Vec<Wire>, String>>()?;
        for number in 0..KEYS {
            wires[0].push(&[b"SET", key(number).as_bytes(), &VALUE]);
        }
        wires[0].flush()?;
        for _ in 0..KEYS {
            wires[0].reply()?;
        }
        Ok(Traffic(wires))
    }

    /// Sends as much as the server can take, for so long.
    pub fn run(&mut self, duration: Duration) -> Result<Moved, String> {
        let start = Instant::now();
        let end = start + duration;
        let moved: Vec<Result<Sent, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .iter_mut()
                .map(|wire| scope.spawn(move || send(wire, end)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|done| done.unwrap_or_else(|_| Err("a thread panicked".to_owned())))
                .collect()
        });
        let seconds = start.elapsed().as_secs_f64();
        let (mut operations, mut times) = (0, Times::default());
        for one in moved {
            let (count, pairs) = one?;
            operations += count;
            times.add(&pairs);
        }
        Ok(Moved {
            operations,
            seconds,
            times,
        })
    }
}

/// How many commands, and how long the batches took.
type Sent = (u64, Pairs);

fn key(number: usize) -> String {
    format!("traffic:{number:05}")
}

fn send(wire: &mut Wire, end: Instant) -> Result<Sent, String> {
    let (mut operations, mut pairs) = (0, Vec::new());
    let mut now = Instant::now();
    while now < end {
        for at in 0..BATCH {
            let key = key(fastrand::usize(..KEYS));
            match at % 2 {
                0 => wire.push(&[b"GET", key.as_bytes()]),
                _ => wire.push(&[b"SET", key.as_bytes(), &VALUE]),
            }
        }
        wire.flush()?;
        for _ in 0..BATCH {
            if let Reply::Error(error) = wire.reply()? {
                return Err(error);
            }
        }
        let done = Instant::now();
        pairs.push(((done - now).as_micros() as u64, 1));
        operations += BATCH as u64;
        now = done;
    }
    Ok((operations, pairs))
}
