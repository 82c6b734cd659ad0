//! The servers of a scenario, and what all threads share: the clock, the end of the round, what is recorded of all.

use crate::check::{Conn, Server as ServerNumber, Us, What};
use crate::record::{Clock, Event, LockId, Of};
use crate::route::Route;
use crate::topology::Topology;
use lock_test_support::{show, Client, FakeClock, Proxy, Server};
use redis::{ConnectionLike, Value};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering::SeqCst};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A server that can be killed and started again.
pub struct Node {
    pub port: u16,
    process: Arc<Process>,
    keeper: Sender<Job>,
}

struct Process {
    server: Mutex<Server>,
    /// The number of the process in histories: a new one each time that it starts.
    life: AtomicU8,
    lives: Arc<AtomicU8>,
}

/// What the keeper does: a server ends with the thread that starts it, and faults are made by threads that end.
type Job = Box<dyn FnOnce() + Send>;

/// The servers, and what goes on with them.
pub struct World {
    pub nodes: Vec<Node>,
    pub route: Box<dyn Route>,
    /// How they stand to one another.
    pub topology: Topology,
    pub clock: Clock,
    /// What stands between some clients and the servers.
    pub proxies: Vec<Proxy>,
    /// The clock that the servers read, if it can be set.
    pub clock_of_servers: Option<FakeClock>,
    /// What the names of locks begin with, in turn: hash tags in a cluster.
    prefixes: Vec<String>,
    round: AtomicU32,
    owners: AtomicU32,
    conns: AtomicU32,
    lives: Arc<AtomicU8>,
    is_over: AtomicBool,
    events: Mutex<Vec<Event>>,
    failure: Mutex<Option<String>>,
}

impl World {
    /// Servers that run.
    pub fn new(servers: Vec<Server>, route: Box<dyn Route>) -> World {
        let lives = Arc::new(AtomicU8::new(servers.len() as u8));
        let (keeper, jobs) = channel::<Job>();
        std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        let node = |(number, server): (usize, Server)| Node {
            port: server.port(),
            process: Arc::new(Process {
                server: Mutex::new(server),
                life: AtomicU8::new(number as u8),
                lives: lives.clone(),
            }),
            keeper: keeper.clone(),
        };
        let nodes = servers.into_iter().enumerate().map(node).collect();
        World {
            lives,
            nodes,
            route,
            topology: Topology::Apart,
            clock: Clock::start(),
            proxies: Vec::new(),
            clock_of_servers: None,
            prefixes: vec![String::new()],
            round: AtomicU32::new(0),
            owners: AtomicU32::new(0),
            conns: AtomicU32::new(0),
            is_over: AtomicBool::new(true),
            events: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Has the names of locks begin with these, in turn.
    // What is not a cluster needs none.
    #[allow(dead_code)]
    pub fn with_prefixes(mut self, prefixes: &[&str]) -> World {
        self.prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        self
    }

    /// Says how the servers stand to one another.
    pub fn with_topology(mut self, topology: Topology) -> World {
        self.topology = topology;
        self
    }

    /// Begins a round: with new names for all locks and owners.
    pub fn begin(&self) {
        self.round.fetch_add(1, SeqCst);
        self.owners.store(0, SeqCst);
        for (number, node) in self.nodes.iter().enumerate() {
            node.process.life.store(number as u8, SeqCst);
        }
        self.lives.store(self.nodes.len() as u8, SeqCst);
        self.is_over.store(false, SeqCst);
    }

    /// Ends it: clients come to an end, and faults too.
    pub fn end(&self) {
        self.is_over.store(true, SeqCst);
    }

    /// Whether clients and faults are to come to an end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// Sleeps, but not beyond the end of the round.
    pub fn sleep(&self, time: Duration) {
        let end = std::time::Instant::now() + time;
        while !self.is_over() {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(Duration::from_millis(10)));
        }
    }

    /// The name of a lock in this round.
    pub fn lock_name(&self, lock: LockId) -> String {
        let prefix = &self.prefixes[lock as usize % self.prefixes.len()];
        format!("{prefix}r{}:{lock}", self.round.load(SeqCst))
    }

    /// A number for a new owner.
    pub fn new_owner(&self) -> u32 {
        self.owners.fetch_add(1, SeqCst)
    }

    /// A number for a new connection.
    pub fn new_conn(&self) -> Conn {
        self.conns.fetch_add(1, SeqCst)
    }

    /// Records what the checker has to know of all locks.
    pub fn note(&self, what: What) {
        self.note_of(Of::Everything, what);
    }

    /// Records what the checker has to know of one lock, or of those of a connection.
    pub fn note_of(&self, of: Of, what: What) {
        let mut events = lock(&self.events);
        let at = self.clock.now();
        events.push(Event { at, of, what });
    }

    /// The same of something that is only known afterwards.
    pub fn note_at(&self, at: Us, of: Of, what: What) {
        lock(&self.events).push(Event { at, of, what });
    }

    /// What was recorded since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.events))
    }

