//! Runners in a ring who pass something on: a lock, or an element of a list.

use crate::common::pack;
use crate::common::support::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What is passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Baton {
    /// A lock: its owner releases it, and the next one waits in line for it.
    Lock,
    /// An element of a list: `LPUSH`, and the next one waits in `BLPOP`.
    Element,
}

/// The runners, of whom some wait, in the order of the ring.
pub struct Relay {
    runners: Vec<Runner>,
    /// Whose turn it is to pass on.
    holder: usize,
    waiting: usize,
    got: &'static str,
}

struct Runner {
    stream: TcpStream,
    /// How it begins to wait, and how it passes on.
    wait: Vec<u8>,
    pass: Vec<u8>,
}

impl Relay {
    /// So many runners, of whom so many wait.
    pub fn new(server: &Server, baton: Baton, name: &str, runners: usize, waiting: usize) -> Relay {
        assert!(waiting < runners);
        let got = match baton {
            Baton::Lock => "*4\r\n:1\r\n:1\r\n:",
            Baton::Element => "*2\r\n$",
        };
        let runners = (0..runners).map(|number| Runner::new(server, baton, name, number));
        let mut relay = Relay {
            runners: runners.collect(),
            holder: 0,
            waiting,
            got,
        };
        if baton == Baton::Lock {
            let first = &mut relay.runners[0];
            first.send_wait();
            first.expect(got);
        }
        for waiting in 1..=waiting {
            relay.runners[waiting].send_wait();
            relay.settle();
        }
        relay
    }

    /// Passes on once: how long it takes from the sending until the next one knows.
    pub fn pass_on(&mut self) -> Duration {
        let (count, before) = (self.runners.len(), self.holder);
        let next = (before + 1) % count;
        let mut reply = [0; 128];
        let start = Instant::now();
        self.runners[before].send_pass();
        let length = self.runners[next].stream.read(&mut reply).unwrap();
        let took = start.elapsed();
        assert!(
            reply[..length].starts_with(self.got.as_bytes()),
            "the next one got {:?}",
            String::from_utf8_lossy(&reply[..length])
        );
        self.runners[before].expect(":");
        self.holder = next;
        self.runners[(next + self.waiting) % count].send_wait();
        self.settle();
        took
    }

    /// Returns when the server has read all that was sent: it had arrived there before this, and so
    /// is read in the same turn of the event loop at the latest, before any reply goes out.
    fn settle(&mut self) {
        let holder = &mut self.runners[self.holder];
        holder.stream.write_all(b"PING\r\n").unwrap();
        holder.expect("+PONG\r\n");
    }
}

impl Runner {
    fn new(server: &Server, baton: Baton, name: &str, number: usize) -> Runner {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.set_nodelay(true).unwrap();
        // As long as Redisson's ids; of this relay only, for waits in several could close a cycle.
        let owner = format!("{name:->36}:{number:04}");
        let [wait, pass] = match baton {
            Baton::Lock => [
                format!("LOCK.ACQUIRE {name} {owner} 3600000 WAIT 0"),
                format!("LOCK.RELEASE {name} {owner}"),
            ],
            Baton::Element => [format!("BLPOP {name} 0"), format!("LPUSH {name} {owner}")],
        }
        .map(|line| pack(&line));
        Runner { stream, wait, pass }
    }

    fn send_wait(&mut self) {
        self.stream.write_all(&self.wait).unwrap();
    }

    fn send_pass(&mut self) {
        self.stream.write_all(&self.pass).unwrap();
    }

    /// Reads a reply, which is too short to come in two pieces.
    fn expect(&mut self, start: &str) {
        let mut reply = [0; 128];
        let length = self.stream.read(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply[..length]);
        assert!(reply.starts_with(start), "the reply was {reply:?}");
    }
}
