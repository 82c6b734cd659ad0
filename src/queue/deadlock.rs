//! The deadlock search: finds circles of waits that cannot end.
//!
//! From a wait an edge leads to its lock. From a lock edges lead to what may keep it from being
//! released: the waits of its owner, and the wait on the connection that it is bound to, which can
//! send no release meanwhile. Only a new wait and a new holder add edges, so a search starts there:
//! depth first, each lock and each owner once (Coffman, Elphick and Shoshani, "System Deadlocks",
//! 1971).

mod budget;
mod circle;

pub use budget::Budget;
pub use circle::{Bound, Circle, Refused, Step};

use super::{Lines, Place, WaiterId};
use std::collections::HashMap;
use std::rc::Rc;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The owner.
    pub owner: Rc<[u8]>,
    /// The connection that the hold is bound to.
    pub client: Option<u64>,
}

/// What a search needs, or has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It has to know who holds this lock: [`Search::held`].
    Ask(Place),
    /// A circle. Before the search goes on, what is refused has to leave its queue.
    Found(Circle),
    /// There are no more circles, or the budget is spent.
    Done,
}

/// A search. It asks who holds a lock, and goes on with the answer: so nothing is borrowed while
/// the server is asked.
#[derive(Debug)]
pub struct Search {
    goal: Goal,
    /// The wait that is followed next.
    edge: Option<Edge>,
    path: Vec<Frame>,
    locks: HashMap<Place, Known>,
    owners: HashMap<Rc<[u8]>, Mark>,
    /// It came upon its own path: a circle without the goal. What it has done with since then may lead
    /// to the goal after all, by way of the path.
    met_path: bool,
}

/// What a circle has to be closed by.
#[derive(Debug)]
enum Goal {
    /// A wait that is about to begin on this connection.
    Wait { owner: Rc<[u8]>, client: u64 },
    /// A lock that has a new holder.
    Lock { place: Place, holding: Holding },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Not looked at yet.
    New,
    /// On the path.
    Path,
    /// Nothing leads from there to the goal.
    Done,
}

/// A lock that was asked for.
#[derive(Debug)]
struct Known {
    /// Who holds it; none where it is free.
    holding: Option<Holding>,
    mark: Mark,
}

/// A wait, as the search comes to it.
#[derive(Debug)]
struct Edge {
    owner: Rc<[u8]>,
    place: Place,
    /// None for the one that is about to begin. Of several waits of the owner for the lock, the oldest.
    id: Option<WaiterId>,
    /// It is the wait on this connection, which the lock before it is bound to; else it is one of
    /// that lock's owner.
    by_client: Option<u64>,
}

/// A lock of the path.
#[derive(Debug)]
struct Frame {
    /// The wait that led to it; none for the goal.
    edge: Option<Edge>,
    place: Place,
    holder: Rc<[u8]>,
    /// Whether the waits of its holder are followed from here.
    has_owner: bool,
    /// The waits that are still to be followed.
    left: Vec<Edge>,
}

impl Search {
    /// Looks for a circle that is closed by a wait which is about to begin on this connection.
    pub fn of_wait(owner: Rc<[u8]>, client: u64, place: Place) -> Search {
        let edge = Edge {
            owner: owner.clone(),
            place,
            id: None,
            by_client: None,
        };
        Search {
            edge: Some(edge),
            ..Search::to(Goal::Wait { owner, client })
        }
    }

    /// Looks for all circles that are closed by a new holder of this lock.
    pub fn of_holder(place: Place, holding: Holding, lines: &Lines, budget: &mut Budget) -> Search {
        let mut search = Search::to(Goal::Lock { place, holding });
        search.start(lines, budget);
        search
    }

    fn to(goal: Goal) -> Search {
        Search {
            goal,
            edge: None,
            path: Vec::new(),
            locks: HashMap::new(),
            owners: HashMap::new(),
            met_path: false,
        }
    }

    fn start(&mut self, lines: &Lines, budget: &mut Budget) {
        if let Goal::Lock { place, holding } = &self.goal {
            let (place, holding) = (place.clone(), holding.clone());
            self.open(None, place, holding, lines, budget);
        }
    }

    /// Who holds the lock that the search asked for; none where it is free.
    pub fn held(&mut self, holding: Option<Holding>) {
        if let Some(edge) = &self.edge {
            let mark = Mark::New;
            self.locks
                .insert(edge.place.clone(), Known { holding, mark });
        }
    }

    /// Goes on.
    pub fn next(&mut self, lines: &Lines, budget: &mut Budget) -> Next {
        while !budget.is_spent() {
            let Some(edge) = self.edge.take().or_else(|| self.next_edge(lines)) else {
                break;
            };
            if let Some(next) = self.follow(edge, lines, budget) {
                return next;
            }
        }
        Next::Done
    }

    /// The next wait that leads on from the path, which gets shorter where there is none.
    fn next_edge(&mut self, lines: &Lines) -> Option<Edge> {
        loop {
            let Some(mut edge) = self.path.last_mut()?.left.pop() else {
                self.close(Mark::Done);
                continue;
            };
            edge.id = edge.id.filter(|id| lines.get(*id).is_some());
            if edge.id.is_none() && edge.by_client.is_none() {
                // It was refused, but its owner may have others for the lock.
                edge.id = lines.oldest_of(&edge.owner, &edge.place);
            }
            if edge.id.is_some() {
                return Some(edge);
            }
        }
    }

