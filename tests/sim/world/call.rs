//! A call at its server: from bytes to the engine and back.

use super::data::{lock_name, owner_name};
use super::{Event, Sent, World};
use crate::check::{Call, Lock, Op, Reply, Us, What};
use redis_reentrant_lock::command::{run_by_name, Error, Reply as Answered};
use redis_reentrant_lock::engine::Answer;
use redis_reentrant_lock::lock::Grant;
use std::io::Write as _;

/// The words of a call.
struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Words {
    fn word(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
    }

    fn number(&mut self, number: i64) {
        let _ = write!(self.bytes, "{number}");
        self.ends.push(self.bytes.len());
    }

    fn option(&mut self, word: &[u8], number: Option<i64>) {
        if let Some(number) = number {
            self.word(word);
            self.number(number);
        }
    }

    fn list(&self) -> Vec<&[u8]> {
        let mut start = 0;
        let cut = |end: &usize| {
            let word = &self.bytes[start..*end];
            start = *end;
            word
        };
        self.ends.iter().map(cut).collect()
    }
}

fn words(lock: Lock, owner: u8, op: Op) -> Words {
    let mut words = Words {
        bytes: Vec::with_capacity(96),
        ends: Vec::with_capacity(16),
    };
    words.word(match op {
        Op::Acquire { .. } => b"LOCK.ACQUIRE",
        Op::Renew { .. } => b"LOCK.RENEW",
        Op::Assert { .. } => b"LOCK.ASSERT",
        Op::Release { .. } => b"LOCK.RELEASE",
    });
    words.word(lock_name(lock));
    words.word(&owner_name(owner));
    match op {
        Op::Acquire {
            ttl,
            wait,
            session,
            holds,
            token,
        } => {
            words.number(ttl);
            words.option(b"WAIT", wait);
            if let Some(linger) = session {
                words.word(b"SESSION");
                words.option(b"LINGER", (linger > 0).then_some(linger));
            }
            words.option(b"HOLDS", holds.map(i64::from));
            words.option(b"TOKEN", token);
        }
        Op::Renew { ttl, token } => {
            words.number(ttl);
            words.option(b"TOKEN", token);
        }
        Op::Assert { token } => words.option(b"TOKEN", token),
        Op::Release { holds, token } => {
            words.option(b"HOLDS", holds.map(i64::from));
            words.option(b"TOKEN", token);
        }
    }
    words
}

pub fn grant_reply(grant: &Grant) -> Reply {
    Reply::Grant {
        holds: grant.holds,
        token: grant.token().map_or(0, |token| token.get()),
        ttl: grant.ttl.0,
    }
}

pub fn error_reply(text: &str) -> Reply {
    let code = text.split(' ').next().unwrap_or_default();
    Reply::Error(code.into())
}

pub fn answer_reply(answer: &Answer) -> Reply {
    match answer {
        Answer::Grant(grant) => grant_reply(grant),
        Answer::Error(text) => error_reply(text),
    }
}

/// The reply; none if the caller waits.
fn reply_of(result: Result<Answered, Error>) -> Reply {
    match result {
        Ok(Answered::Grant(grant)) => grant_reply(&grant),
        Ok(Answered::Integer(left)) => Reply::Left(left),
        Ok(_) => Reply::Ok,
        Err(error) => error_reply(&error.to_string()),
    }
}

