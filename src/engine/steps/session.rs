//! Sessions: renews their leases, and frees their locks when the connection has closed.

use crate::engine::deadlock::Holding;
use crate::engine::loss::Loss;
use crate::engine::planted::PlantedFault;
use crate::engine::port::{Server, WriteCheck};
use crate::engine::session::{compare, Connection, Found, Session, SessionOptions};
use crate::engine::step::{Step, RETRY};
use crate::lock::{
    extend, set_ttl, Change, Deadline, Grant, Hold, KeyRef, LockKey, Millis, Now, Token, View,
};
use std::sync::Arc;

/// Renewals that are due within this time are done together.
const SLACK: Millis = Millis(50);

/// How long before its lease ends a session is lost that this server refuses to renew. A promoted replica may grant
/// the lock as soon as the lease is over, and the holder has to be disconnected by then; it is tried every 100 ms.
const NOTICE: Millis = Millis(200);

/// How many renewals are done at once; clients are served before the next ones.
const BATCH: usize = 100;

impl<S: Server> Step<'_, S> {
    /// Binds a hold to the connection of the caller, who was just granted it.
    pub(super) fn bind(
        &mut self,
        key: KeyRef,
        owner: &[u8],
        grant: &Grant,
        options: SessionOptions,
    ) {
        let Some(token) = grant.token() else { return };
        let (key, owner) = (key.to_owned(), Arc::from(owner));
        let client = self.server.caller();
        let connection = Connection {
            client,
            user: self.server.caller_user(),
            options,
        };
        self.reserve(&key, &owner, grant, connection);
        let tick = self.server.tick();
        self.engine.sessions.delivered(&key, token, client, tick);
    }

    /// Compares the session of a lock, if it has one, with the data. True if its lease had run out and was written
    /// again.
    pub(super) fn reconcile(&mut self, key: KeyRef) -> bool {
        let Some(session) = self.engine.sessions.get(key).cloned() else {
            return false;
        };
        let grace = self.grace_left();
        let found = match self.found(key, &session) {
            Found::Lost if self.engine.has_planted(PlantedFault::GoesOnAfterLoss) => {
                Found::Lapsed { stored: false }
            }
            found => found,
        };
        match (found, session.bound()) {
            (Found::Held(hold), _) => self.engine.sessions.checked(key, hold.holds),
            (Found::Lapsed { .. }, _) if grace.is_some_and(|grace| grace.data_complete) => (),
            // The old master may have granted the lock meanwhile.
            (Found::Lapsed { .. }, _) if grace.is_some() => self.lose(key, Loss::Other),
            (Found::Lapsed { stored }, Some(bound)) if !session.is_closed() => {
                let may_go_on = self.may_renew(key, &session, bound);
                let now = self.server.now();
                match self.lease_again(&session, bound, now) {
                    Some(deadline) if may_go_on => {
                        self.restore(key, &session, stored, deadline);
                        return true;
                    }
                    Some(_) => self.lose(key, Loss::Other),
                    None => self.lose(key, Loss::MaxHold),
                }
            }
            // Its connection has closed, or its grant was not delivered yet: nobody relies on it.
            (Found::Lapsed { .. }, _) => {
                self.engine.counters.sessions_ended += u64::from(session.is_closed());
                self.engine.sessions.end(key);
            }
            (Found::Lost, _) => self.lose(key, Loss::Other),
        }
        false
    }

    fn found(&mut self, key: KeyRef, session: &Session) -> Found {
        compare(session, self.view(key, &session.owner))
    }

    /// The lease that a session gets from now, if its hold may last beyond that time.
    fn lease_again(
        &mut self,
        session: &Session,
        bound: &Connection,
        beyond: Now,
    ) -> Option<Deadline> {
        let now = self.server.now();
        let limits = self.engine.settings.limits();
        let deadline = limits.deadline(bound.options.ttl, session.fence.start, None, now);
        (!deadline.has_passed(beyond)).then_some(deadline)
    }

    /// Writes again a lease that ran out while its connection was open: same token, same count.
    fn restore(&mut self, key: KeyRef, session: &Session, stored: bool, deadline: Deadline) {
        let change = Change::Take {
            lapsed: stored,
            holds: session.holds,
            fence: session.fence,
            deadline,
        };
        self.apply(key, &session.owner, &change);
        let key = key.to_owned();
        let tick = self.server.tick();
        self.engine.sessions.renewed(&key, tick);
        self.engine.counters.sessions_renewed += 1;
        self.serve_restored(key.borrowed(), &session.owner);
        // Calls that began to wait meanwhile saw a free lock.
        let holding = Holding {
            owner: session.owner.clone(),
            client: session.bound().map(|connection| connection.client),
        };
        self.refuse_cycles(&key, holding);
    }

    /// Frees the locks of connections that have closed. Only while this server may write.
    pub(super) fn end_closed(&mut self) {
        let closed = self.engine.sessions.closed();
        self.each(closed, Step::end);
    }

    /// Renews the leases that are due. Only while this server may write.
    pub(super) fn renew_due(&mut self) {
        if !self.extends_nothing() {
            let until = self.server.tick().plus(SLACK);
            let due = self.engine.sessions.due(until, BATCH);
            self.each(due, Step::renew_session);
        }
    }

    fn each(&mut self, keys: Vec<LockKey>, step: fn(&mut Self, &LockKey)) {
        let (mut known, mut is_refused) = (None, false);
        for key in keys {
            // Outside a cluster the result is the same for every key.
            let check = match known {
                Some(check) if !self.engine.cluster => check,
                _ => self.server.check_write(key.borrowed()),
            };
            known = Some(check);
            match check {
                _ if self.engine.has_planted(PlantedFault::RenewsUnasked) => step(self, &key),
                WriteCheck::Accepted => step(self, &key),
                WriteCheck::Elsewhere => {
                    self.lose_elsewhere(key.borrowed());
                    self.put_off(&key);
                }
                WriteCheck::NotNow => is_refused = true,
            }
        }
        if is_refused {
            self.lose_overdue();
            self.retry_later();
        }
    }

    /// A session whose slot is being moved here cannot be written yet. Nothing else has to wait for it: not the sessions
    /// behind it, nor the rest of what is due.
    fn put_off(&mut self, key: &LockKey) {
        let session = self.engine.sessions.get(key.borrowed());
        match session.map(Session::is_closed) {
            Some(false) => {
                let at = self.server.tick().plus(RETRY);
                self.engine.sessions.put_off(key, at);
            }
            Some(true) => self.retry_later(),
            None => (),
        }
    }

    /// Ends the sessions whose leases are nearly over because this server refuses to renew them: it is short of
    /// replicas, for example, and may have been replaced. Their holders only learn of it when they are
    /// disconnected.
    fn lose_overdue(&mut self) {
        let (now, tick) = (self.server.now(), self.server.tick());
        let soon = Now(now.0 + NOTICE.0 * 1000);
        for key in self.engine.sessions.overdue(tick.plus(NOTICE)) {
            let session = self.engine.sessions.get(key.borrowed()).cloned();
            let over = session.as_ref().is_some_and(|session| {
                let again = session
                    .bound()
                    .map(|bound| self.lease_again(session, bound, soon));
                again == Some(None)
            });
            let loss = if over { Loss::MaxHold } else { Loss::Other };
            self.lose(key.borrowed(), loss);
        }
    }

    /// Ends the session of a lock whose slot belongs to another node, unless the lock is here: then the
    /// slot is being moved here.
    pub(super) fn lose_elsewhere(&mut self, key: KeyRef) {
        let Some(session) = self.engine.sessions.get(key).cloned() else {
            return;
        };
        if !matches!(self.found(key, &session), Found::Held(_)) {
            self.lose(key, Loss::Other);
        }
    }

    pub(super) fn lose(&mut self, key: KeyRef, loss: Loss) {
        self.engine.lose(key, loss, self.effects);
    }

    /// The owner is about to be told that it does not hold a lock whose lease is over. While this server is in doubt the
    /// lease of its session is not written again: then it is not to be later, either.
    pub(super) fn lose_if_free(
        &mut self,
        key: KeyRef,
        view: &View,
        owner: &[u8],
        token: Option<Token>,
    ) {
        if !matches!(view, View::Free { .. }) {
            return;
        }
        let is_its = |session: &Session| {
            *session.owner == *owner && token.is_none_or(|token| token == session.fence.token)
        };
        if self.engine.sessions.get(key).is_some_and(is_its) {
            self.lose(key, Loss::Other);
        }
    }

    /// Frees a lock whose connection has closed, or begins its linger.
    fn end(&mut self, key: &LockKey) {
        let key = key.borrowed();
        let Some(session) = self.engine.sessions.get(key).cloned() else {
            return;
        };
        let Some(bound) = session.bound() else { return };
        if session.is_reserved() {
            return; // another connection of the owner was granted it, and gets its reply in this iteration
        }
        if self.engine.has_planted(PlantedFault::OutlivesConnection) {
            return self.renew_session(&key.to_owned());
        }
        let found = self.found(key, &session);
        if found == Found::Lost {
            return self.lose(key, Loss::Other);
        }
        self.engine.sessions.end(key);
        self.engine.counters.sessions_ended += 1;
        match (found, bound.options.linger) {
            (Found::Held(_), Millis(0)) => self.apply(key, &session.owner, &Change::Free),
            (Found::Held(hold), linger) => self.linger(key, &session.owner, &hold, linger),
            _ => drop(self.serve(key)),
        }
    }

    fn linger(&mut self, key: KeyRef, owner: &[u8], hold: &Hold, linger: Millis) {
        let now = self.server.now();
        let linger = match self.extends_nothing() {
            true => linger.min(hold.deadline.left(now)),
            false => linger,
        };
        let update = set_ttl(hold, linger, now, &self.engine.settings.limits());
        self.apply(key, owner, &Change::Update(update));
    }

    /// Whether the user that acquired a session's lock may still acquire it. A user without a name cannot be
    /// checked.
    fn may_renew(&mut self, key: KeyRef, session: &Session, bound: &Connection) -> bool {
        let Some(user) = &bound.user else {
            return true;
        };
        self.server.may_acquire(user, key, &session.owner)
    }

    fn renew_session(&mut self, key: &LockKey) {
        let Some(session) = self.engine.sessions.get(key.borrowed()).cloned() else {
            return;
        };
        let Some(bound) = session.bound() else { return };
        let Found::Held(hold) = self.found(key.borrowed(), &session) else {
            self.reconcile(key.borrowed());
            return;
        };
        if !self.may_renew(key.borrowed(), &session, bound) {
            return self.lose(key.borrowed(), Loss::Other);
        }
        let (now, tick) = (self.server.now(), self.server.tick());
        let limits = self.engine.settings.limits();
        let update = extend(&hold, bound.options.ttl, now, &limits);
        self.apply(key.borrowed(), &session.owner, &Change::Update(update));
        match update.deadline {
            Some(_) => self.engine.counters.sessions_renewed += 1,
            // The clocks may have come apart, where it may not be extended and is due at its end.
            None => {
                let end = self.tick_of(hold.deadline);
                self.engine.sessions.set_lease(key.borrowed(), end);
                let lease = Some(hold.deadline);
                self.engine.queues.set_lease(key.borrowed(), lease);
            }
        }
        self.engine.sessions.renewed(key, tick);
    }
}
