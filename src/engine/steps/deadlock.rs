//! Refuses waits that would never end. See [`crate::engine::deadlock`].

use crate::engine::deadlock::{Cycle, Holding, Next, Refused, Search};
use crate::engine::effects::{Answer, Effect};
use crate::engine::error::Error;
use crate::engine::planted::PlantedFault;
use crate::engine::port::Server;
use crate::engine::step::Step;
use crate::engine::wait::{Waiter, WaiterId};
use crate::lock::{KeyRef, LockKey};

/// How many cycles one step logs.
const LOGGED: usize = 10;

impl<S: Server> Step<'_, S> {
    /// Refuses a wait that would close a cycle.
    ///
    /// # Errors
    /// [`Error::Deadlock`].
    pub(super) fn refuse_cycle(&mut self, waiter: &Waiter) -> Result<(), Error> {
        if self.engine.has_planted(PlantedFault::LeavesCycles) {
            return Ok(());
        }
        let Waiter { owner, key, .. } = waiter;
        let session = self.engine.sessions.get(key.borrowed());
        let bound = session.and_then(|session| session.bound());
        let is_bound_here = bound.is_some_and(|bound| bound.client == waiter.client);
        // A cycle leads through a wait for another lock, or is closed by this connection. Else it does not matter who the
        // holder is.
        if !is_bound_here && !self.engine.queues.is_another_waited_for(key.borrowed()) {
            return Ok(());
        }
        let had_all = self.budget.is_full();
        if !self.budget.look_up(key) {
            self.repeats_search |= !had_all;
            return Ok(());
        }
        let holding = self.holding(key.borrowed());
        let leads_on = |holding: &Holding| is_bound_here || holding.waits(&self.engine.queues);
        if !holding.as_ref().is_some_and(leads_on) {
            return Ok(());
        }
        let mut search = Search::of_wait(owner.clone(), waiter.client, key.clone());
        search.held(holding);
        match self.next_cycle(&mut search) {
            None => {
                self.repeats_search |= self.budget.is_spent() && !had_all;
                Ok(())
            }
            Some(cycle) => {
                self.engine.counters.deadlocks_refused += 1;
                self.log_cycle(&cycle);
                Err(deadlock(&cycle, &key.name))
            }
        }
    }

    /// Others may have given a lock another holder: see [`Step::refuse_cycles`].
    pub(super) fn refuse_cycles_of(&mut self, key: &LockKey) {
        if self.engine.queues.is_waited_for(key.borrowed()) {
            if let Some(holding) = self.holding(key.borrowed()) {
                self.refuse_cycles(key, holding);
            }
        }
    }

    /// A lock has a new holder. Refuses waits until the lock is not part of a cycle any more. Only a lock that is
    /// waited for can be part of one.
    pub(super) fn refuse_cycles(&mut self, key: &LockKey, holding: Holding) {
        let is_left = self.engine.has_planted(PlantedFault::LeavesCycles);
        let queues = &self.engine.queues;
        if is_left || !holding.waits(queues) || !queues.is_waited_for(key.borrowed()) {
            return;
        }
        let mut search = Search::of_holder(key.clone(), holding, &self.engine.queues);
        let (mut has_refused, had_all) = (false, self.budget.is_full());
        while let Some(cycle) = self.next_cycle(&mut search) {
            let refused = self.take_refused(&cycle.refused);
            let Some((_, first)) = refused.first() else {
                break;
            };
            has_refused = true;
            self.log_cycle(&cycle);
            let text = deadlock(&cycle, &first.key.name).to_string();
            self.engine.counters.deadlocks_refused += refused.len() as u64;
            for (id, _) in refused {
                self.answer(id, Answer::Error(text.clone()));
            }
        }
        // There may be more. Other clients are served before.
        self.repeats_search |= self.budget.is_spent() && (has_refused || !had_all);
        self.repeat_search(key);
    }

    /// Has the search repeated by the next wakeup, if that is to be: it finds all locks. It ends, since the first search of
    /// each wakeup has the whole budget.
    pub(super) fn repeat_search(&mut self, key: &LockKey) {
        if std::mem::take(&mut self.repeats_search) {
            self.engine.dirty.insert(key.clone());
        }
    }

    /// Takes those who are refused out of their queue.
    fn take_refused(&mut self, refused: &Refused) -> Vec<(WaiterId, Waiter)> {
        let queues = &mut self.engine.queues;
        match refused {
            Refused::Group(owner, key) => {
                let most = self.budget.refuse(queues.count_of(owner, key));
                queues.take_youngest_of(owner, key, most)
            }
            Refused::One(id) => {
                self.budget.refuse(1);
                let wait = queues.remove(*id);
                wait.map(|wait| (*id, wait)).into_iter().collect()
            }
            Refused::New => Vec::new(),
        }
    }

    fn next_cycle(&mut self, search: &mut Search) -> Option<Cycle> {
        loop {
            match search.next(&self.engine.queues, &mut self.budget) {
                Next::Ask(key) => search.held(self.holding(key.borrowed())),
                Next::Found(cycle) => return Some(cycle),
                Next::Done => return None,
            }
        }
    }

    /// The holder of a lock, and the connection that the hold is bound to.
    fn holding(&mut self, key: KeyRef) -> Option<Holding> {
        if !self.finds(key) {
            self.repeats_search = true;
            return None;
        }
        let holder = self.holder(key).ok().flatten()?;
        let session = self.engine.sessions.get(key);
        // The session may be that of an earlier hold whose loss was not noticed yet.
        let session = session.filter(|s| Some(s.fence.token) == holder.hold.token());
        let bound = session.and_then(|session| session.bound());
        Some(Holding {
            client: bound.map(|connection| connection.client),
            owner: holder.owner.into(),
        })
    }

    /// Logs a cycle. Not every user may see owners, so the error only says how many there are.
    fn log_cycle(&mut self, cycle: &Cycle) {
        self.deadlocks_logged += 1;
        let more = match self.deadlocks_logged {
            ..LOGGED => "",
            LOGGED => "; further deadlocks of this command are only counted",
            _ => return,
        };
        let text = format!("deadlock refused: {cycle}{more}");
        self.effects.push(Effect::Warn(text));
    }
}

fn deadlock(cycle: &Cycle, lock: &[u8]) -> Error {
    Error::Deadlock {
        owners: cycle.owners(),
        shares_connection: cycle.shares_connection(),
        lock: lock.to_vec(),
    }
}
