//! One step: a command, or a wakeup.

use super::deadlock::Budget;
use super::effects::{Answer, Effect, Effects, Watch};
use super::grace::GraceLeft;
use super::planted::PlantedFault;
use super::port::{Clock, Server};
use super::state::Engine;
use super::wait::WaiterId;
use crate::lock::{slot_of, Error, Holder, KeyRef, LockKey, Millis, View};

/// One step of the engine: its state, the server, and the effects so far. Nothing else reads or writes locks.
pub struct Step<'a, S> {
    pub(super) engine: &'a mut Engine,
    pub(super) server: &'a mut S,
    pub(super) effects: &'a mut Effects,
    /// What this step may still do about deadlocks.
    pub(super) budget: Budget,
    /// How many deadlocks it has logged.
    pub(super) deadlocks_logged: usize,
    /// Whether the search for deadlocks has to be repeated: it came to a lock that the server does not find now, or had only
    /// what others had left it.
    pub(super) repeats_search: bool,
}

/// After how long writes that were refused are tried again.
pub(super) const RETRY: Millis = Millis(100);

impl<'a, S: Server> Step<'a, S> {
    /// Begins a step.
    pub fn begin(
        engine: &'a mut Engine,
        server: &'a mut S,
        effects: &'a mut Effects,
    ) -> Step<'a, S> {
        // Before anything is granted. Without a grace period the monotonic clock is not read.
        if engine.settings.grace_period.0 > 0 {
            engine.check_for_stall(server.tick(), effects);
        }
        Step {
            engine,
            server,
            effects,
            budget: Budget::full(),
            deadlocks_logged: 0,
            repeats_search: false,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &super::Settings {
        &self.engine.settings
    }

    /// Whether this server is a master.
    pub fn is_master(&self) -> bool {
        self.engine.is_master()
    }

    /// The database that the caller has selected.
    pub fn db(&mut self) -> i32 {
        self.server.selected_db()
    }

    /// The time of this step.
    pub(super) fn clock(&mut self) -> Clock {
        Clock {
            now: self.server.now(),
            tick: self.server.tick(),
        }
    }

    /// What is left of a grace period.
    pub(super) fn grace_left(&mut self) -> Option<GraceLeft> {
        match self.engine.grace.has_begun() {
            true => self.engine.grace_left(self.server.tick()),
            false => None,
        }
    }

    /// Whether no lease may be extended now: an old master may still grant.
    pub(super) fn extends_nothing(&mut self) -> bool {
        self.grace_left()
            .is_some_and(|left| left.no_extension.0 > 0)
    }

    /// The lock as this owner sees it.
    pub(super) fn view(&mut self, key: KeyRef, owner: &[u8]) -> Result<View, Error> {
        let now = self.server.now();
        match self.server.read(key, owner)? {
            None => Ok(View::Free { lapsed: false }),
            Some(stored) => stored.seen(now, &mut self.engine.tokens),
        }
    }

    /// The lock as this owner sees it, once it is up to date: nobody overtakes the queue.
    pub(super) fn current_view(&mut self, key: KeyRef, owner: &[u8]) -> Result<View, Error> {
        let view = self.view(key, owner)?;
        let overtakes = self.engine.has_planted(PlantedFault::Overtakes);
        let is_free = matches!(view, View::Free { .. }) && !overtakes;
        if is_free && self.engine.minds(key) && self.bring_up_to_date(key) {
            return self.view(key, owner);
        }
        Ok(view)
    }

    /// Whether the server finds this lock now. A node of a cluster with a table for each slot (Redis from 7.4, Valkey) looks
    /// for every key in that of the command that it runs. Outside a command, and outside a cluster, any is found.
    pub(super) fn finds(&self, key: KeyRef) -> bool {
        if !self.engine.cluster || self.engine.has_planted(PlantedFault::IgnoresSlots) {
            return true;
        }
        let own = self.server.own_name();
        own.is_none_or(|own| slot_of(own) == slot_of(key.name))
    }

    /// The holder of the lock, whoever it is; none if it is free.
    pub(super) fn holder(&mut self, key: KeyRef) -> Result<Option<Holder>, Error> {
        let now = self.server.now();
        let Some(holder) = self.server.read_holder(key)? else {
            return Ok(None);
        };
        if let Some(token) = holder.hold.token() {
            self.engine.tokens.learn(token, now)?;
        }
        Ok((!holder.hold.deadline.has_passed(now)).then_some(holder))
    }

    /// How long the lock is still held, whoever holds it.
    pub(super) fn time_left(&mut self, key: KeyRef) -> Millis {
        let now = self.server.now();
        let end = self.server.expiry(key);
        end.map_or(Millis(0), |end| end.wait(now))
    }

    /// Replies to a call that has left its queue.
    pub(super) fn answer(&mut self, id: WaiterId, answer: Answer) {
        if self.engine.has_planted(PlantedFault::AnswersTwice) {
            self.effects.push(Effect::Deliver(id, answer.clone()));
        }
        self.effects.push(Effect::Deliver(id, answer));
    }

    /// Asks for key events. That costs every such write of the server a little, so it is done at the first wait or
    /// session.
    pub(super) fn watch(&mut self, watch: Watch) {
        if self.engine.watch < watch {
            self.engine.watch = watch;
            self.effects.push(Effect::Watch(watch));
        }
    }

    /// Someone waits, or a hold is bound: the slots have to be checked from now on.
    pub(super) fn check_slots_later(&mut self) {
        if self.engine.cluster && self.engine.check_slots_at.is_none() {
            let at = self.server.tick().plus(super::state::SLOTS);
            self.engine.check_slots_at = Some(at);
        }
    }

    /// The server refuses to write this lock now: it is checked again later.
    pub(super) fn retry(&mut self, key: LockKey) {
        self.engine.dirty.insert(key);
        self.retry_later();
    }

    /// The server refuses to write now: what is due is tried again later.
    pub(super) fn retry_later(&mut self) {
        self.engine.retry_at = Some(self.server.tick().plus(RETRY));
    }
}
