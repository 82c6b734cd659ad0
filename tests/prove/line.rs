//! A connection of a client, which records what it sends and hears.

use crate::check::{Call, Conn, Op, Owner, Reply, Server, Us, What};
use crate::record::{Journal, LockId, Of};
use crate::resp::{self, Said};
use crate::route::{Address, Target};
use crate::world::World;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A client gives up a call that is not answered for so long, where something stands between it and the server.
pub const BROKEN_AFTER: Duration = Duration::from_millis(700);

/// And so late where nothing does: the server owes an answer then.
pub const OWED_WITHIN: Duration = lock_test_support::PATIENCE;

/// How long a read takes at most before it looks around.
const TICK: Duration = Duration::from_millis(20);

/// When the holder of a session that is kept while its connection is open would lose it by its lease: never.
const NEVER: Us = Us::MAX / 4;

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub lock: LockId,
    pub owner: Owner,
    pub op: Op,
}

/// What came for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Reply(Reply),
    /// An error, with its whole text.
    Refused(String),
}

/// The connection is closed, or no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
pub struct Line {
    stream: Stream,
    pub target: Target,
    /// The process at its other end.
    pub server: Server,
    pub conn: Conn,
    /// What is to be sent, and the calls in it.
    out: Vec<u8>,
    unsent: Vec<Option<(Call, Request)>>,
    received: Vec<u8>,
    parsed: usize,
    /// What was sent and not answered, and when. None: a command whose reply nobody asks for.
    open: VecDeque<Option<(Call, Request, Us)>>,
    /// When it was certainly open last.
    open_at: Us,
    /// Sessions are relied on as long as it is open.
    pub while_open: bool,
    /// The server has accepted it: it has answered on it.
    is_accepted: bool,
    ended: bool,
}

