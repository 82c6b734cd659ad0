//! What is the same of two worlds that differ only in how late it is, and in the numbers of tokens and waiters.

use super::client::{Call, Client, Doing};
use super::world::{Connection, Node, World};
use redis_reentrant_lock::engine::{Answer, Visit, WaiterId};
use redis_reentrant_lock::lock::{Deadline, Fence, Tick, Token};
use std::hash::{Hash, Hasher};

/// The tokens and waiters that occur in a world, in order.
#[derive(Default)]
struct Names {
    tokens: Vec<Token>,
    /// Each with its server.
    waiters: Vec<(usize, WaiterId)>,
    server: usize,
}

/// Hashes a world, with places in [`Names`] instead of tokens and waiters, and spans instead of points in time.
struct Hashing<'a, H> {
    names: Names,
    now: i64,
    /// The time of the world at which the wall clock of the present server would read 0.
    zero: i64,
    hasher: &'a mut H,
}

/// Visits a world too.
trait VisitWorld: Visit {
    fn server(&mut self, server: usize, zero: i64);

    /// A point in time that does not matter any more when it is over.
    fn time(&mut self, at: i64);
}

impl Visit for Names {
    fn tick(&mut self, _: Tick) {}

    fn deadline(&mut self, _: Deadline) {}

    fn token(&mut self, token: Token) {
        self.tokens.push(token);
    }

    fn fence(&mut self, fence: Fence) {
        self.tokens.push(fence.token);
    }

    fn waiter(&mut self, id: WaiterId) {
        self.waiters.push((self.server, id));
    }

    fn other(&mut self, _: &impl Hash) {}
}

impl VisitWorld for Names {
    fn time(&mut self, _: i64) {}

    fn server(&mut self, server: usize, _: i64) {
        self.server = server;
    }
}

impl Names {
    fn sort(&mut self) {
        self.tokens.sort_unstable();
        self.tokens.dedup();
        self.waiters.sort_unstable();
        self.waiters.dedup();
    }
}

impl<H: Hasher> Visit for Hashing<'_, H> {
    fn tick(&mut self, tick: Tick) {
        self.hasher.write_i64(tick.0 - self.now);
    }

    /// Of a lease that is over it does not matter for how long.
    fn deadline(&mut self, deadline: Deadline) {
        let from_now = deadline.0 + self.zero - self.now;
        self.hasher.write_i64(from_now.max(-2));
    }

    fn token(&mut self, token: Token) {
        let place = self.names.tokens.binary_search(&token);
        self.hasher.write_usize(place.expect("it was visited"));
    }

    /// Without a bound on holds their start does not matter.
    fn fence(&mut self, fence: Fence) {
        self.token(fence.token);
    }

    fn waiter(&mut self, id: WaiterId) {
        let waiter = (self.names.server, id);
        let place = self.names.waiters.binary_search(&waiter);
        self.hasher.write_usize(place.expect("it was visited"));
    }

    fn other(&mut self, value: &impl Hash) {
        value.hash(self.hasher);
    }
}

impl<H: Hasher> VisitWorld for Hashing<'_, H> {
    fn time(&mut self, at: i64) {
        self.hasher.write_i64((at - self.now).max(0));
    }

    fn server(&mut self, server: usize, zero: i64) {
        self.names.server = server;
        self.zero = zero;
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut names = Names::default();
        self.visit(&mut names);
        names.sort();
        self.visit(&mut Hashing {
            names,
            now: self.now,
            zero: 0,
            hasher,
        });
    }
}

impl World {
    fn visit(&self, visitor: &mut impl VisitWorld) {
        visitor.other(&(self.faults, &self.wrong));
        for (server, node) in self.nodes.iter().enumerate() {
            visitor.other(&node.is_some());
            if let Some(node) = node {
                visitor.server(server, node.time_of(Deadline(0)));
                node.visit(visitor);
                for one in self.connections.iter().filter(|one| one.server == server) {
                    one.visit(visitor);
                }
            }
        }
        visitor.other(&self.replica.as_ref().map(|data| data.len()));
        if let (Some(data), Some(node)) = (&self.replica, &self.nodes[0]) {
            visitor.server(0, node.time_of(Deadline(0)));
            for (lock, entry) in data {
                visitor.other(&(lock, entry.owner, entry.holds));
                visitor.fence(entry.fence);
                visitor.deadline(entry.deadline);
            }
        }
        visitor.other(&self.no_extension_until.is_some());
        self.no_extension_until
            .into_iter()
            .for_each(|at| visitor.time(at));
        for client in &self.clients {
            client.visit(visitor);
        }
        for (lock, (token, owner)) in &self.highest {
            visitor.other(&(lock, owner));
            visitor.token(*token);
        }
    }
}

impl Node {
    fn visit(&self, visitor: &mut impl VisitWorld) {
        self.engine.visit(visitor);
        visitor.other(&(self.data.len(), self.replies.len(), &self.closing));
        for (lock, entry) in &self.data {
            visitor.other(&(lock, entry.owner, entry.holds));
            visitor.fence(entry.fence);
            visitor.deadline(entry.deadline);
        }
        for (id, answer) in &self.replies {
            visitor.waiter(*id);
            match answer {
                Answer::Error(text) => visitor.other(text),
                Answer::Grant(grant) => {
                    visitor.other(&(grant.holds, grant.ttl));
                    grant
                        .token()
                        .into_iter()
                        .for_each(|token| visitor.token(token));
                }
            }
        }
        visitor.other(&(self.refuses_after.is_some(), self.still_since.is_some()));
        self.still_since
            .into_iter()
            .for_each(|at| visitor.tick(Tick(at)));
        visitor.other(&self.sent.len());
        if let Some(from) = self.refuses_after {
            visitor.time(from);
        }
        for (whose, (token, holds)) in &self.sent {
            visitor.other(&(whose, holds));
            visitor.token(*token);
        }
    }
}

impl Connection {
    fn visit(&self, visitor: &mut impl VisitWorld) {
        visitor.other(&(self.id, self.abandoned));
        visit_call(self.late.as_ref(), visitor);
        visitor.other(&self.blocked.as_ref().map(|blocked| blocked.answered));
        if let Some(blocked) = &self.blocked {
            visitor.waiter(blocked.id);
            visit_call(Some(&blocked.call), visitor);
        }
    }
}

impl Client {
    fn visit(&self, visitor: &mut impl VisitWorld) {
        visitor.other(&(self.calls, self.connection, self.opened));
        let (doing, call) = match &self.doing {
            Doing::Idle => (0, None),
            Doing::Waiting(call) => (1, Some(call)),
            Doing::Unknown(call) => (2, Some(call)),
        };
        visitor.other(&doing);
        visit_call(call, visitor);
        visitor.other(&self.beliefs.len());
        for belief in &self.beliefs {
            visitor.other(&(belief.lock, belief.holds, belief.until.is_some()));
            visitor.token(belief.token);
            belief.until.into_iter().for_each(|at| visitor.time(at));
        }
    }
}

fn visit_call(call: Option<&Call>, visitor: &mut impl VisitWorld) {
    visitor.other(&call.map(|call| (call.lock, call.verb, call.token.is_some())));
    let token = call.and_then(|call| call.token);
    token.into_iter().for_each(|token| visitor.token(token));
}
