//! The world as a model that stateright explores: what may happen next, and what must hold.
//!
//! What must always hold is checked in every state. That a waiter is served or leaves *in the end* is checked less
//! thoroughly: stateright looks at it only where a path ends, in a state in which nothing can happen any more. It is not told of a
//! path that returns to a state where it was before, and where two paths meet it goes on with what it knew of the first
//! (`Property::eventually` of its documentation says so). So what is shown is that no world comes to its end with
//! someone waiting. It is not shown that each world comes to its end. Calls, repeats, breaks and standstills are bounded, and time only
//! goes on; so the one thing that may go on for ever is a session that is renewed again and again. There a waiter may wait as long
//! as its holder likes. That it waits for nothing but a holder or a grace period is checked in every state ("nobody
//! waits for a free lock"), and that what is due is done, too ("a wakeup leaves nothing due").

use super::client::{Call, Doing, Verb};
use super::config::{Config, Forgets, STOOD_STILL};
use super::data::{lock_name, Lock};
use super::world::{Node, World, Wrong};
use redis_reentrant_lock::engine::{ClientId, Event, Step};
use redis_reentrant_lock::lock::LockKey;
use stateright::{Model, Property};

/// What may happen next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A client calls a server, which answers or blocks it.
    Call(usize, usize, Call),
    /// It loses its connection before the reply.
    CallUnheard(usize, usize, Call),
    /// It loses its connection before the server reads the call.
    CallLate(usize, usize, Call),
    /// The server reads a call of which the client knows nothing any more.
    Arrive(ClientId),
    /// A client that waits, or has a session, loses its connection.
    Break(usize),
    /// A client does not repeat a call to which it had no reply.
    GiveUp(usize),
    /// A client calls the new master from now on.
    Switch(usize),
    /// A server sees that a connection is closed.
    SeeClosed(ClientId),
    /// A server's event loop delivers its replies.
    Flush(usize),
    /// A server does what is due.
    WakeUp(usize),
    /// A server deletes a lock whose lease is over.
    Expire(usize, Lock),
    /// Nothing happens until then.
    Pass(i64),
    /// The process of the first master stands still.
    Stall,
    /// It goes on.
    GoOn,
    /// The replica gets no more from its master.
    Cut,
    /// It becomes a master.
    Promote,
    /// The old master learns of that.
    Demote,
}