    fn follow(&mut self, edge: Edge, lines: &Lines, budget: &mut Budget) -> Option<Next> {
        if let Goal::Lock { place, holding } = &self.goal {
            if edge.place == *place {
                // Who waits for what it holds is granted it as a reentry.
                let closes = edge.owner != holding.owner;
                return closes.then(|| Next::Found(self.break_circle(edge, lines, budget)));
            }
        }
        let Some(known) = self.locks.get(&edge.place) else {
            if !budget.look_up(&edge.place) {
                return Some(Next::Done);
            }
            let ask = Next::Ask(edge.place.clone());
            self.edge = Some(edge);
            return Some(ask);
        };
        let (holding, mark) = (known.holding.clone()?, known.mark);
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
                return Some(Next::Found(Circle { steps, refused }));
            }
        }
        match mark {
            Mark::New => {
                let place = edge.place.clone();
                self.open(Some(edge), place, holding, lines, budget);
            }
            Mark::Path => self.met_path = true,
            Mark::Done => (),
        }
        None
    }

    /// Puts a lock at the end of the path.
    fn open(
        &mut self,
        edge: Option<Edge>,
        place: Place,
        holding: Holding,
        lines: &Lines,
        budget: &mut Budget,
    ) {
        let Holding { owner, client } = holding;
        let to = |owner: &Rc<[u8]>, place: &Place, id, by_client| Edge {
            owner: owner.clone(),
            place: place.clone(),
            id: Some(id),
            by_client,
        };
        let mut left: Vec<Edge> = Vec::new();
        let has_owner = !self.owners.contains_key(&owner);
        if has_owner {
            self.owners.insert(owner.clone(), Mark::Path);
            for (place, id) in lines.waits_of(&owner) {
                left.push(to(&owner, place, id, None));
                budget.look_at(1);
                if budget.is_spent() {
                    break;
                }
            }
        } else {
            self.met_path |= self.owners.get(&owner) == Some(&Mark::Path);
        }
        let wait = client.and_then(|client| lines.wait_on(client));
        if let Some((id, wait)) = wait.filter(|(_, wait)| wait.owner != owner) {
            left.push(to(&wait.owner, &wait.place, id, client));
            budget.look_at(1);
        }
        if let Some(known) = self.locks.get_mut(&place) {
            known.mark = Mark::Path;
        }
        self.path.push(Frame {
            edge,
            place,
            holder: owner,
            has_owner,
            left,
        });
    }

    /// Takes the last lock from the path.
    fn close(&mut self, mark: Mark) {
        let Some(frame) = self.path.pop() else { return };
        if let Some(known) = self.locks.get_mut(&frame.place) {
            known.mark = mark;
        }
        match mark {
            _ if !frame.has_owner => (),
            Mark::New => drop(self.owners.remove(&frame.holder)),
            _ => drop(self.owners.insert(frame.holder, mark)),
        }
    }

    /// The circle of the path and the wait that closes it. `bound` is the hold of the last lock, as
    /// in a [`Step`].
    fn steps(&self, last: &Edge, bound: Option<Bound>) -> Vec<Step> {
        let led = self.path.iter().filter(|frame| frame.edge.is_some());
        let edges = led.clone().filter_map(|frame| frame.edge.as_ref());
        let edges: Vec<&Edge> = edges.chain([last]).collect();
        let bounds = led.zip(&edges[1..]).map(|(frame, next)| {
            let owner = frame.holder.clone();
            next.by_client.map(|client| Bound { owner, client })
        });
        let step = |(edge, bound): (&&Edge, Option<Bound>)| Step {
            owner: edge.owner.clone(),
            place: edge.place.clone(),
            id: edge.id,
            bound,
        };
        edges.iter().zip(bounds.chain([bound])).map(step).collect()
    }

    /// A circle through the lock that has a new holder, whose youngest wait is to be refused. The
    /// search goes on from where that began.
    fn break_circle(&mut self, last: Edge, lines: &Lines, budget: &mut Budget) -> Circle {
        let led = self.path.iter().filter_map(|frame| frame.edge.as_ref());
        let edges: Vec<&Edge> = led.chain([&last]).collect();
        let youngest = edges.iter().enumerate().max_by_key(|(_, edge)| edge.id);
        let (at, youngest) = youngest.map_or((0, &last), |(at, edge)| (at, *edge));
        let refused = match (youngest.by_client, youngest.id) {
            (Some(_), Some(id)) => Refused::One(id),
            _ => Refused::Group(youngest.owner.clone(), youngest.place.clone()),
        };
        let bound = match (&self.goal, edges[0].by_client) {
            (Goal::Lock { holding, .. }, Some(client)) => Some(Bound {
                owner: holding.owner.clone(),
                client,
            }),
            _ => None,
        };
        let steps = self.steps(&last, bound);
        budget.look_at(steps.len());
        match self.met_path {
            true => self.start_anew(lines, budget),
            false => (at + 1..self.path.len()).for_each(|_| self.close(Mark::New)),
        }
        Circle { steps, refused }
    }

    /// Forgets all but who holds which lock.
    fn start_anew(&mut self, lines: &Lines, budget: &mut Budget) {
        self.path.clear();
        self.owners.clear();
        for known in self.locks.values_mut() {
            known.mark = Mark::New;
        }
        self.met_path = false;
        self.start(lines, budget);
    }
}

#[cfg(test)]
mod tests;
