//! Calls and their replies.

use super::client::{Belief, Call, Client, Doing, Verb};
use super::config::{Config, Forgets};
use super::data::Entry;
use super::world::{Blocked, Connection, World, Wrong};
use redis_reentrant_lock::command::{run_by_name, Reply};
use redis_reentrant_lock::engine::{Answer, ClientId, Event};
use redis_reentrant_lock::lock::Grant;

/// What a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Grant(Grant),
    /// So many holds are left; -1 if there were none.
    Left(i64),
    Refused,
}

impl World {
    /// The client's connection; a new one to this server if it has none.
    fn connect(&mut self, number: usize, server: usize) -> ClientId {
        let clients = self.clients.len() as u64;
        let client = &mut self.clients[number];
        if let Some(id) = client.connection {
            return id;
        }
        let id = client.id_of(client.opened, number, clients);
        client.opened += 1;
        client.connection = Some(id);
        self.connections.push(Connection {
            id,
            client: number,
            server,
            abandoned: false,
            late: None,
            blocked: None,
        });
        self.connections.sort_by_key(|one| one.id);
        id
    }

    /// A client calls. From then on it does not rely on what the call may end.
    pub fn call(&mut self, client: usize, server: usize, call: Call, config: &Config) {
        let id = self.send(client, server, &call);
        self.arrive(id, call, config);
    }

    /// A client calls, and loses its connection before the server reads the call.
    pub fn call_late(&mut self, client: usize, server: usize, call: Call) {
        let id = self.send(client, server, &call);
        self.connection(id).late = Some(call);
        self.clients[client].doing = Doing::Waiting(call);
        self.abandon(client);
    }

    /// A client calls, and loses its connection before it has the reply.
    pub fn call_unheard(&mut self, client: usize, server: usize, call: Call, config: &Config) {
        let id = self.send(client, server, &call);
        self.clients[client].doing = Doing::Waiting(call);
        self.abandon(client);
        self.arrive(id, call, config);
    }

    fn send(&mut self, number: usize, server: usize, call: &Call) -> ClientId {
        let id = self.connect(number, server);
        let client = &mut self.clients[number];
        let is_repeat = client.doing == Doing::Unknown(*call);
        client.doing = Doing::Idle;
        match call.verb {
            Verb::Release { left } => {
                let belief = client.belief(call.lock).copied();
                let belief = belief.filter(|_| left > 0);
                let less = |belief| Belief {
                    holds: left,
                    ..belief
                };
                client.believe(call.lock, belief.map(less));
            }
            Verb::Acquire { .. } | Verb::Renew => client.calls -= u8::from(!is_repeat),
        }
        id
    }

    /// The server reads a call and runs it.
    pub fn arrive(&mut self, id: ClientId, call: Call, config: &Config) {
        let connection = self.connection(id);
        connection.late = None;
        let (server, client) = (connection.server, connection.client);
        let owner = self.clients[client].owner;
        let now = self.now;
        let before = self.node(server).data.get(&call.lock).copied();
        let words = call.words(owner, config.ttl);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = self.step(server, id, |engine, port, effects| {
            run_by_name(&words, engine, port, effects)
        });
        let heard = match reply.expect("there is such a command") {
            Ok(Reply::Waits(waiter, _)) => {
                self.connection(id).blocked = Some(Blocked {
                    id: waiter,
                    call,
                    answered: false,
                });
                if !self.connection(id).abandoned {
                    self.clients[client].doing = Doing::Waiting(call);
                }
                return;
            }
            Ok(Reply::Grant(grant)) => Heard::Grant(grant),
            Ok(Reply::Integer(left)) => Heard::Left(left),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => {
                let text = refusal.to_string();
                assert!(!text.starts_with("ERR"), "{text}");
                Heard::Refused
            }
        };
        let took = matches!(heard, Heard::Grant(grant) if grant.holds > 0);
        let node = self.node(server);
        let held = before.is_some_and(|e| e.owner == owner && node.time_of(e.deadline) > now);
        if took && !held && self.others_wait(server, &call, client) {
            self.wrong = Some(Wrong::Overtaken);
        }
        self.replied(id, &call, heard);
    }

    /// Whether another owner waits for the lock.
    fn others_wait(&self, server: usize, call: &Call, client: usize) -> bool {
        let owner = self.clients[client].owner;
        let here = self.connections.iter().filter(|one| one.server == server);
        let waits = here.filter_map(|one| Some((one, one.blocked.as_ref()?)));
        let mut waits = waits.filter(|(_, blocked)| blocked.call.lock == call.lock);
        let is_own = |one: &Connection| self.clients[one.client].owner == owner;
        // It may have waited over another connection, and have had its turn.
        let had_turn = |(one, blocked): (&Connection, &Blocked)| is_own(one) && blocked.answered;
        !waits.clone().any(had_turn)
            && waits.any(|(one, blocked)| !is_own(one) && !blocked.answered)
    }

