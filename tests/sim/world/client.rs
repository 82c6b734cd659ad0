//! A client: a process that works on one job after the other, over one connection at a time.

use super::{Connection, Event, World, SECOND};
use crate::check::{Call, Op, Us, What};
use crate::schedule::{Job, What as Action};
use std::collections::VecDeque;

/// What a client knows of its hold of a lock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    pub holds: u32,
    pub token: i64,
    pub until: Us,
    /// The connection that the hold is bound to, and the linger.
    pub session: Option<(u32, i64)>,
}

/// Where a client is in a job.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    Acquire,
    /// It acquires the second lock.
    Second,
    Step(usize),
    /// It releases the second lock.
    EndSecond,
    End,
}

impl Stage {
    /// The lock that a job is about.
    pub fn lock(self, job: &Job) -> u8 {
        match self {
            Stage::Second | Stage::EndSecond => job.second.unwrap_or(job.lock),
            _ => job.lock,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Running {
    pub action: u32,
    pub stage: Stage,
    pub tries: u8,
    /// What is sent again if its reply is lost.
    pub again: Option<Op>,
}

#[derive(Debug, Clone)]
pub struct Client {
    pub conn: Option<u32>,
    pub target: u8,
    pub dead: bool,
    pub stops: bool,
    pub flinches: bool,
    pub still_until: Us,
    pub jobs: VecDeque<u32>,
    pub running: Option<Running>,
    pub call: Option<Call>,
    /// What it does next is this one.
    turn: u32,
    pub known: [Known; super::data::LOCKS],
}

impl Client {
    pub fn new(_: u8) -> Client {
        Client {
            conn: None,
            target: 0,
            dead: false,
            stops: false,
            flinches: false,
            still_until: 0,
            jobs: VecDeque::new(),
            running: None,
            call: None,
            turn: 0,
            known: Default::default(),
        }
    }
}

impl<'a> World<'a> {
    pub(super) fn client(&mut self, client: u8) -> &mut Client {
        &mut self.clients[usize::from(client)]
    }

    pub(super) fn job(&self, action: u32) -> &'a Job {
        match &self.schedule.actions[action as usize].what {
            Action::Job(job) => job,
            Action::Fault(_) => unreachable!("a fault is no job"),
        }
    }

    /// The client ends what it has begun, and closes its connection.
    pub(super) fn stops(&mut self, client: u8) {
        let it = self.client(client);
        it.still_until = 0;
        it.stops = true;
        it.jobs.clear();
        if it.running.is_none() {
            if let Some(conn) = it.conn.take() {
                self.leave_connection(client, conn, false);
            }
        }
    }

    pub(super) fn add_job(&mut self, client: u8, action: u32) {
        let it = self.client(client);
        if it.dead {
            return;
        }
        it.jobs.push_back(action);
        if it.running.is_none() && it.call.is_none() {
            self.client_later(client, 0);
        }
    }

    pub(super) fn client_later(&mut self, client: u8, us: Us) {
        let it = self.client(client);
        it.turn += 1;
        let turn = it.turn;
        self.after(us, Event::Client(client, turn));
    }

    pub(super) fn client_goes_on(&mut self, client: u8, turn: u32) {
        let now = self.now;
        let it = self.client(client);
        if it.turn != turn || it.dead || it.call.is_some() {
            return;
        }
        if it.still_until > now {
            let later = it.still_until;
            return self.at(later, Event::Client(client, turn));
        }
        if it.running.is_none() {
            let Some(action) = it.jobs.pop_front() else {
                return;
            };
            it.running = Some(Running {
                action,
                stage: Stage::Acquire,
                tries: 0,
                again: None,
            });
        }
        let Some(running) = it.running else { return };
        let job = self.job(running.action);
        let op = running
            .again
            .or_else(|| self.next_op(client, job, running.stage));
        match (op, running.stage) {
            (Some(op), stage) => self.send_op(client, job, stage.lock(job), op),
            (None, Stage::EndSecond) => self.ends(client, job),
            (None, _) => self.finish(client, job),
        }
    }

    pub(super) fn connect(&mut self, client: u8) -> u32 {
        let conn = self.conns.len() as u32;
        let server = self.client(client).target;
        let life = self.node(server).life;
        let up = self.node(server).up;
        self.conns.push(Connection {
            client,
            server,
            life,
            open_at_client: true,
            open_at_server: up,
            last_up: self.now,
            last_down: self.now,
        });
        self.shared.conn_user.push(client);
        self.client(client).conn = Some(conn);
        if !up {
            // It is refused.
            self.after(SECOND / 2, Event::ClientSeesClose(conn));
        }
        conn
    }

    pub(super) fn hear(&mut self, call: Call) {
        let conn = self.calls[call as usize].conn;
        let connection = self.conns[conn as usize];
        let (now, it) = (self.now, &self.clients[usize::from(connection.client)]);
        if !connection.open_at_client {
            self.stats.unheard += 1;
            return;
        }
        if it.still_until > now {
            let later = it.still_until;
            return self.at(later, Event::Reply(call));
        }
        let Some(reply) = self.calls[call as usize].reply.take() else {
            return;
        };
        self.note(What::Heard {
            call,
            reply: reply.clone(),
        });
        let sent = self.sent_at(call);
        let client = connection.client;
        let it = self.client(client);
        if it.call == Some(call) {
            it.call = None;
            if let Some(running) = it.running {
                self.learn(client, running, call, sent, reply);
            }
        }
    }

    fn sent_at(&self, call: Call) -> Us {
        self.calls[call as usize].at
    }

    /// The server could not serve it: it may not be the master any more.
    pub(super) fn changes_server(&mut self, client: u8, lock: u8) {
        let server = match self.config.moves_slots() {
            true => self.shared.slots[usize::from(lock)].0,
            false => self.leader,
        };
        let it = self.client(client);
        if it.target != server {
            it.target = server;
            if let Some(conn) = it.conn.take() {
                self.leave_connection(client, conn, false);
            }
        }
    }

    pub(super) fn leave_connection(&mut self, client: u8, conn: u32, silently: bool) {
        self.client_closes(conn, silently);
        self.forget_sessions(client, conn);
    }

    /// A hold that was bound to a connection that has closed counts as lost.
    fn forget_sessions(&mut self, client: u8, conn: u32) {
        let kept = self.config.promises.kept_linger;
        for known in &mut self.client(client).known {
            match known.session {
                Some((bound, linger)) if bound == conn && linger < kept => {
                    *known = Known::default();
                }
                Some((bound, _)) if bound == conn => known.session = None,
                _ => (),
            }
        }
    }

    pub(super) fn dies(&mut self, client: u8, silently: bool) {
        let it = self.client(client);
        it.dead = true;
        it.call = None;
        it.running = None;
        it.jobs.clear();
        it.known = Default::default();
        let conn = it.conn.take();
        self.note(What::Died {
            owner: client.into(),
        });
        if let Some(conn) = conn {
            self.client_closes(conn, silently);
        }
    }

    /// Closes its connection, and what it was doing is tried again on another one.
    pub(super) fn loses_connection(&mut self, client: u8) {
        let it = self.client(client);
        it.conn = None;
        let Some(call) = it.call.take() else { return };
        let Some(running) = it.running else { return };
        let op = self.calls[call as usize].op;
        let job = self.job(running.action);
        self.again_or_finish(client, job, op);
    }

    pub(super) fn client_sees_close(&mut self, conn: u32, event: Event) {
        let Connection {
            client,
            open_at_client,
            ..
        } = self.conns[conn as usize];
        if !open_at_client {
            return;
        }
        let (now, leader) = (self.now, self.leader);
        let it = self.client(client);
        if it.still_until > now {
            let later = it.still_until;
            return self.at(later, event);
        }
        if it.conn == Some(conn) && !self.config.moves_slots() {
            self.client(client).target = leader;
        }
        self.conns[conn as usize].open_at_client = false;
        self.note(What::Closed {
            conn,
            by_client: false,
        });
        self.forget_sessions(client, conn);
        if self.client(client).conn == Some(conn) {
            self.loses_connection(client);
        }
    }

    pub(super) fn gives_up(&mut self, call: Call) {
        let conn = self.calls[call as usize].conn;
        let client = self.conns[conn as usize].client;
        let (now, it) = (self.now, self.client(client));
        if it.call != Some(call) {
            return;
        }
        if it.still_until > now {
            let later = it.still_until + 1;
            return self.at(later, Event::GivesUp(call));
        }
        self.stats.given_up += 1;
        self.leave_connection(client, conn, false);
        self.loses_connection(client);
    }
}
