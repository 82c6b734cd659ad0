//! The deadlock search: finds cycles of waits that cannot end.
//!
//! An edge leads from a wait to its lock. Edges lead from a lock to what may keep it from being
//! released: the waits of its owner, and the wait on the connection that it is bound to, since that
//! connection cannot send a release meanwhile. Only a new wait and a new holder add edges, so a
//! search starts there: depth first, each lock and each owner once (Coffman, Elphick and Shoshani,
//! "System Deadlocks", 1971).

use super::budget::Budget;
use super::cycle::{Bound, Cycle, Refused, WaitEdge};
use super::marks::{Mark, Marks};
use crate::engine::port::ClientId;
use crate::engine::wait::{WaitQueues, WaiterId};
use crate::lock::LockKey;
use std::sync::Arc;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The owner.
    pub owner: Arc<[u8]>,
    /// The connection that the hold is bound to.
    pub client: Option<ClientId>,
}

impl Holding {
    /// Whether an edge leads from the lock: its owner waits, or the connection that it is bound to.
    pub fn waits(&self, queues: &WaitQueues) -> bool {
        let by_client = |client| queues.wait_on(client).is_some();
        self.client.is_some_and(by_client) || queues.waits_of(&self.owner, None).next().is_some()
    }
}

/// What a search needs, or has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It has to know who holds this lock: [`Search::held`].
    Ask(LockKey),
    /// A cycle. What is refused has to leave its queue before the search goes on.
    Found(Cycle),
    /// There are no more cycles, or the budget is spent.
    Done,
}

/// A search. It asks who holds a lock, and goes on with the answer, so that nothing is borrowed
/// while the server is asked.
#[derive(Debug)]
pub struct Search {
    goal: Goal,
    /// The wait that is followed next.
    edge: Option<Edge>,
    path: Vec<Frame>,
    locks: Marks<LockKey>,
    owners: Marks<Arc<[u8]>>,
    /// Who holds each of the locks; none where one is free.
    held: Vec<Option<Holding>>,
    /// It met its own path: a cycle without the goal. Nodes that were finished since then may still
    /// lead to the goal, by way of the path.
    met_path: bool,
    /// Some waits were refused.
    has_refused: bool,
}

/// What has to close a cycle.
#[derive(Debug)]
enum Goal {
    /// A wait that is about to begin on this connection.
    Wait { owner: Arc<[u8]>, client: ClientId },
    /// A lock that has a new holder.
    Lock { key: LockKey, holding: Holding },
}

/// A wait on the path.
#[derive(Debug)]
struct Edge {
    owner: Arc<[u8]>,
    key: LockKey,
    /// None for the wait that is about to begin. Of several waits of the owner for the lock, the oldest.
    id: Option<WaiterId>,
    /// Set if it is the wait on the connection that the lock before it is bound to. Otherwise it is
    /// a wait of that lock's owner.
    by_client: Option<ClientId>,
}

/// A lock of the path.
#[derive(Debug)]
struct Frame {
    /// The lock's number, and the wait that led to it; none for the goal.
    edge: Option<(usize, Edge)>,
    holder: Arc<[u8]>,
    /// The holder's number, where its waits are followed from here.
    owner: Option<usize>,
    /// The waits that are followed next.
    next: std::vec::IntoIter<Edge>,
    /// More of the holder's waits are to be fetched: those for locks after this one.
    has_more: bool,
    after: Option<LockKey>,
}

/// So many waits of an owner are fetched at once.
const FETCHED: usize = 16;

impl Frame {
    fn edge(&self) -> Option<&Edge> {
        self.edge.as_ref().map(|(_, edge)| edge)
    }

    /// The next wait that leads on from here.
    fn next_edge(&mut self, queues: &WaitQueues) -> Option<Edge> {
        if self.next.as_slice().is_empty() && self.has_more {
            let waits = queues.waits_of(&self.holder, self.after.as_ref());
            let edges = waits.take(FETCHED).map(|(key, id)| Edge {
                owner: self.holder.clone(),
                key: key.clone(),
                id: Some(id),
                by_client: None,
            });
            let edges: Vec<Edge> = edges.collect();
            self.has_more = edges.len() == FETCHED;
            self.after = edges.last().map(|last| last.key.clone());
            self.next = edges.into_iter();
        }
        self.next.next()
    }
}