impl Model for Config {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wrong.is_some() {
            return;
        }
        if world.stood_still_for(self.grace + self.ttl) {
            actions.push(Action::GoOn);
            return;
        }
        // A master that refuses to write has nothing to tell but that to its sessions: fewer orders are tried.
        if world.is_master_stopped() {
            actions.push(match world.replica {
                Some(_) => Action::Promote,
                None => Action::Demote,
            });
            return;
        }
        for client in 0..world.clients.len() {
            self.client_actions(world, client, actions);
        }
        let is_read = |server| !(server == 0 && world.is_still());
        let abandoned = world.connections.iter().filter(|one| one.abandoned);
        for one in abandoned.filter(|one| is_read(one.server)) {
            actions.push(Action::SeeClosed(one.id));
            if one.late.is_some() {
                actions.push(Action::Arrive(one.id));
            }
        }
        let mut is_still = true;
        for (server, node) in world.live() {
            if !node.is_quiet() {
                is_still = false;
                actions.push(Action::Flush(server));
            }
            if self.is_due(node, world.now) {
                is_still = false;
                actions.push(Action::WakeUp(server));
            }
            let over = |node: &Node, lock: &Lock| {
                let entry = node.data.get(lock);
                entry.is_some_and(|entry| world.now > node.time_of(entry.deadline))
            };
            let ended = (0..self.locks).filter(|lock| over(node, lock));
            actions.extend(ended.map(|lock| Action::Expire(server, lock)));
        }
        if is_still {
            actions.extend(world.next_time(self).map(Action::Pass));
        }
        let can_promote = world.replica.is_some();
        let promoted = world.nodes[1].is_some();
        if self.failover && !can_promote && !promoted {
            actions.push(Action::Cut);
        }
        if can_promote {
            actions.push(Action::Promote);
        }
        if promoted && world.nodes[0].is_some() && !world.is_still() {
            actions.push(Action::Demote);
        }
        if world.is_still() {
            // Of the standstills that are not noticed, the longest delays most: fewer orders are tried.
            if world.stood_still_for(STOOD_STILL - 1) {
                actions.push(Action::GoOn);
            }
        } else if self.stalls && world.faults > 0 && world.nodes[0].is_some() {
            actions.push(Action::Stall);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let world = &mut next;
        let now = world.now;
        match action {
            Action::Call(client, server, call) => world.call(client, server, call, self),
            Action::CallUnheard(client, server, call) => {
                world.faults -= 1;
                world.call_unheard(client, server, call, self);
            }
            Action::CallLate(client, server, call) => {
                world.faults -= 1;
                world.call_late(client, server, call);
            }
            Action::Arrive(id) => {
                let call = world.connection(id).late?;
                world.arrive(id, call, self);
            }
            Action::Break(client) => {
                world.faults -= 1;
                world.abandon(client);
            }
            Action::GiveUp(client) => world.clients[client].doing = Doing::Idle,
            Action::Switch(client) => world.abandon(client),
            Action::SeeClosed(id) => world.close_unless(id, self.host_forgets),
            Action::Flush(server) => world.flush(server),
            Action::WakeUp(server) => {
                world.step(server, ClientId(0), |engine, port, effects| {
                    Step::begin(engine, port, effects).wake_up();
                });
                let node = world.node(server);
                // What waits for a delivery is due until then.
                if node.is_quiet() && node.is_due(now) {
                    world.wrong = Some(Wrong::Busy);
                }
            }
            Action::Expire(server, lock) => {
                world.node(server).data.remove(&lock);
                let name = lock_name(lock).as_slice().into();
                let key = LockKey { db: 0, name };
                world.note(server, Event::KeyChanged { key, expired: true });
            }
            Action::Pass(until) => world.pass(until),
            Action::Stall => {
                world.faults -= 1;
                world.stall();
            }
            Action::GoOn => world.go_on(self),
            Action::Cut => {
                let refuses_after = world.now + self.cut_off;
                let master = world.node(0);
                master.refuses_after = Some(refuses_after);
                world.replica = Some(master.data.clone());
            }
            Action::Promote => world.promote(self),
            Action::Demote => world.demote(),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Config>> {
        vec![
            Property::always(
                "no two owners believe in one lock",
                |config: &Config, world: &World| {
                    (0..config.locks).all(|lock| world.believers(lock) < 2)
                },
            ),
            Property::always("tokens grow", |_, world: &World| {
                world.wrong != Some(Wrong::TokenFalls)
            }),
            Property::always("counts are right", |_, world: &World| {
                world.wrong != Some(Wrong::Count)
            }),
            Property::always("each call is answered at most once", |_, world: &World| {
                world.wrong != Some(Wrong::AnsweredTwice)
            }),
            Property::always("nobody is overtaken", |_, world: &World| {
                world.wrong != Some(Wrong::Overtaken)
            }),
            Property::always("a wakeup leaves nothing due", |_, world: &World| {
                world.wrong != Some(Wrong::Busy)
            }),
            Property::always("each write fits what is stored", |_, world: &World| {
                !matches!(world.wrong, Some(Wrong::Misuse(_)))
            }),
            Property::always("each hold was told to its owner", |_, world: &World| {
                world
                    .settled()
                    .all(|(_, node)| world.all_holds_are_known(node))
            }),
            Property::always("no session has a closed connection", |_, world: &World| {
                world
                    .settled()
                    .all(|(_, node)| world.no_session_is_left(node))
            }),
            Property::always("nobody waits for a free lock", |_, world: &World| {
                world
                    .settled()
                    .all(|(server, _)| world.all_waits_have_a_reason(server))
            }),
            Property::eventually(
                "a waiter is served or leaves",
                |config: &Config, world: &World| world.wrong.is_some() || world.is_over(config),
            ),
        ]
    }
}

impl Config {
    fn is_due(&self, node: &Node, now: i64) -> bool {
        self.host_forgets != Some(Forgets::Wakeups) && node.is_due(now)
    }

    fn client_actions(&self, world: &World, number: usize, actions: &mut Vec<Action>) {
        let client = &world.clients[number];
        let may_break = world.faults > 0;
        match client.doing {
            Doing::Waiting(_) if may_break => actions.push(Action::Break(number)),
            Doing::Waiting(_) => (),
            Doing::Unknown(call) => {
                // Who gives up a release and acquires again may find the hold that the release ends later.
                if !matches!(call.verb, Verb::Release { .. }) {
                    actions.push(Action::GiveUp(number));
                }
                self.call_actions(world, number, call, actions);
            }
            Doing::Idle => {
                for call in self.calls_of(world, number) {
                    self.call_actions(world, number, call, actions);
                }
                let bound = client.beliefs.iter().any(|belief| belief.until.is_none());
                if bound && may_break {
                    actions.push(Action::Break(number));
                }
                let server = world.server_of(number);
                if server == Some(0) && world.nodes[1].is_some() {
                    actions.push(Action::Switch(number));
                }
            }
        }
    }

    /// The calls that a client may begin.
    fn calls_of(&self, world: &World, number: usize) -> Vec<Call> {
        let client = &world.clients[number];
        let mut calls = Vec::new();
        for lock in 0..self.locks {
            let belief = client.belief(lock);
            let token = belief.map(|belief| belief.token);
            let mut add = |verb| calls.push(Call { lock, verb, token });
            let held = belief.map_or(0, |belief| belief.holds);
            if held > 0 {
                add(Verb::Release { left: held - 1 });
            }
            if client.calls == 0 {
                continue;
            }
            if held < self.most_holds {
                for how in &self.hows {
                    let (holds, how) = (held + 1, *how);
                    add(Verb::Acquire { holds, how });
                }
            }
            if held > 0 && self.renews {
                add(Verb::Renew);
            }
        }
        calls
    }

    /// The ways in which a call may go.
    fn call_actions(&self, world: &World, number: usize, call: Call, actions: &mut Vec<Action>) {
        let own = world.server_of(number);
        for (server, node) in world.live() {
            let moved = own.is_none() && world.clients[number].opened > 0;
            let other = own.is_some_and(|own| own != server);
            let other = other || (moved && server == 0 && world.nodes[1].is_some());
            // The server itself answers then.
            if other || node.refuses(world.now) {
                continue;
            }
            actions.push(Action::Call(number, server, call));
            if world.faults > 0 {
                actions.push(Action::CallUnheard(number, server, call));
                if self.late_calls {
                    actions.push(Action::CallLate(number, server, call));
                }
            }
        }
    }
}