    /// Says what is wrong besides the history. The first is kept, and ends the round.
    pub fn fail(&self, wrong: String) {
        lock(&self.failure).get_or_insert(wrong);
        self.end();
    }

    /// What is wrong besides the history.
    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }
}

impl Node {
    /// The number of the process that runs now.
    pub fn life(&self) -> ServerNumber {
        self.process.life.load(SeqCst)
    }

    /// The server, which nobody else kills or restarts meanwhile.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        lock(&self.process.server)
    }

    /// Kills the process, lets `meanwhile` look at what it has stored, and starts it again there. False: it did not
    /// start, which is a failure.
    pub fn kill_and_restart(
        &self,
        world: &World,
        meanwhile: impl FnOnce(&Server) + Send + 'static,
    ) -> bool {
        let (process, (done, outcome)) = (self.process.clone(), channel());
        let job = move || {
            let ran = catch_unwind(AssertUnwindSafe(|| {
                let mut server = lock(&process.server);
                server.kill();
                // Nobody can connect until it is started: a connection knows which process it is to.
                let life = process.lives.fetch_add(1, SeqCst);
                process.life.store(life, SeqCst);
                meanwhile(&server);
                server.restart_in_place();
            }));
            let _ = done.send(ran.is_ok());
        };
        let is_up = self.keeper.send(Box::new(job)).is_ok() && outcome.recv() == Ok(true);
        if !is_up {
            world.fail(format!(
                "the server did not start again: {}",
                self.server().log()
            ));
        }
        is_up
    }

    /// A connection for faults. None if the server takes none now.
    pub fn control(&self) -> Option<Control> {
        Control::to(self.port)
    }

    /// Sends a line on a connection of its own. The reply as text; empty where there is none.
    pub fn say(&self, line: &str) -> String {
        self.control()
            .map_or_else(String::new, |mut control| control.say(line))
    }
}

/// A connection on which faults are made. It never panics: the server may be gone.
pub struct Control(redis::Connection);

/// How long a server may take for a command of a fault.
const PATIENCE: Duration = Duration::from_secs(20);

impl Control {
    /// Connects to a port.
    pub fn to(port: u16) -> Option<Control> {
        let url = format!("redis://127.0.0.1:{port}/");
        let client = redis::Client::open(url).ok()?;
        let connection = client.get_connection_with_timeout(PATIENCE).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Control(connection))
    }

    /// Sends words and returns the reply; none where the connection has ended.
    pub fn ask(&mut self, line: &str) -> Option<Value> {
        let mut cmd = redis::Cmd::new();
        line.split_whitespace().for_each(|word| {
            cmd.arg(word);
        });
        match self.0.req_command(&cmd) {
            Ok(value) => Some(value),
            Err(error) => redis::ServerError::try_from(error)
                .ok()
                .map(Value::ServerError),
        }
    }

    /// The same as text; empty where the connection has ended.
    pub fn say(&mut self, line: &str) -> String {
        self.ask(line).as_ref().map_or_else(String::new, show)
    }

    /// A field of a section of INFO, as a number.
    pub fn number(&mut self, section: &str, field: &str) -> Option<u64> {
        let text = self.say(&format!("INFO {section}"));
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found?.trim().parse().ok()
    }
}

/// A connection that panics where the server is gone, for what is looked at when all is calm.
pub fn client(node: &Node) -> Client {
    node.server().client()
}

/// A lock of this program, also after a thread that had it has panicked: that is reported as it is.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