impl Line {
    /// Connects. `while_open`: sessions are relied on as long as the socket is open.
    pub fn connect(world: &World, target: Target, while_open: bool) -> Option<Line> {
        let node = &world.nodes[target.node];
        let server = node.life();
        let stream = match &target.address {
            Address::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).ok()?;
                stream.set_nodelay(true).ok()?;
                stream.set_read_timeout(Some(TICK)).ok()?;
                stream.set_write_timeout(Some(OWED_WITHIN)).ok()?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).ok()?;
                stream.set_read_timeout(Some(TICK)).ok()?;
                stream.set_write_timeout(Some(OWED_WITHIN)).ok()?;
                Stream::Unix(stream)
            }
        };
        // Else it may be to the process that has just ended, or to the next one.
        if node.life() != server {
            return None;
        }
        Some(Line {
            stream,
            while_open: while_open && target.straight,
            target,
            server,
            conn: world.new_conn(),
            out: Vec::new(),
            unsent: Vec::new(),
            received: Vec::new(),
            parsed: 0,
            open: VecDeque::new(),
            open_at: world.clock.now(),
            is_accepted: false,
            ended: false,
        })
    }

    /// Adds a call to what [`Line::flush`] sends.
    pub fn push(&mut self, world: &World, journal: &mut Journal, request: Request) {
        encode(
            &mut self.out,
            &world.lock_name(request.lock),
            &format!("o{}", request.owner),
            &request.op,
        );
        self.unsent.push(Some((journal.number(), request)));
    }

    /// Adds a command to what is sent whose reply nobody asks for: `ASKING`, `CLIENT ...`.
    pub fn push_raw(&mut self, words: &[&str]) {
        command(&mut self.out, words);
        self.unsent.push(None);
    }

    /// Sends in one go what was added.
    pub fn flush(&mut self, journal: &mut Journal) -> Result<(), Closed> {
        let at = journal.before();
        let first = self.open.len();
        for unsent in self.unsent.drain(..) {
            let Some((call, request)) = unsent else {
                self.open.push_back(None);
                continue;
            };
            let what = What::Sent {
                call,
                owner: request.owner,
                conn: self.conn,
                server: self.server,
                lock: 0,
                op: request.op,
            };
            journal.note(at, Of::Lock(request.lock), what);
            self.open.push_back(Some((call, request, at)));
        }
        let sent = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(&self.out),
            Stream::Unix(stream) => stream.write_all(&self.out),
        };
        self.out.clear();
        if sent.is_err() {
            return Err(self.end(journal, false));
        }
        // What is written to a Unix socket is at its other end, where the server looks if it has accepted it.
        if matches!(self.stream, Stream::Unix(_)) && self.is_accepted {
            self.note_waits(journal, first);
        }
        Ok(())
    }

    /// Records that the waits among the calls from this one on have been written.
    fn note_waits(&self, journal: &mut Journal, first: usize) {
        let at = journal.now();
        for (call, request, _) in self.open.range(first..).flatten() {
            if matches!(request.op, Op::Acquire { wait: Some(_), .. }) {
                let call = *call;
                journal.note(at, Of::Lock(request.lock), What::Written { call });
            }
        }
    }

    /// Reads the reply to the first call that is not answered. `limit` is how long this call may rightly take: a wait
    /// takes its time.
    pub fn hear(
        &mut self,
        world: &World,
        journal: &mut Journal,
        limit: Duration,
    ) -> Result<(Request, Us, Heard), Closed> {
        let patience = match self.target.straight {
            true => OWED_WITHIN,
            false => BROKEN_AFTER,
        };
        let mut late = Instant::now() + limit.saturating_add(patience);
        let mut was_over = world.is_over();
        loop {
            if let Some(said) = self.parse() {
                let (call, request, at) = match self.open.pop_front() {
                    Some(Some(sent)) => sent,
                    Some(None) => continue,
                    None => {
                        world.fail(format!("a reply that nobody waits for: {said:?}"));
                        return Err(self.end(journal, true));
                    }
                };
                self.open_at = self.open_at.max(at);
                self.is_accepted = true;
                let heard = understand(&said, &request.op);
                self.learn(journal, call, &request, &heard);
                return Ok((request, at, heard));
            }
            self.fill(journal)?;
            // From the end of the round on, every wait is over soon: nobody holds a lock for long.
            if world.is_over() && !was_over {
                was_over = true;
                late = late.min(Instant::now() + patience + Duration::from_secs(5));
            }
            if Instant::now() > late {
                if self.target.straight {
                    let owed = self.open.iter().flatten().next();
                    let now = journal.now();
                    world.fail(format!(
                        "at {now}: no reply to {owed:?} on {:?}",
                        self.target
                    ));
                }
                return Err(self.end(journal, true));
            }
        }
    }

    /// Whether the other end has not closed it, as far as is known here.
    pub fn is_open(&mut self, journal: &mut Journal) -> bool {
        if self.ended {
            return false;
        }
        let is_open = self.look(journal);
        if !is_open {
            let _ = self.end(journal, false);
        }
        is_open
    }

    fn look(&mut self, journal: &Journal) -> bool {
        let at = journal.now();
        let mut byte = [0];
        let _ = self.set_nonblocking(true);
        let peeked = match &self.stream {
            Stream::Tcp(stream) => stream.peek(&mut byte),
            // It cannot be peeked at; nothing is expected, so to read is the same.
            Stream::Unix(stream) => {
                let mut stream = stream;
                stream.read(&mut byte)
            }
        };
        let _ = self.set_nonblocking(false);
        match peeked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.while_open {
                    self.open_at = self.open_at.max(at);
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            // Then the next reply is not the one that is waited for, or none is.
            Ok(1..) => {
                if matches!(self.stream, Stream::Unix(_)) {
                    self.received.push(byte[0]);
                }
                true
            }
            _ => false,
        }
    }

    /// Whether it has not ended, as far as it was used.
    pub fn is_usable(&self) -> bool {
        !self.ended
    }

    /// Closes it, whatever is under way.
    pub fn close(mut self, journal: &mut Journal) {
        let _ = self.end(journal, true);
    }

    fn set_nonblocking(&self, on: bool) -> std::io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(on),
            Stream::Unix(stream) => stream.set_nonblocking(on),
        }
    }

    fn parse(&mut self) -> Option<Said> {
        let (said, length) = resp::parse(&self.received[self.parsed..])?;
        self.parsed += length;
        if self.parsed == self.received.len() {
            self.received.clear();
            self.parsed = 0;
        }
        Some(said)
    }

    fn fill(&mut self, journal: &mut Journal) -> Result<(), Closed> {
        let mut chunk = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut chunk),
            Stream::Unix(stream) => stream.read(&mut chunk),
        };
        match read {
            Ok(read @ 1..) => {
                self.received.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            _ => Err(self.end(journal, false)),
        }
    }

    /// Records the answer to a call, and what its owner may rely on by it.
    fn learn(&self, journal: &mut Journal, call: Call, request: &Request, heard: &Heard) {
        let reply = match heard {
            Heard::Reply(reply) => reply.clone(),
            Heard::Refused(text) => {
                let code = text.split(' ').next().unwrap_or_default();
                Reply::Error(code.into())
            }
        };
        let of = Of::Lock(request.lock);
        let lasts = match (&reply, request.op) {
            (
                Reply::Grant {
                    holds: 1.., token, ..
                },
                Op::Acquire {
                    session: Some(_), ..
                },
            ) if self.while_open => Some(*token),
            _ => None,
        };
        let at = journal.learn(of, What::Heard { call, reply });
        // The server renews it by itself, as long as the connection is open.
        if let Some(token) = lasts {
            let until = NEVER;
            let what = What::Lease {
                lock: 0,
                token,
                until,
            };
            journal.note(at, of, what);
        }
    }

    /// Records that it is closed. Where the server may have closed it before, nobody knows when: what was bound to it is
    /// not relied on any more since it was last seen open, since whoever reads is told at once.
    fn end(&mut self, journal: &mut Journal, by_client: bool) -> Closed {
        if std::mem::replace(&mut self.ended, true) {
            return Closed;
        }
        let (of, conn) = (Of::Conn(self.conn), self.conn);
        let at = journal.now();
        let _ = self.look(journal);
        if !by_client || !self.while_open || self.open_at < at {
            journal.note(self.open_at, of, What::Dropped { conn });
        }
        journal.note(journal.now(), of, What::Closed { conn, by_client });
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
        Closed
    }
}

