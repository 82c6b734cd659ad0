//! A server: its engine, its data, its event loop.

use super::data::Data;
use super::host::{Host, Port, EPOCH};
use super::{Event, World, MS, SECOND};
use crate::check::{Call, Us, What};
use crate::schedule::Config;
use redis_reentrant_lock::engine::{self, Answer, Clock, Effects, Engine, Step, WaiterId, Watch};
use redis_reentrant_lock::lock::{Now, Tick};

/// A hold that has to end: no client was told of it, or its connection has closed.
#[derive(Debug, Clone)]
pub struct Unowned {
    pub lock: u8,
    pub owner: u8,
    pub token: i64,
    pub since: Us,
    /// How many calls of the owner for the lock were answered then. Another one may rely on the hold.
    pub answers: u32,
}

/// A server.
#[derive(Debug, Clone)]
pub struct Node {
    pub engine: Engine,
    pub host: Host,
    pub up: bool,
    /// Its event loop does not run before.
    pub still_until: Us,
    pub wall: Us,
    pub mono: Us,
    /// How often its process began.
    pub life: u32,
    pub timer_at: Option<Us>,
    /// Whether there was a grace period in its last step.
    pub in_grace: bool,
    pub loop_ends: bool,
    pub waiting: Vec<(WaiterId, Call)>,
    pub deliveries: Vec<(WaiterId, Answer)>,
    pub closes: Vec<u32>,
    /// Its master, if it is a replica, and the number of their link.
    pub follows: Option<u8>,
    pub link: u32,
    /// How much of its master's log it has got.
    pub got: u32,
    /// Since when it has lost the other masters of its cluster, and how often it has.
    pub isolated: Option<Us>,
    pub isolations: u32,
    /// Its replicas, and by its clock in seconds when each was heard.
    pub replicas: Vec<(u8, i64)>,
    /// Holds that have to end.
    pub unowned: Vec<Unowned>,
    /// Since when each lock is free though it is waited for.
    pub free_since: [Option<Us>; super::data::LOCKS],
}

impl Node {
    pub fn new(number: u8, config: &Config, faults: crate::Planted) -> Node {
        let master = number < config.masters;
        let mut engine = Engine::new();
        engine.restart(config.settings.clone(), config.cluster, master);
        engine.planted = faults;
        let data = Data::default();
        Node {
            engine,
            host: Host {
                number,
                data,
                base: data,
                log: Vec::new(),
                step: 0,
                master,
                enough_replicas: true,
                in_cluster: true,
                writes_paused_until: 0,
                watch: Watch::Nothing,
                expires_on_read: config.expires_on_read,
                inbox: Vec::new(),
                leases: Vec::new(),
            },
            up: true,
            still_until: 0,
            wall: config.wall[usize::from(number)],
            mono: 77 * SECOND * Us::from(number) + 345 * Us::from(number),
            life: 0,
            timer_at: None,
            in_grace: false,
            loop_ends: false,
            waiting: Vec::new(),
            deliveries: Vec::new(),
            closes: Vec::new(),
            follows: None,
            link: 0,
            got: 0,
            isolated: None,
            isolations: 0,
            replicas: Vec::new(),
            unowned: Vec::new(),
            free_since: Default::default(),
        }
    }

    pub fn clock(&self, us: Us) -> Clock {
        Clock {
            now: Now(EPOCH + us + self.wall),
            tick: Tick((us + self.mono).div_euclid(1000)),
        }
    }

    /// Its wall clock in whole seconds, as it counts the lag of replicas.
    pub fn seconds(&self, us: Us) -> i64 {
        (us + self.wall).div_euclid(SECOND)
    }

    pub fn cut_off(config: &Config) -> engine::Event {
        engine::Event::CutOffSettings(config.cut_off_settings())
    }
}

