use super::*;
use crate::engine::wait::Waiter;
use crate::lock::{Acquire, Millis, Tick};
use std::collections::BTreeMap;

mod random;

fn key(name: u8) -> LockKey {
    LockKey {
        db: 0,
        name: Arc::new([name]),
    }
}

fn owner(owner: u8) -> Arc<[u8]> {
    Arc::new([b'a' + owner])
}

/// Who waits, who holds what, and how often someone has asked that.
#[derive(Default)]
struct World {
    queues: WaitQueues,
    held: BTreeMap<u8, (u8, Option<u64>)>,
    asked: Vec<u8>,
}

impl World {
    /// Lock n is held by owner n.
    fn new(locks: u8) -> World {
        World {
            held: (0..locks).map(|n| (n, (n, None))).collect(),
            ..World::default()
        }
    }

    /// Lock n is bound to this connection.
    fn bind(&mut self, lock: u8, client: u64) {
        self.held
            .entry(lock)
            .and_modify(|hold| hold.1 = Some(client));
    }

    /// Someone waits, on a connection that nobody shares.
    fn wait(&mut self, who: u8, what: u8) -> WaiterId {
        self.wait_on(1000 + self.queues.len() as u64, who, what)
    }

    fn wait_on(&mut self, client: u64, who: u8, what: u8) -> WaiterId {
        self.queues.join(Waiter {
            owner: owner(who),
            key: key(what),
            client: ClientId(client),
            user: None,
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

    fn holding(&self, lock: u8) -> Option<Holding> {
        self.held.get(&lock).map(|&(who, client)| Holding {
            owner: owner(who),
            client: client.map(ClientId),
        })
    }

    fn next_cycle(&mut self, search: &mut Search, budget: &mut Budget) -> Option<Cycle> {
        loop {
            match search.next(&self.queues, budget) {
                Next::Ask(key) => {
                    self.asked.push(key.name[0]);
                    search.held(self.holding(key.name[0]));
                }
                Next::Found(cycle) => return Some(cycle),
                Next::Done => return None,
            }
        }
    }

    /// The cycle that a wait would close.
    fn closed_by(&mut self, client: u64, who: u8, what: u8) -> Option<Cycle> {
        let mut search = Search::of_wait(owner(who), ClientId(client), key(what));
        self.next_cycle(&mut search, &mut Budget::full())
    }

    /// Refuses what has to be when this lock has a new holder. Gives the cycles, in order.
    fn break_cycles(&mut self, lock: u8, budget: &mut Budget) -> Vec<Cycle> {
        let Some(holding) = self.holding(lock) else {
            return Vec::new();
        };
        let mut search = Search::of_holder(key(lock), holding, &self.queues);
        let mut cycles = Vec::new();
        while let Some(cycle) = self.next_cycle(&mut search, budget) {
            self.refuse(&cycle.refused);
            cycles.push(cycle);
        }
        cycles
    }

    fn refuse(&mut self, refused: &Refused) {
        let gone = match refused {
            Refused::Group(owner, key) => {
                self.queues.take_youngest_of(owner, key, usize::MAX).len()
            }
            Refused::One(id) => self.queues.remove(*id).into_iter().count(),
            Refused::New => 0,
        };
        assert!(gone > 0, "{refused:?} refuses nobody");
    }
}

/// Who waits for what, in order.
fn waits(cycle: &Cycle) -> Vec<(u8, u8)> {
    let wait = |step: &WaitEdge| (step.owner[0] - b'a', step.key.name[0]);
    cycle.steps.iter().map(wait).collect()
}

#[test]
fn two_who_wait_for_one_another_are_a_cycle() {
    let mut world = World::new(2);
    let id = world.wait(1, 0);
    let found = world.closed_by(1, 0, 1).unwrap();
    assert_eq!(waits(&found), [(0, 1), (1, 0)]);
    let ids: Vec<_> = found.steps.iter().map(|step| step.id).collect();
    assert_eq!(ids, [None, Some(id)]);
    assert_eq!((found.owners(), found.shares_connection()), (2, false));
    assert_eq!(found.refused, Refused::New);
    assert_eq!(
        found.to_string(),
        "\"a\" waits for \"\\x01\" (db 0), \"b\" waits for \"\\x00\" (db 0)"
    );
}

#[test]
fn a_cycle_of_twelve_is_told_in_order_and_shown_in_part() {
    let mut world = World::new(12);
    for who in 1..12 {
        world.wait(who, (who + 1) % 12);
    }
    let found = world.closed_by(1, 0, 1).unwrap();
    let owners: Vec<u8> = waits(&found).iter().map(|wait| wait.0).collect();
    assert_eq!(owners, (0..12).collect::<Vec<u8>>());
    assert_eq!(found.owners(), 12);
    assert!(found.to_string().ends_with("(db 0), and 2 more"), "{found}");
}

#[test]
fn waiting_for_oneself_or_behind_others_is_none() {
    let mut world = World::new(7);
    assert_eq!(world.closed_by(1, 0, 0), None);
    for who in 1..5 {
        world.wait(who, 0);
    }
    assert_eq!(world.closed_by(1, 5, 0), None);
    assert_eq!(world.closed_by(1, 6, 3), None);
}

#[test]
fn one_who_left_closes_no_cycle() {
    let mut world = World::new(2);
    let id = world.wait(1, 0);
    world.queues.remove(id);
    assert_eq!(world.closed_by(1, 0, 1), None);
}

#[test]
fn an_owner_who_waits_twice_has_two_edges() {
    let mut world = World::new(9);
    for what in [7, 0, 8] {
        world.wait(1, what);
    }
    assert!(world.closed_by(1, 0, 1).is_some());
}

#[test]
fn a_connection_that_waits_for_what_is_bound_to_it_is_a_cycle() {
    let mut world = World::new(1);
    world.bind(0, 7);
    let found = world.closed_by(7, 1, 0).unwrap();
    assert_eq!(waits(&found), [(1, 0)]);
    assert_eq!((found.owners(), found.shares_connection()), (2, true));
    assert_eq!(
        found.to_string(),
        "\"b\" waits for \"\\x00\" (db 0), which \"a\" has bound to connection 7"
    );
    // Its owner reenters, and others wait on connections of their own.
    assert_eq!(world.closed_by(7, 0, 0), None);
    assert_eq!(world.closed_by(8, 1, 0), None);
}

#[test]
fn connections_that_wait_for_what_is_bound_to_one_another_are_a_cycle() {
    let mut world = World::new(2);
    world.bind(0, 10);
    world.bind(1, 11);
    world.wait_on(10, 5, 1);
    let found = world.closed_by(11, 6, 0).unwrap();
    assert_eq!(waits(&found), [(6, 0), (5, 1)]);
    assert_eq!((found.owners(), found.shares_connection()), (4, true));
    // On another connection the same wait is none.
    assert_eq!(world.closed_by(12, 6, 0), None);
}

#[test]
fn owners_and_connections_close_cycles_together() {
    let mut world = World::new(3);
    // Owner 1 waits for lock 2, which is bound to connection 20, where owner 7 waits for lock 0.
    world.bind(2, 20);
    world.wait(1, 2);
    world.wait_on(20, 7, 0);
    let found = world.closed_by(1, 0, 1).unwrap();
    assert_eq!(waits(&found), [(0, 1), (1, 2), (7, 0)]);
    assert_eq!(found.owners(), 4);
}

#[test]
fn no_edge_leads_on_from_the_owner_of_a_shared_connections_wait() {
    let mut world = World::new(3);
    world.bind(1, 20);
    // Owner 7 waits on connection 20 for lock 2, and elsewhere for lock 0. Lock 1 hangs on the first only.
    world.wait_on(20, 7, 2);
    world.wait(7, 0);
    assert_eq!(world.closed_by(1, 0, 1), None);
}

#[test]
fn the_youngest_wait_of_a_cycle_ends_it_where_a_lock_has_a_new_holder() {
    let mut world = World::new(3);
    let _older = world.wait(0, 1);
    let middle = world.wait(2, 0);
    let youngest = world.wait(1, 2);
    let cycles = world.break_cycles(0, &mut Budget::full());
    assert_eq!(cycles.len(), 1);
    assert_eq!(waits(&cycles[0]), [(0, 1), (1, 2), (2, 0)]);
    assert!(world.queues.get(youngest).is_none() && world.queues.get(middle).is_some());
}

#[test]
fn of_an_owners_waits_for_one_lock_the_oldest_counts() {
    let mut world = World::new(2);
    world.wait(0, 1);
    let between = world.wait(1, 0);
    world.wait(0, 1);
    // By the last one it would be the youngest itself, but the first closes a cycle too.
    let cycles = world.break_cycles(0, &mut Budget::full());
    assert_eq!(cycles.len(), 1);
    assert!(world.queues.get(between).is_none());
    assert_eq!(world.queues.len(), 2);
}

#[test]
fn all_of_an_owners_waits_for_a_lock_are_refused_where_each_would_be() {
    let mut world = World::new(2);
    let oldest = world.wait(1, 0);
    for _ in 0..3 {
        world.wait(0, 1);
    }
    let cycles = world.break_cycles(0, &mut Budget::full());
    assert_eq!(cycles.len(), 1);
    assert_eq!(cycles[0].refused, Refused::Group(owner(0), key(1)));
    assert!(world.queues.get(oldest).is_some());
    assert_eq!(world.queues.len(), 1);
}

#[test]
fn when_one_of_an_owners_waits_is_refused_the_others_still_count() {
    let mut world = World::new(4);
    // Owner 0 waits for lock 3 twice. Lock 2 is bound to the connection of the first of these waits,
    // which ends the first cycle; the second one is in another.
    world.bind(2, 50);
    world.wait(0, 2);
    world.wait(3, 0);
    let first = world.wait_on(50, 0, 3);
    world.wait(0, 3);
    let cycles = world.break_cycles(0, &mut Budget::full());
    assert_eq!(waits(&cycles[0]), [(0, 2), (0, 3), (3, 0)]);
    assert_eq!(cycles[0].refused, Refused::One(first));
    assert_eq!(waits(&cycles[1]), [(0, 3), (3, 0)]);
    assert_eq!(cycles[1].refused, Refused::Group(owner(0), key(3)));
    assert_eq!(world.queues.len(), 2);
}

#[test]
fn what_led_nowhere_but_into_the_path_is_looked_at_again_when_the_path_has_changed() {
    let mut world = World::new(3);
    // 0 and 1 wait for one another already. Of the two ways from lock 2 back to it the one by lock 0
    // alone is found first, and ends by its first wait.
    for (who, what) in [(1, 0), (0, 1), (2, 1), (0, 2), (2, 0)] {
        world.wait(who, what);
    }
    let cycles = world.break_cycles(2, &mut Budget::full());
    let cycles: Vec<_> = cycles.iter().map(waits).collect();
    assert_eq!(cycles, [vec![(2, 0), (0, 2)], vec![(2, 1), (1, 0), (0, 2)]]);
}

#[test]
fn a_lock_that_many_wait_for_is_looked_up_once() {
    let mut world = World::new(60);
    // Owner 0 waits for ten locks, the owner of each for ten others, the same ones.
    for middle in 1..11 {
        world.wait(0, middle);
        for last in 11..21 {
            world.wait(middle, last);
        }
    }
    assert_eq!(world.closed_by(1, 50, 0), None);
    world.asked.sort_unstable();
    assert_eq!(world.asked, (0..21).collect::<Vec<u8>>());
    // So too from a new holder, whom someone waits for.
    world.asked.clear();
    world.wait(50, 0);
    assert_eq!(world.break_cycles(0, &mut Budget::full()), []);
    world.asked.sort_unstable();
    assert_eq!(world.asked, (1..21).collect::<Vec<u8>>());
}

#[test]
fn a_search_ends_when_its_steps_are_spent() {
    // The cycle of a hundred has a wait and a lookup for each.
    let found = |steps| {
        let mut world = World::new(100);
        for who in 1..100 {
            world.wait(who, who - 1);
        }
        let mut search = Search::of_wait(owner(0), ClientId(1), key(99));
        let found = world.next_cycle(&mut search, &mut Budget::new(steps));
        (found.is_some(), world.asked.len())
    };
    assert_eq!(found(99 + 100 * 10), (true, 100));
    assert_eq!(found(98 + 100 * 10), (false, 99));
    assert_eq!(found(500), (false, 45));
    assert_eq!(found(0), (false, 0));
}

#[test]
fn the_waits_of_a_long_cycle_are_counted_again_for_each_that_is_found() {
    // From owner 0 a chain leads to owner 49, who waits for many locks whose owners wait for lock 0.
    let mut world = World::new(100);
    for who in 0..49 {
        world.wait(who, who + 1);
    }
    for what in 50..100 {
        world.wait(49, what);
        world.wait(what, 0);
    }
    // The first of fifty cycles takes 51 waits and 50 lookups, all others a lookup and two waits
    // each, and each of them the 51 waits once more.
    let first = 51 + 50 * 10 + 51;
    let cycles = world.break_cycles(0, &mut Budget::new(first + 4 * (10 + 2 + 51)));
    assert_eq!(cycles.len(), 5);
}

#[test]
fn long_names_count_for_more() {
    let mut budget = Budget::new(40);
    let long = |length| LockKey {
        db: 0,
        name: vec![b'x'; length].into(),
    };
    assert!(budget.look_up(&long(1023)));
    assert!(budget.look_up(&long(2047)));
    assert!(!budget.look_up(&long(1024)));
    assert!(budget.is_spent());
}

#[test]
fn no_more_are_refused_than_there_are_steps_for() {
    let mut budget = Budget::new(100);
    assert_eq!(budget.refuse(2), 2);
    assert_eq!(budget.refuse(5), 3);
    assert!(budget.is_spent());
    // Each cycle that is found ends.
    assert_eq!(budget.refuse(5), 1);
}

#[test]
fn all_searches_of_a_command_share_its_steps() {
    let mut world = World::new(5);
    world.wait(0, 1);
    world.wait(0, 2);
    world.wait(4, 0);
    let mut budget = Budget::new(12);
    assert_eq!(world.break_cycles(0, &mut budget), []);
    assert_eq!(world.asked, [1]);
    assert_eq!(world.break_cycles(0, &mut budget), []);
    assert_eq!(world.asked, [1]);
}

#[test]
fn an_owners_waits_are_followed_however_many_they_are() {
    let mut world = World::new(200);
    for what in 1..100 {
        world.wait(0, what);
    }
    world.wait(99, 0);
    let cycles = world.break_cycles(0, &mut Budget::full());
    assert_eq!(cycles.len(), 1);
    assert_eq!(waits(&cycles[0]), [(0, 99), (99, 0)]);
    assert_eq!(world.asked.len(), 99);
}
