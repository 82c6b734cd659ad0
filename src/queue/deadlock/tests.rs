use super::*;
use crate::lock::{Acquire, Millis};
use crate::queue::{Tick, Waiter};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn place(name: u8) -> Place {
    Place {
        db: 0,
        name: Rc::new([name]),
    }
}

fn owner(owner: u8) -> Rc<[u8]> {
    Rc::new([b'a' + owner])
}

fn step(who: u8, what: u8) -> Step {
    Step {
        owner: owner(who),
        place: place(what),
        id: None,
    }
}

fn join(lines: &mut Lines, who: u8, what: u8) -> WaiterId {
    lines.join(Waiter {
        owner: owner(who),
        place: place(what),
        request: Acquire {
            ttl: Millis(1),
            holds: None,
            token: None,
        },
        session: None,
        since: Tick(0),
        until: None,
    })
}

/// Locks are numbered as their holders: lock n is held by owner n.
fn search(lines: &Lines, who: u8, what: u8) -> Option<Vec<Step>> {
    let mut search = Search::from(step(who, what));
    while let Some(place) = search.next_place() {
        let found = search.go_on(lines, Some(owner(place.name[0])));
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn two_who_wait_for_one_another_are_a_circle() {
    let mut lines = Lines::new();
    let id = join(&mut lines, 1, 0);
    let found = search(&lines, 0, 1).unwrap();
    assert_eq!(
        found,
        [
            step(0, 1),
            Step {
                id: Some(id),
                ..step(1, 0)
            }
        ]
    );
}

#[test]
fn a_circle_of_ten_is_told_in_order() {
    let mut lines = Lines::new();
    for who in 1..10 {
        join(&mut lines, who, (who + 1) % 10);
    }
    let found = search(&lines, 0, 1).unwrap();
    let owners: Vec<u8> = found.iter().map(|step| step.owner[0] - b'a').collect();
    assert_eq!(owners, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn waiting_for_oneself_or_behind_others_is_none() {
    let mut lines = Lines::new();
    assert_eq!(search(&lines, 0, 0), None);
    for who in 1..5 {
        join(&mut lines, who, 0);
    }
    assert_eq!(search(&lines, 5, 0), None);
    assert_eq!(search(&lines, 6, 3), None);
}

#[test]
fn one_who_left_closes_no_circle() {
    let mut lines = Lines::new();
    let id = join(&mut lines, 1, 0);
    lines.leave(id);
    assert_eq!(search(&lines, 0, 1), None);
}

#[test]
fn an_owner_who_waits_twice_has_two_edges() {
    let mut lines = Lines::new();
    join(&mut lines, 1, 7);
    join(&mut lines, 1, 0);
    join(&mut lines, 1, 8);
    assert!(search(&lines, 0, 1).is_some());
}

proptest! {
    /// Against a plain search: who can be reached from the holder by waits.
    #[test]
    fn a_circle_is_found_where_a_plain_search_finds_one(
        waits in prop::collection::vec((0..8u8, 0..8u8), 0..20),
        who in 0..8u8,
        what in 0..8u8,
    ) {
        let mut lines = Lines::new();
        let mut edges: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
        for (from, to) in waits {
            join(&mut lines, from, to);
            edges.entry(from).or_default().insert(to);
        }
        let mut reached = BTreeSet::from([what]);
        for _ in 0..8 {
            let next: Vec<u8> = reached.iter().filter_map(|at| edges.get(at)).flatten().copied().collect();
            reached.extend(next);
        }
        let expected = who != what && reached.contains(&who);
        let found = search(&lines, who, what);
        prop_assert_eq!(found.is_some(), expected);
        if let Some(found) = found {
            // It is a circle indeed: each waits for a lock that the next one holds.
            for (at, step) in found.iter().enumerate() {
                let next = &found[(at + 1) % found.len()];
                prop_assert_eq!(&owner(step.place.name[0]), &next.owner);
                if at > 0 {
                    let waiter = step.id.and_then(|id| lines.get(id)).unwrap();
                    prop_assert_eq!((&waiter.owner, &waiter.place), (&step.owner, &step.place));
                }
            }
        }
    }
}
