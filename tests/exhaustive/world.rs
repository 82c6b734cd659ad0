//! The world: servers, connections, clients, and the time.

use super::client::{Call, Client, Doing};
use super::config::{Config, STOOD_STILL};
use super::data::{Data, Lock, Owner, Port};
use redis_reentrant_lock::engine::{
    Answer, ClientId, Clock, CutOffSettings, Effect, Effects, Engine, Event, Server, WaiterId,
};
use redis_reentrant_lock::lock::{Deadline, Millis, Now, Tick, Token};
use std::collections::BTreeMap;

/// When the world begins, in ms since the Unix epoch.
const EPOCH: i64 = 1_700_000_000_000;

/// A call that is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub id: WaiterId,
    pub call: Call,
    /// Whether the engine has answered it.
    pub answered: bool,
}

/// A connection that is open, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub id: ClientId,
    pub client: usize,
    pub server: usize,
    /// Whether the client has closed it.
    pub abandoned: bool,
    /// A call that the server has not read yet.
    pub late: Option<Call>,
    pub blocked: Option<Blocked>,
}

/// A server that takes calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub engine: Engine,
    pub data: Data,
    /// Replies that are delivered when this iteration of the event loop ends.
    pub replies: Vec<(WaiterId, Answer)>,
    /// Connections that are closed after that.
    pub closing: Vec<ClientId>,
    /// After when it refuses to write: it is cut off.
    pub refuses_after: Option<i64>,
    /// Since when its process stands still.
    pub still_since: Option<i64>,
    /// By how much its clock is behind, in ms.
    pub behind: i64,
    /// How many microseconds of the present millisecond are over.
    pub past: i64,
    /// The hold that was last sent to each owner, over a connection that the server saw open.
    pub sent: BTreeMap<(Lock, Owner), (Token, u32)>,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wrong {
    TokenFalls,
    Count,
    AnsweredTwice,
    Overtaken,
    Busy,
    Misuse(&'static str),
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// In ms since the beginning.
    pub now: i64,
    /// The first master, and the replica that takes its place.
    pub nodes: [Option<Node>; 2],
    /// What the replica knows, once it is cut off.
    pub replica: Option<Data>,
    /// Until when the promoted replica extends no lease.
    pub no_extension_until: Option<i64>,
    pub clients: Vec<Client>,
    pub connections: Vec<Connection>,
    /// How many more faults may occur.
    pub faults: u8,
    /// The largest token that a client was told of each lock, and whom.
    pub highest: BTreeMap<Lock, (Token, Owner)>,
    pub wrong: Option<Wrong>,
}

impl Node {
    /// A server with these locks.
    pub fn new(config: &Config, data: Data, master: bool) -> Node {
        let mut engine = Engine::new();
        engine.restart(config.settings(), false, master);
        engine.wait_times = None;
        engine.planted = config.fault;
        let sent = data.iter().map(|(lock, entry)| {
            let level = (entry.fence.token, entry.holds);
            ((*lock, entry.owner), level)
        });
        let mut node = Node {
            engine,
            sent: sent.collect(),
            data,
            replies: Vec::new(),
            closing: Vec::new(),
            refuses_after: None,
            still_since: None,
            behind: 0,
            past: config.past,
        };
        if config.knows_cut_off {
            let settings = CutOffSettings {
                cluster_node_timeout: Some(config.cut_off),
                min_replicas: 0,
                max_lag: 0,
            };
            node.note(Event::CutOffSettings(settings), 0);
        }
        node
    }

    /// Notes what has no effects but in the log.
    pub fn note(&mut self, event: Event, now: i64) {
        let clock = self.clock(now);
        let mut effects = Effects::new();
        self.engine.note(event, clock, &mut effects);
        let is_warning = |effect: &Effect| matches!(effect, Effect::Warn(_));
        assert!(effects.list().iter().all(is_warning), "{effects:?}");
    }

    pub fn clock(&self, now: i64) -> Clock {
        Clock {
            now: Now((EPOCH + now - self.behind) * 1000 + self.past),
            tick: Tick(now),
        }
    }

    /// When a lease ends, in the time of the world.
    pub fn time_of(&self, deadline: Deadline) -> i64 {
        deadline.0 - EPOCH + self.behind
    }

    pub fn refuses(&self, now: i64) -> bool {
        self.refuses_after.is_some_and(|from| now > from)
    }

    pub fn is_due(&self, now: i64) -> bool {
        let next = self.engine.next_wakeup(self.clock(now));
        next.is_some_and(|at| at.0 <= now)
    }

    /// Whether this iteration of the event loop has nothing left to do.
    pub fn is_quiet(&self) -> bool {
        self.replies.is_empty() && self.closing.is_empty()
    }

    pub fn is_in_grace(&self, now: i64) -> bool {
        let (_, _, _, grace) = self.engine.gauges(Tick(now));
        grace > Millis(0)
    }

    /// Points in time at which something changes.
    fn points(&self, now: i64) -> impl Iterator<Item = i64> + '_ {
        let wakeup = self.engine.next_wakeup(self.clock(now)).map(|at| at.0);
        let leases = self.data.values().flat_map(|entry| {
            let end = self.time_of(entry.deadline);
            // The server deletes it one later.
            [end, end + 1]
        });
        wakeup.into_iter().chain(leases).chain(self.refuses_after)
    }
}

