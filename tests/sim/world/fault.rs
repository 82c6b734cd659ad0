//! What goes wrong, and what others do.

use super::data::{lock_name, Change, Value, LOCKS};
use super::{Event, World};
use crate::check::{Reply, Us, What};
use crate::schedule::Fault;
use redis_reentrant_lock::command::run_by_name;
use redis_reentrant_lock::engine::{self, Watch, NUMBERS};
use redis_reentrant_lock::lock::{Deadline, Millis};

impl World<'_> {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.note(What::Fault(format!("{fault:?}")));
        self.stats.fault(&fault);
        match fault {
            Fault::Cut { from, to } => self.cuts.push((from, to)),
            Fault::Heal { from, to } => self.heal(from, to),
            Fault::Isolate { server } => self.isolate(server),
            Fault::Promote { server } => self.promote(server),
            Fault::Follow { server } => self.becomes_replica(server),
            Fault::Crash {
                server,
                lost_steps,
                down,
            } => self.crash(server, lost_steps, down),
            Fault::Pause { server, us } => self.pause(server, us),
            Fault::PauseWrites { server, us } => {
                let until = self.now + us;
                self.node(server).host.writes_paused_until = until;
            }
            Fault::StepClock { server, by } => {
                self.node(server).wall += by;
            }
            Fault::Set {
                server,
                setting,
                value,
            } => {
                let mut settings = self.node(server).engine.settings().clone();
                (NUMBERS[usize::from(setting)].set)(&mut settings, value);
                self.tell(server, engine::Event::SettingsChanged(Box::new(settings)));
                self.turn_if_up(server);
            }
            Fault::PauseClient { client, us } => {
                let until = self.now + us;
                self.clients[usize::from(client)].still_until = until;
            }
            Fault::Kill { client, silently } => self.dies(client, silently),
            Fault::Revive { client } => self.clients[usize::from(client)].dead = false,
            Fault::Disconnect { client } => self.disconnect(client),
            Fault::Flinch { client } => self.clients[usize::from(client)].flinches = true,
            Fault::Move { client } => {
                self.clients[usize::from(client)].target = self.leader;
                self.disconnect(client);
            }
            Fault::Unblock { client, error } => self.unblock(client, error),
            Fault::Revoke { client } => self.set_rights(client, false),
            Fault::Allow { client } => self.set_rights(client, true),
            Fault::ForceRelease { lock } => self.force_release(lock),
            Fault::Delete { lock } => self.overwrite(lock, Change::Delete, Watch::Frees),
            Fault::Overwrite {
                lock,
                kind,
                owner,
                ttl,
            } => self.overwrite_by(lock, kind, owner, ttl),
            Fault::Flush => self.flush(),
            Fault::MoveSlot { lock, to } => {
                let slot = &mut self.shared.slots[usize::from(lock)];
                if slot.0 != to {
                    slot.1 = Some(to);
                }
            }
            Fault::SlotMoved { lock } => self.slot_moved(lock),
        }
    }

    fn turn_if_up(&mut self, server: u8) {
        let node = self.node(server);
        if node.up {
            // Its timers are set by its clock.
            node.timer_at = None;
            self.turn(server);
        }
    }

    pub(super) fn set_rights(&mut self, owner: u8, may: bool) {
        self.shared.allowed[usize::from(owner)] = may;
        self.note(What::Rights {
            owner: owner.into(),
            may,
        });
    }

    fn heal(&mut self, from: u8, to: u8) {
        self.cuts.retain(|cut| *cut != (from, to));
        if self.node(to).follows == Some(from) {
            self.send_stream(from);
        }
    }

    fn promote(&mut self, server: u8) {
        // Only a replica of the newest master is promoted.
        let leader = self.leader;
        if self.node(server).follows != Some(leader) || !self.node(server).up {
            return;
        }
        if self.config.cluster && !self.is_missed(leader) {
            return;
        }
        self.stats.failovers += 1;
        self.leave_master(server);
        let node = self.node(server);
        node.host.master = true;
        node.replicas.clear();
        self.leader = server;
        self.count_replicas(server);
        self.note(What::Role {
            server,
            master: true,
        });
        self.tell(server, engine::Event::RoleChanged { master: true });
        self.turn(server);
    }

    fn becomes_replica(&mut self, server: u8) {
        let leader = self.leader;
        if server == leader || !self.node(server).up || self.node(server).follows == Some(leader) {
            return;
        }
        self.leave_master(server);
        self.node(server).rejoins();
        self.follow(server, leader);
        self.turn(server);
        self.turn(leader);
    }

    fn crash(&mut self, server: u8, lost_steps: u32, down: Us) {
        let node = self.node(server);
        if !node.up {
            return;
        }
        node.up = false;
        node.unowned.clear();
        node.waiting.clear();
        node.deliveries.clear();
        node.closes.clear();
        node.free_since = [None; LOCKS];
        node.timer_at = None;
        node.loop_ends = false;
        node.host.reload(lost_steps);
        let counters = node.engine.counters;
        self.stats.restarts += 1;
        self.stats.engine(&counters);
        for replica in 0..self.config.servers {
            if self.node(replica).follows == Some(server) {
                self.node(replica).link += 1;
            }
        }
        for conn in 0..self.conns.len() as u32 {
            let connection = self.conns[conn as usize];
            if connection.server == server && connection.open_at_server {
                self.conns[conn as usize].open_at_server = false;
                self.note(What::Dropped { conn });
                let arrival = self.down(conn);
                self.at(arrival, Event::ClientSeesClose(conn));
            }
        }
        self.after(down, Event::Back(server));
    }

    fn pause(&mut self, server: u8, us: Us) {
        let (now, node) = (self.now, self.node(server));
        if node.up {
            node.still_until = node.still_until.max(now + us);
            node.free_since = [None; LOCKS];
            let until = node.still_until;
            self.note(What::StoodStill { server, until });
        }
    }

    pub(super) fn disconnect(&mut self, client: u8) {
        if let Some(conn) = self.clients[usize::from(client)].conn.take() {
            self.leave_connection(client, conn, false);
            self.loses_connection(client);
        }
    }

    /// `CLIENT UNBLOCK` by an operator.
    fn unblock(&mut self, client: u8, error: bool) {
        let Some(conn) = self.clients[usize::from(client)].conn else {
            return;
        };
        let Some(server) = self.alive(conn) else {
            return;
        };
        let calls = &self.calls;
        let node = &mut self.nodes[usize::from(server)];
        let of_conn = |(_, call): &(_, u32)| calls[*call as usize].conn == conn;
        let Some(at) = node.waiting.iter().position(of_conn) else {
            return;
        };
        let (id, call) = node.waiting.remove(at);
        let was_answered = node.deliveries.iter().any(|(answered, _)| *answered == id);
        node.deliveries.retain(|(answered, _)| *answered != id);
        self.stats.unblocked += 1;
        self.tell(
            server,
            match was_answered {
                true => engine::Event::NotDelivered(id),
                false => engine::Event::WaitCancelled(id),
            },
        );
        let reply = match error {
            true => Reply::Error("UNBLOCKED".into()),
            false => Reply::Grant {
                holds: 0,
                token: 0,
                ttl: 0,
            },
        };
        match was_answered {
            true => {
                let lock = self.calls[call as usize].lock;
                self.not_delivered(server, call, lock);
                self.reply(call, reply);
            }
            false => self.answer(call, reply),
        }
        self.turn(server);
    }

    fn force_release(&mut self, lock: u8) {
        let leader = self.leader;
        if !self.takes_writes(leader) {
            return;
        }
        let name = lock_name(lock);
        let words: [&[u8]; 2] = [b"LOCK.FORCERELEASE", name];
        // The caller does not matter.
        let caller = self
            .conns
            .len()
            .checked_sub(1)
            .map(|conn| (conn as u32, lock));
        self.step(
            leader,
            caller.or(Some((0, lock))),
            |engine, port, effects| run_by_name(&words, engine, port, effects),
        );
        self.turn(leader);
    }

    fn takes_writes(&mut self, server: u8) -> bool {
        let (now, node) = (self.now, self.node(server));
        node.up
            && node.still_until <= now
            && node.host.master
            && node.host.is_connected()
            && node.host.writes_paused_until <= now
    }

    /// Others write to a lock. Told if the module listens to such events.
    fn overwrite(&mut self, lock: u8, change: Change, least: Watch) {
        let leader = self.leader;
        if !self.takes_writes(leader) {
            return;
        }
        let host = &mut self.node(leader).host;
        let before = host.log.len();
        if change == Change::Delete && host.data.get(lock).is_none() {
            return;
        }
        let held = host.data.get(lock).and_then(|value| value.holder().ok());
        let held = held.and_then(|held| held.hold.token());
        host.write(lock, change);
        if host.watch >= least {
            host.inbox.push((lock, false));
        }
        self.wrote(leader, before);
        if let (Some(token), Change::Delete) = (held, change) {
            self.note(What::Deleted {
                server: leader,
                lock,
                token: token.get(),
            });
        }
        self.turn(leader);
    }

    fn overwrite_by(&mut self, lock: u8, kind: u8, owner: u8, ttl: i64) {
        let (leader, now) = (self.leader, self.now);
        let clock = self.node(leader).clock(now).now;
        let present = self.node(leader).host.data.get(lock).copied();
        let expiry = Some(clock.plus(Millis(ttl)));
        let mut value = present.unwrap_or_default();
        match kind {
            // A string.
            0 => {
                value = Value {
                    foreign: true,
                    expiry: (ttl % 2 == 0).then_some(()).and(expiry),
                    ..Value::default()
                }
            }
            // Another field in the hash.
            1 => value.holds[usize::from(owner)] = 1,
            // Redisson takes it, if it is free.
            2 if present.is_none() => {
                value.holds[usize::from(owner)] = 1;
                value.expiry = expiry;
            }
            // It expires at another time, or never.
            3 if present.is_some() => value.expiry = expiry,
            4 if present.is_some() => value.expiry = None,
            // It expired long ago.
            5 if present.is_some() => value.expiry = Some(Deadline(clock.millis() - 5)),
            _ => return,
        }
        let frees = matches!(kind, 0) && present.is_some();
        let least = if frees { Watch::Frees } else { Watch::Changes };
        self.overwrite(lock, Change::Set(value), least);
    }

    fn flush(&mut self) {
        let leader = self.leader;
        if !self.takes_writes(leader) {
            return;
        }
        let host = &mut self.node(leader).host;
        let before = host.log.len();
        (0..LOCKS as u8).for_each(|lock| host.write(lock, Change::Delete));
        self.wrote(leader, before);
        self.tell(leader, engine::Event::DatasetChanged { db: None });
        self.turn(leader);
    }

    /// The keys of the slot go to the other server, then the slot is its own.
    fn slot_moved(&mut self, lock: u8) {
        let (from, Some(to)) = self.shared.slots[usize::from(lock)] else {
            return;
        };
        if let Some(value) = self.node(from).host.data.get(lock).copied() {
            for (server, change) in [(to, Change::Set(value)), (from, Change::Delete)] {
                let host = &mut self.node(server).host;
                let before = host.log.len();
                host.write(lock, change);
                if host.watch >= Watch::Frees {
                    host.inbox.push((lock, false));
                }
                self.wrote(server, before);
            }
        }
        self.shared.slots[usize::from(lock)] = (to, None);
        self.turn(from);
        self.turn(to);
    }
}
