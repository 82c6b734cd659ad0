//! The search for circles of owners who wait for one another.
//!
//! Edges go from who waits to who holds. A lock has one holder, and only a new wait or a new holder
//! can close a circle, so it is enough to follow the edges from there: a depth-first search of the
//! wait-for graph (Coffman, Elphick and Shoshani, "System Deadlocks", 1971).

use super::{Lines, Place, WaiterId};
use std::collections::HashSet;
use std::rc::Rc;

/// One edge of a circle: this owner waits for that lock, which the next one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who waits.
    pub owner: Rc<[u8]>,
    /// For which lock.
    pub place: Place,
    /// Its place in a line, where it stands in one already.
    pub id: Option<WaiterId>,
}

/// A search for the circle that a wait closes. It asks who holds a lock, and goes on with the
/// answer: so nothing is borrowed while the server is asked.
pub struct Search {
    owner: Rc<[u8]>,
    seen: HashSet<Rc<[u8]>>,
    /// What is still to be looked at, each with the length of the path that leads to it.
    open: Vec<(usize, Step)>,
    path: Vec<Step>,
}

impl Search {
    /// A search that begins with this wait.
    pub fn from(first: Step) -> Search {
        Search {
            owner: first.owner.clone(),
            seen: HashSet::new(),
            open: vec![(0, first)],
            path: Vec::new(),
        }
    }

    /// The lock whose holder has to be known next; none where there is no circle.
    pub fn next_place(&mut self) -> Option<Place> {
        let (depth, step) = self.open.pop()?;
        self.path.truncate(depth);
        let place = step.place.clone();
        self.path.push(step);
        Some(place)
    }

    /// Goes on with who holds that lock. Gives the circle where it is closed now, beginning with
    /// the first wait. Waiting for oneself is none.
    pub fn go_on(&mut self, lines: &Lines, holder: Option<Rc<[u8]>>) -> Option<Vec<Step>> {
        let waiting = self.path.last().map(|step| step.owner.clone());
        let holder = holder.filter(|holder| Some(holder) != waiting.as_ref())?;
        if holder == self.owner {
            return Some(std::mem::take(&mut self.path));
        }
        if self.seen.insert(holder.clone()) {
            let depth = self.path.len();
            self.open.extend(lines.waits_of(&holder).map(|(id, wait)| {
                let (owner, place) = (holder.clone(), wait.place.clone());
                (
                    depth,
                    Step {
                        owner,
                        place,
                        id: Some(id),
                    },
                )
            }));
        }
        None
    }
}

#[cfg(test)]
mod tests;
