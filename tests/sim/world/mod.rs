//! A world of simulated servers, replicas and clients, with clocks and links of their own. The servers run the real
//! engine. Everything follows from a schedule.

mod call;
mod client;
mod data;
mod fault;
mod host;
mod job;
mod node;
mod replication;
mod turn;
mod watch;

use crate::check::{self, Call, Entry, Lock, Op, Us};
use crate::schedule::{Config, Schedule, What};
use crate::stats::Stats;
use client::Client;
use host::Shared;
use node::Node;
use redis_reentrant_lock::engine::Effects;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A millisecond and a second.
pub const MS: Us = 1000;
pub const SECOND: Us = 1_000_000;

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Action(u32),
    /// A call arrives at its server.
    Request(Call),
    /// Its reply arrives at its client.
    Reply(Call),
    /// The other end's close arrives.
    ServerSeesClose(u32),
    ClientSeesClose(u32),
    Timer(u8),
    /// The commands of an iteration of the event loop are done.
    LoopEnds(u8),
    /// Once a second.
    Cron(u8, u32),
    /// A replica gets the stream up to there, of that link.
    Stream(u8, u32, u32),
    Acknowledged(u8, u8),
    /// A master of a cluster notices that it is isolated, for the time with that number.
    ClusterFails(u8, u32),
    /// A server that crashed is there again.
    Back(u8),
    /// A client goes on, unless it has done something else since.
    Client(u8, u32),
    /// A client gives a call up.
    GivesUp(Call),
}

/// A connection.
#[derive(Debug, Clone, Copy)]
struct Connection {
    client: u8,
    server: u8,
    /// The server's process when it was opened.
    life: u32,
    open_at_client: bool,
    open_at_server: bool,
    /// When the last message of each direction arrives.
    last_up: Us,
    last_down: Us,
}

/// A call that was sent.
#[derive(Debug, Clone)]
struct Sent {
    at: Us,
    conn: u32,
    lock: Lock,
    op: Op,
    reply: Option<check::Reply>,
}

pub struct World<'a> {
    config: &'a Config,
    schedule: &'a Schedule,
    now: Us,
    count: u64,
    events: BinaryHeap<Reverse<(Us, u64, Event)>>,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    conns: Vec<Connection>,
    calls: Vec<Sent>,
    shared: Shared,
    effects: Effects,
    /// The newest master.
    leader: u8,
    /// Directions between servers in which everything is lost.
    cuts: Vec<(u8, u8)>,
    /// Grants: the token, and the call that was granted it.
    grants: Vec<(i64, Call)>,
    /// The youngest connection that each lock was bound to, with its token and linger.
    bound: [Option<(u32, i64, i64)>; data::LOCKS],
    /// How many calls of each owner for each lock were answered.
    answers: [[u32; data::OWNERS]; data::LOCKS],
    pub history: Vec<Entry>,
    pub stats: Stats,
}

/// More events than any history has.
const MOST_EVENTS: u64 = 200_000;

impl<'a> World<'a> {
    pub fn new(schedule: &'a Schedule, faults: crate::Planted) -> World<'a> {
        let config = &schedule.config;
        let user = |n: u8| Arc::from([b'u', b'0' + n].as_slice());
        let mut world = World {
            config,
            schedule,
            now: 0,
            count: 0,
            events: BinaryHeap::with_capacity(64),
            nodes: (0..config.servers)
                .map(|n| Node::new(n, config, faults))
                .collect(),
            clients: (0..config.clients).map(Client::new).collect(),
            conns: Vec::with_capacity(16),
            calls: Vec::with_capacity(64),
            shared: Shared {
                conn_user: Vec::new(),
                allowed: [true; data::OWNERS],
                moves_slots: config.moves_slots(),
                cluster: config.cluster,
                slots: [(0, None); data::LOCKS],
                user_names: (0..config.clients).map(user).collect(),
            },
            effects: Effects::new(),
            leader: 0,
            cuts: Vec::new(),
            grants: Vec::new(),
            bound: Default::default(),
            answers: Default::default(),
            history: Vec::with_capacity(256),
            stats: Stats::default(),
        };
        world.begin();
        world
    }

    /// Executes the whole schedule, and lets everything come to rest.
    pub fn run(&mut self) {
        for (number, action) in self.schedule.actions.iter().enumerate() {
            self.at(action.at, Event::Action(number as u32));
        }
        self.run_until(self.config.end);
        self.come_to_rest();
        self.stats.histories += 1;
        self.stats.simulated += self.now;
        for node in self.nodes.iter().filter(|node| node.up) {
            self.stats.engine(&node.engine.counters);
        }
    }

    pub fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.stats)
    }

    fn run_until(&mut self, end: Us) {
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > end || self.count > MOST_EVENTS {
                break;
            }
            self.events.pop();
            self.now = at;
            self.happens(event);
        }
        if self.count > MOST_EVENTS {
            self.note(check::What::LeftOver {
                server: 0,
                text: "events without end".to_owned(),
            });
        }
        self.now = end;
    }

    fn at(&mut self, at: Us, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn after(&mut self, us: Us, event: Event) {
        self.at(self.now + us, event);
    }

    fn note(&mut self, what: check::What) {
        self.history.push(Entry { at: self.now, what });
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Action(number) => match &self.schedule.actions[number as usize].what {
                What::Job(job) => self.add_job(job.client, number),
                What::Fault(fault) => self.fault(*fault),
            },
            Event::Request(call) => self.request(call, event),
            Event::Reply(call) => self.hear(call),
            Event::ServerSeesClose(conn) => self.server_sees_close(conn, event),
            Event::ClientSeesClose(conn) => self.client_sees_close(conn, event),
            Event::Timer(server) => self.timer(server, event),
            Event::LoopEnds(server) => self.loop_ends(server, event),
            Event::Cron(server, life) => self.cron(server, life, event),
            Event::Stream(server, link, upto) => self.stream_arrives(server, link, upto, event),
            Event::Acknowledged(master, replica) => self.acknowledged(master, replica, event),
            Event::ClusterFails(server, number) => self.cluster_fails(server, number, event),
            Event::Back(server) => self.back(server),
            Event::Client(client, turn) => self.client_goes_on(client, turn),
            Event::GivesUp(call) => self.gives_up(call),
        }
    }
}