impl Search {
    /// Searches for a cycle that a wait on this connection, which is about to begin, would close.
    pub fn of_wait(owner: Arc<[u8]>, client: ClientId, key: LockKey) -> Search {
        let edge = Edge {
            owner: owner.clone(),
            key,
            id: None,
            by_client: None,
        };
        Search {
            edge: Some(edge),
            ..Search::to(Goal::Wait { owner, client })
        }
    }

    /// Searches for all cycles that a new holder of this lock has closed.
    pub fn of_holder(key: LockKey, holding: Holding, queues: &WaitQueues) -> Search {
        let mut search = Search::to(Goal::Lock { key, holding });
        search.start(queues);
        search
    }

    fn to(goal: Goal) -> Search {
        Search {
            goal,
            edge: None,
            path: Vec::new(),
            locks: Marks::default(),
            owners: Marks::default(),
            held: Vec::new(),
            met_path: false,
            has_refused: false,
        }
    }

    fn start(&mut self, queues: &WaitQueues) {
        if let Goal::Lock { holding, .. } = &self.goal {
            self.open(None, holding.clone(), queues);
        }
    }

    /// The holder of the lock that the search asked for; none if it is free.
    pub fn held(&mut self, holding: Option<Holding>) {
        if let Some(edge) = &self.edge {
            if self.locks.find_or_add(&edge.key) == self.held.len() {
                self.held.push(holding);
            }
        }
    }

    /// Continues the search.
    pub fn next(&mut self, queues: &WaitQueues, budget: &mut Budget) -> Next {
        loop {
            let edge = match self.edge.take() {
                Some(edge) => edge,
                None => match self.next_edge(queues) {
                    Some(edge) if budget.follow(1) => edge,
                    _ => return Next::Done,
                },
            };
            if let Some(next) = self.follow(edge, queues, budget) {
                return next;
            }
        }
    }

    /// The next wait that continues the path, which becomes shorter if there is none.
    fn next_edge(&mut self, queues: &WaitQueues) -> Option<Edge> {
        loop {
            let has_refused = self.has_refused;
            match self.path.last_mut()?.next_edge(queues) {
                None => self.close(Mark::Done),
                Some(edge) if !has_refused => return Some(edge),
                Some(mut edge) => {
                    edge.id = edge.id.filter(|id| queues.get(*id).is_some());
                    if edge.id.is_none() && edge.by_client.is_none() {
                        edge.id = queues.oldest_of(&edge.owner, &edge.key);
                    }
                    if edge.id.is_some() {
                        return Some(edge);
                    }
                }
            }
        }
    }

    fn follow(&mut self, edge: Edge, queues: &WaitQueues, budget: &mut Budget) -> Option<Next> {
        if let Goal::Lock { key, holding } = &self.goal {
            if edge.key == *key {
                // A wait for a lock that its owner holds is granted as a reentry.
                let closes = edge.owner != holding.owner;
                return closes.then(|| Next::Found(self.break_cycle(edge, queues, budget)));
            }
        }
        let Some(lock) = self.locks.find(&edge.key) else {
            if !budget.look_up(&edge.key) {
                return Some(Next::Done);
            }
            let ask = Next::Ask(edge.key.clone());
            self.edge = Some(edge);
            return Some(ask);
        };
        let holding = self.held[lock].as_ref()?;
        if holding.owner == edge.owner {
            return None; // as above
        }
        if let Goal::Wait { owner, client } = &self.goal {
            let bound = (holding.owner != *owner).then_some(Bound {
                client: *client,
                owner: holding.owner.clone(),
            });
            if bound.is_none() || holding.client == Some(*client) {
                let steps = self.steps(&edge, bound);
                let refused = Refused::New;
                return Some(Next::Found(Cycle { steps, refused }));
            }
        }
        match self.locks.mark(lock) {
            Mark::New => {
                let holding = holding.clone();
                self.open(Some((lock, edge)), holding, queues);
            }
            Mark::Path => self.met_path = true,
            Mark::Done => (),
        }
        None
    }