impl World {
    /// Nothing has happened.
    pub fn new(config: &Config) -> World {
        let clients = (0..).zip(&config.calls);
        let clients = clients.map(|(owner, calls)| Client::new(owner, *calls));
        let mut node = Node::new(config, Data::new(), true);
        node.note(Event::LoopRan, 0);
        World {
            now: 0,
            nodes: [Some(node), None],
            replica: None,
            no_extension_until: None,
            clients: clients.collect(),
            connections: Vec::new(),
            faults: config.faults,
            highest: BTreeMap::new(),
            wrong: None,
        }
    }

    /// A server that takes calls.
    pub fn node(&mut self, server: usize) -> &mut Node {
        self.nodes[server].as_mut().expect("it takes calls")
    }

    /// Those that take calls.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        let nodes = nodes.filter_map(|(server, node)| Some((server, node.as_ref()?)));
        nodes.filter(|(_, node)| node.still_since.is_none())
    }

    /// An open connection.
    pub fn connection(&mut self, id: ClientId) -> &mut Connection {
        let mut all = self.connections.iter_mut();
        all.find(|one| one.id == id).expect("it is open")
    }

    /// Runs a step of a server, and carries out its effects.
    pub fn step<R>(
        &mut self,
        server: usize,
        caller: ClientId,
        run: impl FnOnce(&mut Engine, &mut Port, &mut Effects) -> R,
    ) -> R {
        let now = self.now;
        let node = self.node(server);
        let clock = node.clock(now);
        let mut effects = Effects::new();
        let mut port = Port {
            now: clock.now,
            tick: clock.tick,
            caller,
            refuses: node.refuses(now),
            misuse: None,
            data: &mut node.data,
        };
        let result = run(&mut node.engine, &mut port, &mut effects);
        let misuse = port.misuse;
        if let Some(misuse) = misuse {
            self.wrong = Some(Wrong::Misuse(misuse));
        }
        self.carry_out(server, &effects);
        result
    }

    /// Notes an event, and carries out its effects.
    pub fn note(&mut self, server: usize, event: Event) {
        self.step(server, ClientId(0), |engine, port, effects| {
            let (now, tick) = (port.now(), port.tick());
            engine.note(event, Clock { now, tick }, effects);
        });
    }

    fn carry_out(&mut self, server: usize, effects: &Effects) {
        let mut granted = Vec::new();
        for effect in effects.list() {
            match effect {
                Effect::Deliver(id, answer) => {
                    let mut all = self.connections.iter_mut();
                    let blocked = all.find_map(|one| {
                        let here = one.server == server;
                        one.blocked.as_mut().filter(|b| here && b.id == *id)
                    });
                    match blocked {
                        Some(blocked) if !blocked.answered => blocked.answered = true,
                        _ => self.wrong = Some(Wrong::AnsweredTwice),
                    }
                    if matches!(answer, Answer::Grant(grant) if grant.holds > 0) {
                        granted.push(*id);
                    }
                    self.node(server).replies.push((*id, answer.clone()));
                }
                Effect::Close(client) => self.node(server).closing.push(*client),
                Effect::Watch(_) | Effect::Publish(_) | Effect::Warn(_) => (),
            }
        }
        // All waits of one owner are granted together: the first of them had its turn.
        if let Some(first) = granted.iter().min() {
            self.check_order(server, *first);
        }
    }

    /// Whoever began to wait for the same lock before this one, and still waits, was overtaken.
    fn check_order(&mut self, server: usize, first: WaiterId) {
        let mut here = self.connections.iter().filter(|one| one.server == server);
        let granted = here.clone().find_map(|one| {
            let blocked = one.blocked.as_ref().filter(|b| b.id == first)?;
            Some((blocked.call.lock, self.clients[one.client].owner))
        });
        let overtaken = here.any(|one| {
            let owner = self.clients[one.client].owner;
            one.blocked.as_ref().is_some_and(|b| {
                let waits = !b.answered && b.id < first;
                waits && granted.is_some_and(|(lock, to)| b.call.lock == lock && owner != to)
            })
        });
        if overtaken {
            self.wrong = Some(Wrong::Overtaken);
        }
    }

    /// The next point in time at which something changes.
    pub fn next_time(&self, config: &Config) -> Option<i64> {
        let nodes = self.live().flat_map(|(_, node)| node.points(self.now));
        let still = self
            .nodes
            .iter()
            .flatten()
            .filter_map(|node| node.still_since);
        let longest_still = still.map(|since| since + STOOD_STILL);
        // Clients renew when a third of their lease is over.
        let beliefs = self.clients.iter().flat_map(|client| &client.beliefs);
        let thirds = beliefs.filter_map(|belief| Some(belief.until? - config.ttl / 3 * 2));
        let thirds = thirds.filter(|_| config.renews);
        nodes
            .chain(self.no_extension_until)
            .chain(thirds)
            .chain(longest_still)
            .filter(|at| *at > self.now)
            .min()
    }

    /// The client closes its connection.
    pub fn abandon(&mut self, client: usize) {
        if let Some(id) = self.clients[client].connection {
            self.connection(id).abandoned = true;
        }
        self.clients[client].disconnected();
    }

    /// Whether a client waits for a reply.
    pub fn anyone_waits(&self) -> bool {
        let waits = |client: &Client| matches!(client.doing, Doing::Waiting(_));
        self.clients.iter().any(waits)
    }
}
