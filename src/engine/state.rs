//! The engine's state: plain data. It is changed by [`Engine::note`] and by a [`super::Step`].

use super::counters::Counters;
use super::effects::{Answer, Effect, Effects, Watch};
use super::event::Event;
use super::grace::{Grace, GraceLeft};
use super::loss::Loss;
use super::planted::PlantedFault;
use super::port::{ClientId, Clock, UserName};
use super::session::{Session, Sessions};
use super::settings::{SessionLoss, Settings};
use super::wait::{Undelivered, WaitQueues, WaitTimes, WaiterId};
use crate::lock::{Deadline, Escaped, KeyRef, LockKey, Millis, Tick, Tokens};
use std::collections::BTreeSet;

/// The state of all locks of a server that is not in the data: who waits, which holds are bound to connections,
/// and whether free locks may be granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// The present settings.
    pub(super) settings: Settings,
    /// Event counts.
    pub counters: Counters,
    /// How long waits took; none if there was no memory for it.
    pub wait_times: Option<WaitTimes>,
    /// Whether the server runs in cluster mode, which never changes.
    pub(super) cluster: bool,
    /// Whether the server is a master, by its last role event.
    pub(super) master: bool,
    /// The source of fencing tokens.
    pub(super) tokens: Tokens,
    /// Who waits.
    pub(super) queues: WaitQueues,
    /// Grants whose replies were not delivered yet.
    pub(super) undelivered: Undelivered,
    /// Holds that are bound to connections.
    pub(super) sessions: Sessions,
    /// Whether no free lock is granted for now.
    pub(super) grace: Grace,
    /// For how long a master with this server's settings may still grant after it was cut off.
    pub(super) cut_off: Millis,
    /// Locks that others changed and that have to be checked.
    pub(super) dirty: BTreeSet<LockKey>,
    /// When to try again, since the server refuses writes now.
    pub(super) retry_at: Option<Tick>,
    /// When to check next whether slots have moved away; only in a cluster, while calls wait or holds are bound.
    pub(super) check_slots_at: Option<Tick>,
    /// Which key events are asked for.
    pub(super) watch: Watch,
    /// A fault that a test has planted.
    #[cfg(feature = "planted-faults")]
    pub planted: Option<PlantedFault>,
}

/// The time between two checks of a cluster's slots.
pub(super) const SLOTS: Millis = Millis(1000);

impl Engine {
    /// Nobody waits, and nothing is bound.
    pub const fn new() -> Engine {
        Engine {
            settings: Settings::new(),
            counters: Counters::new(),
            wait_times: None,
            cluster: false,
            master: true,
            tokens: Tokens::new(),
            queues: WaitQueues::new(),
            undelivered: Undelivered::new(),
            sessions: Sessions::new(),
            grace: Grace::new(),
            cut_off: Millis(0),
            dirty: BTreeSet::new(),
            retry_at: None,
            check_slots_at: None,
            watch: Watch::Nothing,
            #[cfg(feature = "planted-faults")]
            planted: None,
        }
    }

    /// Begins anew with these settings, when the module is loaded. The source of tokens is kept, in case the
    /// library has stayed in memory since an unload.
    pub fn restart(&mut self, settings: Settings, cluster: bool, master: bool) {
        let tokens = std::mem::take(&mut self.tokens);
        *self = Engine {
            settings,
            wait_times: WaitTimes::new(),
            cluster,
            master,
            tokens,
            ..Engine::new()
        };
    }

    /// The present settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Gives back all memory, when the module is unloaded. The source of tokens has none, and is kept for
    /// [`Engine::restart`].
    pub fn forget(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        *self = Engine {
            tokens,
            ..Engine::new()
        };
    }

    /// Whether this server is a master, by its last role event.
    pub fn is_master(&self) -> bool {
        self.master
    }

