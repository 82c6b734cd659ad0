//! Looks at the servers from outside: whether a free lock is waited for, and what is left in the end.

use super::data::{lock_key, LOCKS};
use super::node::Unowned;
use super::{World, SECOND};
use crate::check::{Call, Lock, Us, What};
use redis_reentrant_lock::engine::{Server as _, WriteCheck};

/// So long a lock may be free while it is waited for: writes that were refused are tried again every 100 ms, and
/// timers are late.
const BOUND: Us = 110_000;

impl World<'_> {
    /// After each event of a server: is a lock free that is waited for, though the server could grant it?
    pub(super) fn watch_queues(&mut self, server: u8) {
        let (now, node) = (self.now, &mut self.nodes[usize::from(server)]);
        let calls = &self.calls;
        if node.waiting.is_empty() && node.free_since == [None; LOCKS] {
            return;
        }
        let clock = node.clock(now);
        let (_, _, _, grace) = node.engine.gauges(clock.tick);
        for lock in 0..LOCKS as u8 {
            let key = lock_key(lock);
            let is_waited_for = node.waiting.iter().any(|(id, call)| {
                calls[*call as usize].lock == lock && node.engine.lease_waited_for(*id).is_some()
            });
            let is_free = match node.host.data.get(lock) {
                None => true,
                Some(value) => value
                    .holder()
                    .is_ok_and(|h| h.hold.deadline.has_passed(clock.now)),
            };
            let mut port = super::host::Port {
                host: &mut node.host,
                shared: &self.shared,
                clock,
                us: now,
                caller: None,
            };
            let could = is_free
                && grace.0 == 0
                && node.still_until <= now
                && is_waited_for
                && port.accepts_writes()
                && port.check_write(key.borrowed()) == WriteCheck::Accepted;
            let since = &mut node.free_since[usize::from(lock)];
            match (could, *since) {
                (true, None) => *since = Some(now),
                (true, Some(from)) if now - from > BOUND => {
                    *since = Some(now);
                    let us = now - from;
                    self.history.push(crate::check::Entry {
                        at: now,
                        what: What::FreeWhileWaitedFor { server, lock, us },
                    });
                }
                (true, Some(_)) => (),
                (false, _) => *since = None,
            }
        }
    }

    /// A grant could not be delivered. If no other call was told of that hold, it has to end soon.
    pub(super) fn not_delivered(&mut self, server: u8, call: Call, lock: Lock) {
        let Some(at) = self.grants.iter().position(|(_, granted)| *granted == call) else {
            return;
        };
        let (token, _) = self.grants.swap_remove(at);
        if !self.grants.iter().any(|(granted, _)| *granted == token) {
            let owner = self.conns[self.calls[call as usize].conn as usize].client;
            self.has_to_end(server, lock, owner, token);
        }
    }

    /// A connection has closed: a hold without a linger that is bound to it has to end soon.
    pub(super) fn session_closed(&mut self, server: u8, conn: u32) {
        let owner = self.conns[conn as usize].client;
        for lock in 0..LOCKS as u8 {
            match self.bound[usize::from(lock)] {
                // Another connection of the owner was granted it too, and is about to get its reply: that has it then.
                Some((bound, token, _)) if bound == conn && self.is_on_its_way(server, token) => {
                    self.bound[usize::from(lock)] = None;
                }
                Some((bound, token, 0)) if bound == conn => {
                    self.has_to_end(server, lock, owner, token);
                }
                _ => (),
            }
        }
    }

    /// Whether a call that waited was granted this hold, and its reply was not delivered yet.
    fn is_on_its_way(&self, server: u8, token: i64) -> bool {
        let waiting = &self.nodes[usize::from(server)].waiting;
        let is_it = |call: Call| self.grants.contains(&(token, call));
        waiting.iter().any(|(_, call)| is_it(*call))
    }

    fn has_to_end(&mut self, server: u8, lock: Lock, owner: u8, token: i64) {
        let answers = self.answers[usize::from(lock)][usize::from(owner)];
        let since = self.now;
        self.node(server).unowned.push(Unowned {
            lock,
            owner,
            token,
            since,
            answers,
        });
    }

    /// After each event of a server: is a lock still held that has to be free?
    pub(super) fn watch_unowned(&mut self, server: u8) {
        let (now, node) = (self.now, &mut self.nodes[usize::from(server)]);
        if node.unowned.is_empty() {
            return;
        }
        let clock = node.clock(now);
        let (answers, history) = (&self.answers, &mut self.history);
        let host = &node.host;
        let writes = host.master && host.is_connected() && host.writes_paused_until <= now;
        let writes = writes && node.still_until <= now && !self.shared.moves_slots;
        node.unowned.retain_mut(|it| {
            let (lock, token) = (it.lock, it.token);
            let held = host.data.get(lock).and_then(|value| value.holder().ok());
            let held = held.filter(|held| !held.hold.deadline.has_passed(clock.now));
            let held = held.and_then(|held| held.hold.token());
            let is_held = held.is_some_and(|held| held.get() == token);
            let answered = answers[usize::from(lock)][usize::from(it.owner)] != it.answers;
            if answered || !is_held {
                return false;
            }
            it.since = match writes {
                true => it.since.max(node.still_until).max(host.writes_paused_until),
                false => now,
            };
            let is_late = now - it.since > BOUND;
            if is_late {
                let what = What::OwnedByNobody {
                    server,
                    lock,
                    token,
                };
                history.push(crate::check::Entry { at: now, what });
            }
            !is_late
        });
    }

    /// Everything is healed. What was asked is answered; the data is the same everywhere. Then all clients go, and
    /// when every lease is over nothing may be left.
    pub(super) fn come_to_rest(&mut self) {
        for client in 0..self.config.clients {
            self.stops(client);
        }
        self.cuts.clear();
        for server in 0..self.config.servers {
            let node = self.node(server);
            node.host.writes_paused_until = 0;
        }
        // An old master that rejoined would write again; it becomes a replica first.
        let leader = self.leader;
        self.node(leader).rejoins();
        (0..self.config.clients).for_each(|client| self.set_rights(client, true));
        (0..LOCKS as u8).for_each(|lock| self.shared.slots[usize::from(lock)].1 = None);
        let rest = self.now + self.config.rest;
        // Those that are down come back, and the old masters become replicas.
        self.run_until(self.now + 3 * SECOND);
        if !self.config.moves_slots() {
            for server in 0..self.config.servers {
                self.fault(crate::schedule::Fault::Follow { server });
                self.heal_all(server);
            }
        }
        self.run_until(rest);
        self.note(What::Quiet);
        self.compare_data();
        for client in 0..self.config.clients {
            if !self.clients[usize::from(client)].dead {
                self.dies(client, false);
            }
        }
        let end = self.now + self.config.rest + 9 * SECOND;
        self.run_until(end);
        self.look_for_left_overs();
        self.compare_data();
    }

    fn heal_all(&mut self, server: u8) {
        for to in 0..self.config.servers {
            if self.node(to).follows == Some(server) {
                self.send_stream(server);
            }
        }
    }

    /// Memory, file and replica are all written from one log by one function ([`super::data::Data::apply`]). So they
    /// differ only if a server writes what is not in the log that it follows: a replica by itself, or a master after
    /// it has become one. That the real commands do to a replica what they do to their master is shown on real servers, in
    /// `tests/suite/propagation.rs` and `tests/suite/replication.rs`.
    fn compare_data(&mut self) {
        for server in 0..self.config.servers {
            let node = self.node(server);
            let (data, replayed, follows) = (node.host.data, node.host.replayed(), node.follows);
            if data != replayed {
                let text = format!("its file holds {replayed:?}, its memory {data:?}");
                self.note(What::Differs { server, text });
            }
            let Some(master) = follows else { continue };
            let of_master = self.node(master).host.data;
            let in_flight = self.node(server).got != self.node(master).host.log.len() as u32;
            if of_master != data && !in_flight {
                let text = format!("a replica holds {data:?}, its master {of_master:?}");
                self.note(What::Differs { server, text });
            }
        }
    }

    fn look_for_left_overs(&mut self) {
        let now = self.now;
        for server in 0..self.config.servers {
            let node = self.node(server);
            let clock = node.clock(now);
            let (waiters, queues, sessions, _) = node.engine.gauges(clock.tick);
            if (waiters, queues, sessions) != (0, 0, 0) {
                let text = format!("{waiters} waiters in {queues} queues, {sessions} sessions");
                self.note(What::LeftOver { server, text });
            }
            for lock in 0..LOCKS as u8 {
                // A foreign value may stay, and what a replica keeps is its master's affair.
                let value = self.nodes[usize::from(server)].host.data.get(lock);
                let held = value.and_then(|value| value.holder().ok());
                if let Some(held) = held.filter(|_| self.nodes[usize::from(server)].host.master) {
                    let text = format!("lock {lock} is held: {held:?}");
                    self.note(What::LeftOver { server, text });
                }
            }
        }
    }
}
