//! What follows from a step: effects, and at the end of an iteration of the event loop replies and closed connections.

use super::host::{client_of, conn_of};
use super::{Event, World};
use crate::check::{Call, Reply, What};
use redis_reentrant_lock::engine::{self, Answer, Effect, Effects, WaiterId};

impl World<'_> {
    pub(super) fn carry_out(&mut self, server: u8, mut effects: Effects) {
        for effect in effects.list() {
            if let Effect::Deliver(id, answer) = effect {
                self.decided(server, *id, answer);
            }
            let node = &mut self.nodes[usize::from(server)];
            match effect {
                Effect::Deliver(id, answer) => node.deliveries.push((*id, answer.clone())),
                Effect::Close(client) => node.closes.push(conn_of(*client)),
                Effect::Watch(watch) => node.host.watch = *watch,
                Effect::Publish(_) => self.stats.published += 1,
                Effect::Warn(text) => {
                    self.stats.warned += 1;
                    let what = What::Fault(format!("server {server} warns: {text}"));
                    self.history
                        .push(crate::check::Entry { at: self.now, what });
                }
            }
        }
        effects.clear();
        self.effects = effects;
        let node = self.node(server);
        let has_nothing = node.deliveries.is_empty() && node.closes.is_empty();
        if !node.loop_ends && !has_nothing {
            node.loop_ends = true;
            self.after(self.config.iteration, Event::LoopEnds(server));
        }
    }

    /// Replies are delivered, and connections closed that are to be.
    pub(super) fn loop_ends(&mut self, server: u8, event: Event) {
        if !self.runs(server, event) {
            return;
        }
        let node = self.node(server);
        node.loop_ends = false;
        let deliveries = std::mem::take(&mut node.deliveries);
        let closes = std::mem::take(&mut node.closes);
        for (id, answer) in deliveries {
            self.deliver(server, id, answer);
        }
        for conn in closes {
            if self.conns[conn as usize].open_at_server {
                self.stats.closed_by_server += 1;
                self.server_closes(conn);
            }
        }
        self.turn(server);
    }

    /// The engine has answered a call that waits.
    pub(super) fn decided(&mut self, server: u8, id: WaiterId, answer: &Answer) {
        let node = self.node(server);
        let found = node.waiting.iter().find(|(waits, _)| *waits == id);
        if let Some(&(_, call)) = found {
            let reply = super::call::answer_reply(answer);
            self.decides(call, &reply);
            let is_granted = matches!(reply, Reply::Grant { holds: 1.., .. });
            self.note(What::Answered { call, reply });
            let client = self.conns[self.calls[call as usize].conn as usize].client;
            let it = &mut self.clients[usize::from(client)];
            if is_granted && std::mem::take(&mut it.flinches) {
                self.disconnect(client);
            }
        }
    }

    pub(super) fn deliver(&mut self, server: u8, id: WaiterId, answer: Answer) {
        let waiting = &mut self.node(server).waiting;
        let Some(at) = waiting.iter().position(|(waits, _)| *waits == id) else {
            return self.note(What::LeftOver {
                server,
                text: format!("an answer for {id:?}, which does not wait"),
            });
        };
        let (_, call) = waiting.remove(at);
        let granted = matches!(&answer, Answer::Grant(grant) if grant.holds > 0);
        self.stats.delivered(&answer);
        let reply = super::call::answer_reply(&answer);
        let conn = self.calls[call as usize].conn;
        if self.conns[conn as usize].open_at_server {
            self.tell(server, engine::Event::Delivered(id));
            self.reply(call, reply);
        } else {
            self.stats.not_delivered += u64::from(granted);
            self.tell(server, engine::Event::NotDelivered(id));
            let lock = self.calls[call as usize].lock;
            self.not_delivered(server, call, lock);
        }
    }

    /// The server closes a connection.
    pub(super) fn server_closes(&mut self, conn: u32) {
        self.note(What::Dropped { conn });
        self.closed_at_server(conn);
        let arrival = self.down(conn);
        self.at(arrival, Event::ClientSeesClose(conn));
    }

    pub(super) fn server_sees_close(&mut self, conn: u32, event: Event) {
        let Some(server) = self.alive(conn) else {
            return;
        };
        if self.runs(server, event) {
            self.closed_at_server(conn);
            // If the server was about to close it, its session was lost before.
            if !self.node(server).closes.contains(&conn) {
                self.session_closed(server, conn);
            }
            self.turn(server);
        }
    }

    /// The server of a connection, if it is still the process that the connection was opened to.
    pub(super) fn alive(&mut self, conn: u32) -> Option<u8> {
        let connection = self.conns[conn as usize];
        let node = self.node(connection.server);
        let same = node.up && node.life == connection.life;
        (same && connection.open_at_server).then_some(connection.server)
    }

    pub(super) fn closed_at_server(&mut self, conn: u32) {
        self.conns[conn as usize].open_at_server = false;
        let server = self.conns[conn as usize].server;
        let calls = &self.calls;
        let node = &mut self.nodes[usize::from(server)];
        let waits = node
            .waiting
            .iter()
            .find(|(_, call)| calls[*call as usize].conn == conn);
        if let Some(&(id, call)) = waits {
            // If it was answered in this iteration, its delivery fails.
            if !node.deliveries.iter().any(|(answered, _)| *answered == id) {
                node.waiting.retain(|(other, _)| *other != id);
                self.note(What::LeftQueue { call });
                self.tell(server, engine::Event::WaitCancelled(id));
            }
        }
        self.note(What::Gone { conn });
        self.tell(server, engine::Event::ClientClosed(client_of(conn)));
    }

    /// Sends a reply.
    pub(super) fn reply(&mut self, call: Call, reply: Reply) {
        self.binds(call, &reply);
        let arrival = self.down(self.calls[call as usize].conn);
        self.calls[call as usize].reply = Some(reply);
        self.at(arrival, Event::Reply(call));
    }
}