impl World<'_> {
    pub(super) fn begin(&mut self) {
        for server in 0..self.config.servers {
            self.tell(server, Node::cut_off(self.config));
            self.tell(server, engine::Event::LoopRan);
            let phase = self.config.phase[usize::from(server)];
            self.at(phase, Event::Cron(server, 0));
            let is_spare = self.config.has_spare && server + 1 == self.config.servers;
            if server >= self.config.masters && !is_spare {
                self.follow(server, 0);
            }
        }
    }

    pub(super) fn node(&mut self, server: u8) -> &mut Node {
        &mut self.nodes[usize::from(server)]
    }

    /// Whether a server handles events now. If its loop stands still, the event comes later.
    pub(super) fn runs(&mut self, server: u8, event: Event) -> bool {
        let node = &self.nodes[usize::from(server)];
        if !node.up {
            return false;
        }
        let still = node.still_until;
        if still > self.now {
            // Files are looked at before timers.
            let timers = matches!(
                event,
                Event::Timer(_) | Event::Cron(..) | Event::ClusterFails(..)
            );
            self.at(still + Us::from(timers), event);
            return false;
        }
        true
    }

    /// Notes an event.
    pub(super) fn tell(&mut self, server: u8, event: engine::Event) {
        let mut effects = std::mem::take(&mut self.effects);
        let now = self.now;
        let node = self.node(server);
        let clock = node.clock(now);
        node.engine.note(event, clock, &mut effects);
        self.carry_out(server, effects);
    }

    /// Runs a step.
    pub(super) fn step<T>(
        &mut self,
        server: u8,
        caller: Option<(u32, u8)>,
        run: impl FnOnce(&mut Engine, &mut Port, &mut Effects) -> T,
    ) -> T {
        let mut effects = std::mem::take(&mut self.effects);
        let us = self.now;
        let node = &mut self.nodes[usize::from(server)];
        let before = node.host.log.len();
        let clock = node.clock(us);
        let counters = node.engine.counters;
        let mut port = Port {
            host: &mut node.host,
            shared: &self.shared,
            clock,
            us,
            caller,
        };
        let result = run(&mut node.engine, &mut port, &mut effects);
        let was_in_grace = std::mem::take(&mut node.in_grace);
        let (_, _, _, grace) = node.engine.gauges(clock.tick);
        node.in_grace = grace.0 > 0;
        let ends_grace = was_in_grace && !node.in_grace;
        let after = &node.engine.counters;
        self.stats
            .step(&counters, after, caller.is_some(), ends_grace);
        self.wrote(server, before);
        self.carry_out(server, effects);
        result
    }

    /// What follows from writes: the replicas get them.
    pub(super) fn wrote(&mut self, server: u8, before: usize) {
        let now = self.now;
        let node = self.node(server);
        if node.host.log.len() == before {
            return;
        }
        node.host.step += 1;
        let wall = node.wall;
        // A session is not relied on for longer, whatever a clock says.
        let longest = now.saturating_add(node.engine.settings().longest_ttl().0.saturating_mul(MS));
        let mut leases = std::mem::take(&mut node.host.leases);
        for (lock, token, end) in leases.drain(..) {
            let until = (end.0 * MS - EPOCH - wall).min(longest);
            self.note(What::Lease { lock, token, until });
        }
        self.node(server).host.leases = leases;
        self.send_stream(server);
    }

    /// After each event of a server: what key events have told, and when it has to wake up.
    pub(super) fn turn(&mut self, server: u8) {
        if !self.node(server).up {
            return;
        }
        while let Some((lock, expired)) = self.node(server).host.inbox.pop() {
            let key = super::data::lock_key(lock);
            self.tell(server, engine::Event::KeyChanged { key, expired });
        }
        if self.config.hears_of_every_loop {
            self.tell(server, engine::Event::LoopRan);
        }
        self.watch_queues(server);
        self.watch_unowned(server);
        let (now, late) = (self.now, self.config.timers_late);
        let node = self.node(server);
        let Some(due) = node.engine.next_wakeup(node.clock(now)) else {
            return;
        };
        let at = now.max(due.0 * MS - node.mono) + 1 + late;
        if node.timer_at.is_none_or(|timer| at < timer) {
            node.timer_at = Some(at);
            self.at(at, Event::Timer(server));
        }
    }

    pub(super) fn timer(&mut self, server: u8, event: Event) {
        if !self.runs(server, event) {
            return;
        }
        let now = self.now;
        let node = self.node(server);
        // A later timer than the one that is set now was set before it.
        if node.timer_at.is_some_and(|at| at > now) {
            return;
        }
        node.timer_at = None;
        let clock = node.clock(now);
        let due = node.engine.next_wakeup(clock);
        if due.is_some_and(|due| due <= clock.tick) {
            self.step(server, None, |engine, port, effects| {
                Step::begin(engine, port, effects).wake_up();
            });
        }
        self.turn(server);
    }
}