impl World<'_> {
    /// When a message to the server arrives, if it is sent now.
    fn up(&mut self, conn: u32) -> Us {
        let delay = self.delay(conn);
        let connection = &mut self.conns[conn as usize];
        let arrival = (self.now + delay).max(connection.last_up + 1);
        connection.last_up = arrival;
        arrival
    }

    /// When a message to the client arrives, if it is sent now.
    pub(super) fn down(&mut self, conn: u32) -> Us {
        let delay = self.delay(conn);
        let connection = &mut self.conns[conn as usize];
        let arrival = (self.now + delay).max(connection.last_down + 1);
        connection.last_down = arrival;
        arrival
    }

    /// Of a message: it looks like chance, but is the same for the same message.
    fn delay(&self, conn: u32) -> Us {
        let mix = (self.now as u64 ^ (u64::from(conn) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        20 + ((mix >> 33) as Us) % self.config.latency
    }

    /// A client sends a call.
    pub(super) fn send(&mut self, conn: u32, lock: Lock, op: Op) -> Call {
        let call = self.calls.len() as Call;
        self.calls.push(Sent {
            at: self.now,
            conn,
            lock,
            op,
            reply: None,
        });
        let connection = self.conns[conn as usize];
        let (owner, server) = (connection.client.into(), connection.server);
        self.note(What::Sent {
            call,
            owner,
            conn,
            server,
            lock,
            op,
        });
        let arrival = self.up(conn);
        self.at(arrival, Event::Request(call));
        call
    }

    /// A client closes its connection. The server may learn of it much later.
    pub(super) fn client_closes(&mut self, conn: u32, silently: bool) {
        if !std::mem::replace(&mut self.conns[conn as usize].open_at_client, false) {
            return;
        }
        self.note(What::Closed {
            conn,
            by_client: true,
        });
        let keepalive = if silently { 8 * super::SECOND } else { 0 };
        let arrival = self.up(conn) + keepalive;
        self.at(arrival, Event::ServerSeesClose(conn));
    }

    pub(super) fn request(&mut self, call: Call, event: Event) {
        let Sent { conn, lock, op, .. } = self.calls[call as usize];
        let Some(server) = self.alive(conn) else {
            return;
        };
        if !self.runs(server, event) {
            return;
        }
        let (now, node) = (self.now, self.node(server));
        let writes = !matches!(op, Op::Assert { .. });
        if writes && node.host.writes_paused_until > now {
            let later = node.host.writes_paused_until;
            return self.at(later, event);
        }
        match self.refused(server, lock, writes) {
            Some(code) => self.answer(call, Reply::Error(code.into())),
            None => self.call(server, call),
        }
        self.turn(server);
    }

    /// What the server itself refuses.
    fn refused(&mut self, server: u8, lock: Lock, writes: bool) -> Option<&'static str> {
        let (owner, moving_to) = self.shared.slots[usize::from(lock)];
        let (cluster, moves_slots) = (self.config.cluster, self.shared.moves_slots);
        let host = &self.node(server).host;
        let absent = host.data.get(lock).is_none();
        match () {
            () if moves_slots && owner != server => Some("MOVED"),
            () if cluster && !host.master => Some("MOVED"),
            () if !host.in_cluster => Some("CLUSTERDOWN"),
            () if moves_slots && absent && moving_to.is_some() => Some("ASK"),
            () if writes && !host.master => Some("READONLY"),
            () if writes && !host.enough_replicas => Some("NOREPLICAS"),
            () => None,
        }
    }

    fn call(&mut self, server: u8, call: Call) {
        let Sent { conn, lock, op, .. } = self.calls[call as usize];
        let words = words(lock, self.conns[conn as usize].client, op);
        let result = self.step(server, Some((conn, lock)), |engine, port, effects| {
            run_by_name(&words.list(), engine, port, effects)
        });
        match result {
            Some(Ok(Answered::Waits(id, _))) => {
                self.node(server).waiting.push((id, call));
                let until = match op {
                    Op::Acquire { wait, .. } => wait.filter(|wait| *wait > 0),
                    _ => None,
                };
                let until = until.map(|wait| self.now + wait * super::MS);
                self.note(What::Waits { call, until });
            }
            Some(result) => self.answer(call, reply_of(result)),
            None => (),
        }
    }

    /// The reply to a call is decided.
    pub(super) fn decides(&mut self, call: Call, reply: &Reply) {
        let Sent { conn, lock, .. } = self.calls[call as usize];
        let owner = self.conns[conn as usize].client;
        self.answers[usize::from(lock)][usize::from(owner)] += 1;
        if let Reply::Grant {
            holds: 1.., token, ..
        } = *reply
        {
            self.grants.push((token, call));
        }
    }

    /// A reply is on its way: with a grant the hold is bound to the connection, if the call asked for that.
    pub(super) fn binds(&mut self, call: Call, reply: &Reply) {
        let Sent { conn, lock, op, .. } = self.calls[call as usize];
        if let (
            Op::Acquire {
                session: Some(linger),
                ..
            },
            Reply::Grant {
                holds: 1.., token, ..
            },
        ) = (op, reply)
        {
            let token = *token;
            let bound = &mut self.bound[usize::from(lock)];
            let is_older = |(other, of, _)| of == token && other > conn;
            if !bound.is_some_and(is_older) {
                *bound = Some((conn, token, linger));
            }
        }
    }

    pub(super) fn answer(&mut self, call: Call, reply: Reply) {
        self.stats.replied(&reply);
        self.decides(call, &reply);
        self.note(What::Answered {
            call,
            reply: reply.clone(),
        });
        self.reply(call, reply);
    }
}
