//! What the clients of a storm share: the servers, when it ends, and what has gone wrong.

use super::replies::{End, Reader, Reply};
use crate::support::{version, Server};
use fastrand::Rng;
use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A command and its arguments.
pub type Call = Vec<String>;

/// A line of words as a call.
pub fn call(line: &str) -> Call {
    line.split_whitespace().map(str::to_owned).collect()
}

/// So many of the last calls are told where a storm fails.
const JOURNAL: usize = 150;

/// How long a reply may take when the storm is over and every lock is freed.
const LATE: Duration = Duration::from_secs(30);

/// A storm over some servers.
pub struct World {
    /// Where the clients go: to one server, or to any node of a cluster.
    pub nodes: Vec<Server>,
    /// What the names of locks begin with: hash tags in a cluster.
    pub prefixes: Vec<String>,
    /// How many databases there are locks in.
    pub databases: usize,
    /// Whether fields of hashes may expire.
    pub fields_expire: bool,
    /// Whether keys may be renamed: Redis 7.4.1 then reads the freed name of a hash whose fields expire.
    pub renames: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when the storm is over.
    calm: Option<Instant>,
    failure: Option<String>,
    journal: VecDeque<String>,
    calls: u64,
}

impl World {
    /// A storm that begins.
    pub fn new(nodes: Vec<Server>, prefixes: Vec<String>, databases: usize) -> World {
        let fields_expire = nodes[0].client().has("HPEXPIRE");
        World {
            nodes,
            prefixes,
            databases,
            fields_expire,
            renames: !(fields_expire && version() == (7, 4)),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    /// Whether the clients are to come to an end.
    pub fn is_over(&self) -> bool {
        let state = self.state();
        state.calm.is_some() || state.failure.is_some()
    }

    /// Ends the storm: from now on what is asked has to be answered.
    pub fn end(&self) {
        self.state().calm = Some(Instant::now());
    }

    /// Begins it anew. Returns how many calls there were, or what was wrong.
    pub fn resume(&self) -> Result<u64, String> {
        let mut state = self.state();
        state.calm = None;
        match state.failure.take() {
            None => Ok(std::mem::take(&mut state.calls)),
            Some(failure) => {
                let journal: Vec<String> = state.journal.drain(..).collect();
                Err(format!(
                    "{failure}\nthe last calls:\n{}",
                    journal.join("\n")
                ))
            }
        }
    }

    /// Ends the storm for all. Only the first to fail is told of.
    pub fn fail(&self, wrong: String) {
        self.state().failure.get_or_insert(wrong);
    }

    /// Takes note of what someone does.
    pub fn note(&self, who: &str, what: &str) {
        let mut state = self.state();
        state.calls += 1;
        if state.journal.len() == JOURNAL {
            state.journal.pop_front();
        }
        let what: String = what.chars().take(400).collect();
        state.journal.push_back(format!("{who}: {what}"));
    }

    /// Whether what is asked should have been answered by now.
    pub fn is_late(&self) -> bool {
        let state = self.state();
        state.failure.is_some() || state.calm.is_some_and(|calm| calm.elapsed() > LATE)
    }

    /// Connects to a node. None where the storm has failed, as where the server is gone.
    pub fn connect(&self, node: usize, who: &str) -> Option<Line<'_>> {
        let address = ("127.0.0.1", self.nodes[node].port());
        for _ in 0..20 {
            if let Ok(socket) = TcpStream::connect(address) {
                socket.set_nodelay(true).ok()?;
                let timeout = Some(Duration::from_millis(100));
                socket.set_read_timeout(timeout).ok()?;
                return Some(Line {
                    world: self,
                    who: format!("{who} at {node}"),
                    node,
                    reader: Reader::new(socket.try_clone().ok()?, self),
                    socket,
                });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.fail(format!("{who} cannot connect to server {node}"));
        None
    }
}

/// A connection that checks that each call is answered once.
pub struct Line<'a> {
    world: &'a World,
    who: String,
    node: usize,
    socket: TcpStream,
    reader: Reader<'a>,
}

impl Line<'_> {
    /// Sends calls in one go and reads no reply.
    pub fn send(&mut self, calls: &[Call]) -> Result<(), End> {
        let shown: Vec<String> = calls.iter().map(|call| call.join(" ")).collect();
        self.world.note(&self.who, &shown.join("; "));
        let mut packed = Vec::new();
        for call in calls {
            let mut cmd = redis::Cmd::new();
            call.iter().for_each(|word| {
                cmd.arg(word);
            });
            packed.extend(cmd.get_packed_command());
        }
        self.socket.write_all(&packed).map_err(|_| End::Closed)
    }

    /// Sends calls in one go, reads so many replies to them, and makes sure that there are no more.
    pub fn exchange(&mut self, calls: &[Call], count: usize) -> Result<Vec<Reply>, End> {
        let mark = fastrand::u64(..).to_string();
        let mut sent = calls.to_vec();
        sent.push(call(&format!("ECHO {mark}")));
        self.send(&sent)?;
        let replies = self.read(calls, count)?;
        match self.read(calls, 1)?.pop() {
            Some(Reply::Text(text)) if text == mark => Ok(replies),
            // Its user has lost this right too.
            Some(Reply::Error(text)) if text.starts_with("NOPERM") => Ok(replies),
            other => {
                let wrong = format!("{} got {replies:?} and then {other:?}", self.who);
                self.world.fail(format!("{wrong} for {calls:?}"));
                Err(End::Closed)
            }
        }
    }

    /// Reads so many replies to these calls.
    pub fn read(&mut self, calls: &[Call], count: usize) -> Result<Vec<Reply>, End> {
        let mut replies = Vec::new();
        while replies.len() < count {
            match self.reader.reply() {
                Ok(reply) => {
                    if let Some(wrong) =
                        reply.errors().iter().find(|text| text.contains("internal"))
                    {
                        self.world.fail(format!("{calls:?} got {wrong}"));
                    }
                    replies.push(reply);
                }
                Err(End::Late) => {
                    self.is_late(calls, &replies);
                    return Err(End::Late);
                }
                Err(End::Closed) => return Err(End::Closed),
            }
        }
        Ok(replies)
    }

    fn is_late(&self, calls: &[Call], replies: &[Reply]) {
        let wrong = format!("{} waits for a reply to {calls:?}", self.who);
        let port = self.socket.local_addr().map_or(0, |address| address.port());
        let mut client = self.world.nodes[self.node].client();
        let clients = client.run("CLIENT LIST");
        let paused = client.run("INFO clients") + &client.run("INFO replication");
        let address = format!("addr=127.0.0.1:{port} ");
        let shown = clients.lines().find(|line| line.contains(&address));
        let wrong = format!("{wrong}, and had {replies:?}: {shown:?}, {paused}");
        self.world.fail(wrong);
    }

    /// Throws away what has come, or waits for a moment.
    pub fn drain(&mut self) -> Result<(), End> {
        self.reader.drain()
    }
}

/// Whether SCRIPT FLUSH can be used: Redis 7.4.1 reads there what it has just freed.
pub fn forgets_scripts() -> bool {
    version() != (7, 4)
}

/// Picks one.
pub fn one_of<'a, T: ?Sized>(dice: &mut Rng, choices: &[&'a T]) -> &'a T {
    choices[dice.usize(..choices.len())]
}