/// What a reply means to the one who called.
fn understand(said: &Said, op: &Op) -> Heard {
    let unknown = || Heard::Refused(format!("PROTOCOL {said:?} to {op:?}"));
    match (said, op) {
        (Said::Error(text), _) => Heard::Refused(text.clone()),
        (Said::Many(_), Op::Acquire { .. } | Op::Renew { .. }) => match said.numbers().as_deref() {
            Some([0, 0, 0, ttl]) => Heard::Reply(Reply::Grant {
                holds: 0,
                token: 0,
                ttl: *ttl,
            }),
            Some([1, holds, token, ttl]) if *holds > 0 && *token > 0 => {
                Heard::Reply(Reply::Grant {
                    holds: *holds as u32,
                    token: *token,
                    ttl: *ttl,
                })
            }
            _ => unknown(),
        },
        (Said::Number(left), Op::Release { .. }) => Heard::Reply(Reply::Left(*left)),
        (Said::Text(text), Op::Assert { .. }) if text == "OK" => Heard::Reply(Reply::Ok),
        _ => unknown(),
    }
}

fn command(out: &mut Vec<u8>, words: &[&str]) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n{word}\r\n", word.len());
    }
}

fn encode(out: &mut Vec<u8>, lock: &str, owner: &str, op: &Op) {
    let mut words: Vec<String> = Vec::with_capacity(12);
    let option = |words: &mut Vec<String>, name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.push(name.to_owned());
            words.push(value);
        }
    };
    let name = match *op {
        Op::Acquire {
            ttl,
            wait,
            session,
            holds,
            token,
        } => {
            words.push(ttl.to_string());
            option(&mut words, "WAIT", wait.map(|ms| ms.to_string()));
            if let Some(linger) = session {
                words.push("SESSION".to_owned());
                let linger = (linger > 0).then(|| linger.to_string());
                option(&mut words, "LINGER", linger);
            }
            option(&mut words, "HOLDS", holds.map(|n| n.to_string()));
            option(&mut words, "TOKEN", token.map(|n| n.to_string()));
            "LOCK.ACQUIRE"
        }
        Op::Renew { ttl, token } => {
            words.push(ttl.to_string());
            option(&mut words, "TOKEN", token.map(|n| n.to_string()));
            "LOCK.RENEW"
        }
        Op::Assert { token } => {
            option(&mut words, "TOKEN", token.map(|n| n.to_string()));
            "LOCK.ASSERT"
        }
        Op::Release { holds, token } => {
            option(&mut words, "HOLDS", holds.map(|n| n.to_string()));
            option(&mut words, "TOKEN", token.map(|n| n.to_string()));
            "LOCK.RELEASE"
        }
    };
    let mut all = vec![name, lock, owner];
    all.extend(words.iter().map(String::as_str));
    command(out, &all);
}