    /// A reply is sent over a connection that is open as far as the server knows.
    fn replied(&mut self, id: ClientId, call: &Call, heard: Heard) {
        let connection = self.connection(id);
        let (server, number, abandoned) =
            (connection.server, connection.client, connection.abandoned);
        let owner = self.clients[number].owner;
        let node = self.node(server);
        match heard {
            Heard::Grant(grant) if grant.holds > 0 => {
                let token = grant.token().expect("a hold has a token");
                // What is delivered late may be over.
                let stands = |e: &&Entry| e.owner == owner && e.fence.token == token;
                if node
                    .data
                    .get(&call.lock)
                    .filter(stands)
                    .is_some_and(|e| e.holds == grant.holds)
                {
                    node.sent.insert((call.lock, owner), (token, grant.holds));
                }
            }
            Heard::Left(0) => drop(node.sent.remove(&(call.lock, owner))),
            Heard::Left(left @ 1..) => {
                if let Some((_, holds)) = node.sent.get_mut(&(call.lock, owner)) {
                    *holds = left as u32;
                }
            }
            _ => (),
        }
        if !abandoned {
            self.hear(number, call, heard);
        }
    }

    /// A client gets a reply.
    fn hear(&mut self, number: usize, call: &Call, heard: Heard) {
        let now = self.now;
        let client = &mut self.clients[number];
        client.doing = Doing::Idle;
        let grant = match heard {
            Heard::Grant(grant) => grant,
            Heard::Left(left) => {
                let wanted = matches!(call.verb, Verb::Release { left: wanted } if left == i64::from(wanted));
                if !wanted && left != -1 {
                    self.wrong = Some(Wrong::Count);
                }
                return;
            }
            Heard::Refused => return client.believe(call.lock, None),
        };
        let Some(token) = grant.token() else {
            return client.believe(call.lock, None);
        };
        let session = matches!(call.verb, Verb::Acquire { how, .. } if how.session.is_some());
        let before = client.belief(call.lock);
        let bound = before.is_some_and(|b| b.until.is_none() && b.token == token);
        let wanted = match call.verb {
            Verb::Acquire { holds, .. } => Some(holds),
            _ => before.map(|belief| belief.holds),
        };
        let owner = client.owner;
        client.believe(
            call.lock,
            Some(Belief {
                lock: call.lock,
                holds: grant.holds,
                token,
                until: (!session && !bound).then_some(now + grant.ttl.0),
            }),
        );
        client.forget_ended(now);
        if wanted.is_some_and(|holds| holds != grant.holds) {
            self.wrong = Some(Wrong::Count);
        }
        let highest = self.highest.entry(call.lock).or_insert((token, owner));
        if token < highest.0 || (token == highest.0 && owner != highest.1) {
            self.wrong = Some(Wrong::TokenFalls);
        }
        *highest = (*highest).max((token, owner));
    }

    /// The iteration of the event loop ends: replies are delivered, then connections closed.
    pub fn flush(&mut self, server: usize) {
        for (waiter, answer) in std::mem::take(&mut self.node(server).replies) {
            let mut all = self.connections.iter_mut();
            let one = all.find(|one| {
                let blocked = one.blocked.as_ref();
                one.server == server && blocked.is_some_and(|b| b.id == waiter)
            });
            let one = one.expect("it is open");
            let (id, blocked) = (one.id, one.blocked.take().expect("it is blocked"));
            self.note(server, Event::Delivered(waiter));
            let heard = match answer {
                Answer::Grant(grant) => Heard::Grant(grant),
                Answer::Error(_) => Heard::Refused,
            };
            self.replied(id, &blocked.call, heard);
        }
        for id in std::mem::take(&mut self.node(server).closing) {
            if self.connections.iter().any(|one| one.id == id) {
                self.close(id);
            }
        }
    }

    /// The server closes a connection, or sees that its client has closed it.
    pub fn close(&mut self, id: ClientId) {
        self.close_unless(id, None);
    }

    /// The same, but for what the host forgets.
    pub fn close_unless(&mut self, id: ClientId, forgets: Option<Forgets>) {
        let one = self.connection(id).clone();
        match &one.blocked {
            Some(blocked) if blocked.answered => {
                let waiter = blocked.id;
                self.node(one.server)
                    .replies
                    .retain(|(id, _)| *id != waiter);
                if forgets != Some(Forgets::Undelivered) {
                    self.note(one.server, Event::NotDelivered(waiter));
                }
            }
            Some(blocked) => self.note(one.server, Event::WaitCancelled(blocked.id)),
            None => (),
        }
        if forgets != Some(Forgets::Closed) {
            self.note(one.server, Event::ClientClosed(id));
        }
        self.connections.retain(|one| one.id != id);
        if !one.abandoned {
            self.clients[one.client].disconnected();
        }
    }
}

impl Client {
    /// The id of its connection with this number. Later connections have larger ids.
    pub fn id_of(&self, opened: u8, number: usize, clients: u64) -> ClientId {
        ClientId(u64::from(opened) * clients + number as u64 + 1)
    }
}