    /// Whether nothing can become due: nobody waits, nothing is bound, granted or to be checked.
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
            && self.sessions.is_empty()
            && self.dirty.is_empty()
            && !self.undelivered.has_undo()
            && !self.grace.has_begun()
    }

    /// Whether a change of this lock by others matters: someone waits for it, or it is bound to a connection.
    pub fn minds(&self, key: KeyRef) -> bool {
        self.queues.is_waited_for(key) || self.sessions.get(key).is_some()
    }

    /// Whether it matters that this client's connection closes.
    pub fn minds_client(&self, client: ClientId) -> bool {
        self.sessions.is_bound_to(client)
    }

    /// When the lease ends that a call waits for, as far as is known; none if it does not wait any more.
    pub fn lease_waited_for(&self, id: WaiterId) -> Option<Option<Deadline>> {
        let waiter = self.queues.get(id)?;
        Some(self.queues.lease(waiter.key.borrowed()))
    }

    /// The user of the client that waits; none if it has none.
    pub fn user_waiting(&self, id: WaiterId) -> Option<UserName> {
        self.queues.get(id)?.user.clone()
    }

    /// How many calls wait, in how many queues, how many sessions there are, and what is left of a grace period.
    pub fn gauges(&self, tick: Tick) -> (usize, usize, usize, Millis) {
        let grace = self.grace_left(tick).map_or(Millis(0), |left| left.end);
        let (waiters, queues) = (self.queues.len(), self.queues.count());
        (waiters, queues, self.sessions.len(), grace)
    }

    /// What is left of a grace period.
    pub(super) fn grace_left(&self, tick: Tick) -> Option<GraceLeft> {
        match self.grace.has_begun() && !self.has_planted(PlantedFault::NoGrace) {
            true => self.grace.left(tick, self.settings.grace_period),
            false => None,
        }
    }

    /// Notes what has happened. Nothing is read or written: what follows from it is done by the next command, or
    /// by [`super::Step::wake_up`] when [`Engine::next_wakeup`] says so.
    pub fn note(&mut self, event: Event, clock: Clock, effects: &mut Effects) {
        match event {
            Event::KeyChanged { key, expired } => {
                if !self.minds(key.borrowed()) {
                    return;
                }
                if !expired {
                    self.sessions.note_change(key.borrowed());
                }
                self.dirty.insert(key);
            }
            Event::DatasetChanged { db } => {
                let bound = self.sessions.keys(db);
                for key in &bound {
                    self.sessions.note_change(key.borrowed());
                }
                self.dirty.extend(bound);
                self.dirty.extend(self.queues.keys(db));
            }
            Event::ClientClosed(client) => self.sessions.client_closed(client),
            Event::WaitCancelled(_) if self.has_planted(PlantedFault::KeepsCancelled) => (),
            Event::WaitCancelled(id) => {
                if self.queues.remove(id).is_some() {
                    self.counters.waits_cancelled += 1;
                }
            }
            Event::NotBlocked(id) => {
                self.queues.remove(id);
                self.counters.waits_started -= 1;
                self.counters.busy += 1;
            }
            Event::Delivered(id) => {
                if let Some(granted) = self.undelivered.delivered(id) {
                    let (token, client) = (granted.level.token, granted.client);
                    self.sessions
                        .delivered(&granted.key, token, client, clock.tick);
                }
            }
            Event::NotDelivered(id) => {
                if let Some(granted) = self.undelivered.not_delivered(id) {
                    let (token, client) = (granted.level.token, granted.client);
                    self.sessions.not_delivered(&granted.key, token, client);
                    self.counters.waits_cancelled += 1;
                }
            }
            // The end of the connection says what became of it: its client learns of it, and the session ends.
            Event::DeliveryInDoubt(client) => effects.push(Effect::Close(client)),
            Event::RoleChanged { master } => {
                self.master = master;
                self.answer_all(effects);
                if master || !self.has_planted(PlantedFault::WritesOnReplica) {
                    self.lose_all(effects);
                }
                if master {
                    self.begin_grace(clock.tick);
                }
            }
            Event::Started => self.begin_grace(clock.tick),
            Event::LoopRan => {
                self.check_for_stall(clock.tick, effects);
                self.grace.loop_ran(clock.tick);
            }
            Event::SettingsChanged(settings) => self.settings = *settings,
            Event::CutOffSettings(settings) => self.cut_off = settings.cut_off(),
        }
    }

    /// Ends all waits, since the server's role has changed.
    fn answer_all(&mut self, effects: &mut Effects) {
        const TEXT: &str = "UNBLOCKED the wait was ended since the server's role has changed";
        for id in self.queues.everyone() {
            self.queues.remove(id);
            self.counters.waits_cancelled += 1;
            effects.push(Effect::Deliver(id, Answer::Error(TEXT.to_owned())));
        }
    }

    /// The server is not a master any more, or never was: ends all sessions.
    fn lose_all(&mut self, effects: &mut Effects) {
        for key in self.sessions.keys(None) {
            self.lose(key.borrowed(), Loss::Other, effects);
        }
    }

    /// Ends the session of a lock that was lost, if it has one.
    pub(super) fn lose(&mut self, key: KeyRef, loss: Loss, effects: &mut Effects) {
        if let Some(lost) = self.sessions.end(key) {
            self.session_lost(key, &lost, loss, effects);
        }
    }

    /// Counts and logs that a holder has lost its lock, and closes its connection, so that it learns of that.
    pub(super) fn session_lost(
        &mut self,
        key: KeyRef,
        lost: &Session,
        loss: Loss,
        effects: &mut Effects,
    ) {
        self.counters.sessions_lost += 1;
        let (owner, lock) = (Escaped(&lost.owner), Escaped(key.name));
        let why = loss.reason();
        effects.push(Effect::Warn(format!(
            "session lost: {owner} no longer holds {lock} (db {}){why}",
            key.db
        )));
        if loss.closes_always() || self.settings.session_loss == SessionLoss::Close {
            effects.close_all(lost.clients());
        }
    }

    fn begin_grace(&mut self, tick: Tick) {
        self.grace.loop_ran(tick);
        let cut_off = match self.has_planted(PlantedFault::NoCutOff) {
            true => Millis(0),
            false => self.cut_off,
        };
        self.grace.begin(tick, cut_off);
        self.end_grace(tick);
    }

    /// Records that the grace period is over, if it is: the queues have to be served then.
    pub(super) fn end_grace(&mut self, tick: Tick) {
        if self.grace.end(tick, self.settings.grace_period) {
            self.dirty.extend(self.queues.keys(None));
        }
    }

    /// Checks whether this server was at a standstill for so long that it may have been replaced. Has to
    /// be called before anything is granted: commands that came in meanwhile are run before the server
    /// checks its replicas.
    pub(super) fn check_for_stall(&mut self, tick: Tick, effects: &mut Effects) {
        if self.settings.grace_period.0 == 0 {
            return;
        }
        let Some(still) = self.grace.stood_still(tick) else {
            return;
        };
        self.grace.loop_ran(tick);
        self.grace.go_on(tick, self.cut_off);
        if self.cut_off.0 > 0 {
            effects.push(Effect::Warn(format!(
                "the event loop did not run for {} ms, so this server may have been replaced: it grants no free lock for {} ms",
                still.0, self.cut_off.0
            )));
        }
    }

    /// Whether a waiter or session would be affected by a slot that moves away.
    pub(super) fn has_slots_to_check(&self) -> bool {
        self.cluster && !(self.queues.is_empty() && self.sessions.is_empty())
    }

    /// When a wakeup is due; none if nothing is.
    pub fn next_wakeup(&self, clock: Clock) -> Option<Tick> {
        let writes = self.next_write(clock);
        let writes = writes.map(|at| self.retry_at.map_or(at, |retry| at.max(retry)));
        let grace_end = self.grace.has_begun().then(|| {
            let left = self.grace_left(clock.tick);
            left.map_or(clock.tick, |left| clock.tick.plus(left.end))
        });
        let slots = match self.has_slots_to_check() {
            true => self.check_slots_at.or(Some(clock.tick.plus(SLOTS))),
            false => None,
        };
        let all = [writes, grace_end, slots, self.queues.next_timeout()];
        let next = all.into_iter().flatten().min();
        debug_assert!(
            next.is_none() || !self.is_idle(),
            "{next:?} is due in an idle engine"
        );
        next
    }

    /// When something may have to be written.
    pub(super) fn next_write(&self, clock: Clock) -> Option<Tick> {
        let Clock { now, tick } = clock;
        let at_once =
            !self.dirty.is_empty() || self.undelivered.has_undo() || self.sessions.any_closed();
        if at_once {
            return Some(tick);
        }
        let lease = self.queues.next_lease();
        let lease = lease.map(|end| tick.plus(end.wait(now)));
        let renewal = self.sessions.next_due().map(|at| {
            let left = self.grace_left(tick);
            left.map_or(at, |left| at.max(tick.plus(left.no_extension)))
        });
        [lease, renewal].into_iter().flatten().min()
    }
}

impl Engine {
    /// Whether it has this fault.
    #[cfg(feature = "planted-faults")]
    pub(super) fn has_planted(&self, fault: PlantedFault) -> bool {
        self.planted == Some(fault)
    }

    /// Whether it has this fault.
    #[cfg(not(feature = "planted-faults"))]
    pub(super) const fn has_planted(&self, _: PlantedFault) -> bool {
        false
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}