    /// Puts a lock at the end of the path.
    fn open(&mut self, edge: Option<(usize, Edge)>, holding: Holding, queues: &WaitQueues) {
        let Holding { owner, client } = holding;
        let number = self.owners.find_or_add(&owner);
        let mark = self.owners.mark(number);
        if mark == Mark::New {
            self.owners.set(number, Mark::Path);
        }
        self.met_path |= mark == Mark::Path;
        if let Some((lock, _)) = &edge {
            self.locks.set(*lock, Mark::Path);
        }
        let wait = client.and_then(|client| queues.wait_on(client));
        let wait = wait.filter(|(_, wait)| wait.owner != owner);
        let next = wait.map(|(id, wait)| Edge {
            owner: wait.owner.clone(),
            key: wait.key.clone(),
            id: Some(id),
            by_client: client,
        });
        self.path.push(Frame {
            edge,
            holder: owner,
            owner: (mark == Mark::New).then_some(number),
            next: Vec::from_iter(next).into_iter(),
            has_more: mark == Mark::New,
            after: None,
        });
    }

    /// Takes the last lock from the path.
    fn close(&mut self, mark: Mark) {
        let Some(frame) = self.path.pop() else { return };
        if let Some((lock, _)) = frame.edge {
            self.locks.set(lock, mark);
        }
        if let Some(owner) = frame.owner {
            self.owners.set(owner, mark);
        }
    }

    /// The cycle of the path and the wait that closes it. `bound` is the hold of the last lock, as in
    /// a [`WaitEdge`].
    fn steps(&self, last: &Edge, bound: Option<Bound>) -> Vec<WaitEdge> {
        let led = self.path.iter().filter(|frame| frame.edge.is_some());
        let edges: Vec<&Edge> = led.clone().filter_map(Frame::edge).chain([last]).collect();
        let bounds = led.zip(&edges[1..]).map(|(frame, next)| {
            let owner = frame.holder.clone();
            next.by_client.map(|client| Bound { owner, client })
        });
        let step = |(edge, bound): (&&Edge, Option<Bound>)| WaitEdge {
            owner: edge.owner.clone(),
            key: edge.key.clone(),
            id: edge.id,
            bound,
        };
        edges.iter().zip(bounds.chain([bound])).map(step).collect()
    }

    /// A cycle through the lock that has a new holder. Its youngest wait has to be refused; the search
    /// goes on from where that wait begins.
    fn break_cycle(&mut self, last: Edge, queues: &WaitQueues, budget: &mut Budget) -> Cycle {
        let led = self.path.iter().filter_map(Frame::edge);
        let edges: Vec<&Edge> = led.chain([&last]).collect();
        let youngest = edges.iter().enumerate().max_by_key(|(_, edge)| edge.id);
        let (at, youngest) = youngest.map_or((0, &last), |(at, edge)| (at, *edge));
        let refused = match (youngest.by_client, youngest.id) {
            (Some(_), Some(id)) => Refused::One(id),
            _ => Refused::Group(youngest.owner.clone(), youngest.key.clone()),
        };
        let bound = match (&self.goal, edges[0].by_client) {
            (Goal::Lock { holding, .. }, Some(client)) => Some(Bound {
                owner: holding.owner.clone(),
                client,
            }),
            _ => None,
        };
        let steps = self.steps(&last, bound);
        self.has_refused = true;
        budget.follow(steps.len());
        match self.met_path {
            true => self.start_anew(queues),
            false => (at + 1..self.path.len()).for_each(|_| self.close(Mark::New)),
        }
        Cycle { steps, refused }
    }

    /// Forgets everything except who holds which lock.
    fn start_anew(&mut self, queues: &WaitQueues) {
        self.path.clear();
        self.locks.clear();
        self.owners.clear();
        self.met_path = false;
        self.start(queues);
    }
}

#[cfg(test)]
mod tests;
