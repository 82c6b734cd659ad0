//! Random waits beside a plain search.

use super::*;
use proptest::prelude::*;

/// A wait as the plain search has it. Every number is small, so that owners, locks and connections
/// meet.
#[derive(Debug, Clone, Copy)]
struct Plain {
    id: u64,
    client: u64,
    who: u8,
    what: u8,
}

/// Few enough that most of them meet.
const MOST: u8 = 7;
const WAITS: u8 = 24;

#[derive(Debug, Clone)]
struct Case {
    held: BTreeMap<u8, (u8, Option<u64>)>,
    waits: Vec<Plain>,
}

/// Each wait is on a connection of its own; some locks are bound to those.
fn case() -> impl Strategy<Value = Case> {
    let hold = (0..MOST, prop::option::of(0..u64::from(WAITS)));
    let held = prop::collection::btree_map(0..MOST, hold, 0..usize::from(MOST) + 1);
    let waits = prop::collection::vec((0..MOST, 0..MOST), 0..usize::from(WAITS));
    (held, waits).prop_map(|(held, waits)| Case {
        held,
        waits: waits
            .into_iter()
            .zip(0..)
            .map(|((who, what), n)| Plain {
                id: n + 1,
                client: n,
                who,
                what,
            })
            .collect(),
    })
}

impl Case {
    fn world(&self) -> World {
        let mut world = World {
            held: self.held.clone(),
            ..World::default()
        };
        for wait in &self.waits {
            assert_eq!(
                world.wait_on(wait.client, wait.who, wait.what),
                WaiterId(wait.id)
            );
        }
        world
    }

    /// Whether one wait cannot end while the other one lasts.
    fn needs(&self, wait: &Plain, other: &Plain) -> bool {
        self.held.get(&wait.what).is_some_and(|&(holder, client)| {
            holder != wait.who && (holder == other.who || client == Some(other.client))
        })
    }

    /// All waits that a wait needs the end of, itself among them where it is part of a cycle.
    fn reached(&self, from: &Plain, waits: &[Plain]) -> Vec<Plain> {
        let mut reached: Vec<Plain> = Vec::new();
        let mut open = vec![*from];
        while let Some(wait) = open.pop() {
            for other in waits {
                if self.needs(&wait, other) && reached.iter().all(|r| r.id != other.id) {
                    reached.push(*other);
                    open.push(*other);
                }
            }
        }
        reached
    }

    fn is_cycle(&self, wait: &Plain, waits: &[Plain]) -> bool {
        self.reached(wait, waits)
            .iter()
            .any(|other| other.id == wait.id)
    }

    /// Checks that a cycle is one. `new` stands for the wait that has no number yet.
    fn check(&self, cycle: &Cycle, waits: &[Plain], new: Option<Plain>) -> Vec<Plain> {
        let wait = |step: &WaitEdge| match step.id {
            Some(id) => *waits
                .iter()
                .find(|wait| wait.id == id.0)
                .expect("it has left"),
            None => new.expect("a wait without a number"),
        };
        let found: Vec<Plain> = cycle.steps.iter().map(wait).collect();
        for (at, wait) in found.iter().enumerate() {
            let (step, next) = (&cycle.steps[at], &found[(at + 1) % found.len()]);
            assert!(self.needs(wait, next), "{wait:?} does not need {next:?}");
            assert_eq!(
                (&step.owner, &step.key),
                (&owner(wait.who), &key(wait.what))
            );
            let (holder, client) = self.held[&wait.what];
            match &step.bound {
                None => assert_eq!(holder, next.who),
                Some(bound) => {
                    assert_eq!(
                        (&bound.owner, Some(bound.client.0)),
                        (&owner(holder), client)
                    );
                    assert_eq!(bound.client.0, next.client);
                    assert_ne!(holder, next.who);
                }
            }
        }
        found
    }
}

/// Takes those out who are refused.
fn refuse(cycle: &Cycle, waits: &mut Vec<Plain>) {
    waits.retain(|wait| match &cycle.refused {
        Refused::Group(who, what) => {
            (owner(wait.who), key(wait.what)) != (who.clone(), what.clone())
        }
        Refused::One(id) => wait.id != id.0,
        Refused::New => true,
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_wait_is_refused_just_where_a_plain_search_finds_a_cycle(
        case in case(),
        (client, who, what) in (100..102_u64, 0..MOST, 0..MOST),
        bound in prop::option::of(0..MOST),
    ) {
        let new = Plain { id: u64::MAX, client, who, what };
        let mut case = case;
        // Some lock is bound to the connection of the new wait.
        if let Some(hold) = bound.and_then(|lock| case.held.get_mut(&lock)) {
            hold.1 = Some(client);
        }
        let mut world = case.world();
        let found = world.closed_by(client, who, what);
        let mut all = case.waits.clone();
        all.push(new);
        prop_assert_eq!(found.is_some(), case.is_cycle(&new, &all));
        if let Some(found) = found {
            case.check(&found, &all, Some(new));
        }
        world.asked.sort_unstable();
        let asked = world.asked.len();
        world.asked.dedup();
        prop_assert_eq!(world.asked.len(), asked, "a lock was looked up twice");
    }

    #[test]
    fn no_cycle_is_left_that_a_new_holder_is_part_of(case in case(), lock in 0..MOST) {
        let mut world = case.world();
        let mut waits = case.waits.clone();
        for cycle in world.break_cycles(lock, &mut Budget::full()) {
            let found = case.check(&cycle, &waits, None);
            prop_assert!(found.iter().any(|wait| wait.what == lock));
            let youngest = found.iter().map(|wait| wait.id).max().unwrap();
            let before = waits.clone();
            refuse(&cycle, &mut waits);
            let refused = before.iter().filter(|wait| waits.iter().all(|left| left.id != wait.id));
            prop_assert_eq!(refused.map(|wait| wait.id).min(), Some(youngest));
        }
        prop_assert_eq!(world.queues.len(), waits.len());
        for wait in waits.iter().filter(|wait| wait.what == lock) {
            prop_assert!(!case.is_cycle(wait, &waits), "{wait:?} is part of a cycle still");
        }
        world.asked.sort_unstable();
        let asked = world.asked.len();
        world.asked.dedup();
        prop_assert_eq!(world.asked.len(), asked, "a lock was looked up twice");
    }

    #[test]
    fn within_bounds_only_cycles_are_refused(
        case in case(),
        (lock, who) in (0..MOST, 0..MOST),
        steps in 0..150_usize,
    ) {
        let new = Plain { id: u64::MAX, client: 100, who, what: lock };
        let mut world = case.world();
        let mut search = Search::of_wait(owner(who), ClientId(100), key(lock));
        let mut budget = Budget::new(steps);
        if let Some(cycle) = world.next_cycle(&mut search, &mut budget) {
            case.check(&cycle, &case.waits, Some(new));
        }
        let mut waits = case.waits.clone();
        for cycle in world.break_cycles(lock, &mut budget) {
            case.check(&cycle, &waits, None);
            refuse(&cycle, &mut waits);
        }
        prop_assert!(world.asked.len() * 10 <= steps);
    }
}
