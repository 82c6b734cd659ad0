use super::*;
use crate::lock::Millis;

mod walk;

fn key_of(db: i32, name: &str) -> LockKey {
    let name = name.as_bytes().into();
    LockKey { db, name }
}

fn waiter(owner: &str, key: &LockKey, until: Option<i64>) -> Waiter {
    Waiter {
        owner: owner.as_bytes().into(),
        key: key.clone(),
        client: ClientId(0),
        user: None,
        request: Acquire {
            ttl: Millis(1000),
            holds: None,
            token: None,
        },
        session: None,
        since: Tick(0),
        until: until.map(Tick),
    }
}

/// WaitQueues with these owners in the queue of one lock, and that lock.
fn one_queue(owners: &[&str]) -> (WaitQueues, LockKey, Vec<WaiterId>) {
    let (mut queues, key) = (WaitQueues::new(), key_of(0, "lock"));
    let ids = owners
        .iter()
        .map(|owner| queues.join(waiter(owner, &key, None)))
        .collect();
    (queues, key, ids)
}

fn owners(waits: &[(WaiterId, Waiter)]) -> Vec<String> {
    let owner = |w: &Waiter| String::from_utf8_lossy(&w.owner).into_owned();
    waits.iter().map(|(_, waiter)| owner(waiter)).collect()
}

fn take_first(queues: &mut WaitQueues, key: &LockKey) -> Vec<String> {
    owners(&queues.take_first(key.borrowed()))
}

#[test]
fn who_comes_first_is_served_first() {
    let (mut queues, key, _) = one_queue(&["c", "a", "b"]);
    for owner in ["c", "a", "b"] {
        assert_eq!(take_first(&mut queues, &key), [owner]);
    }
    assert!(take_first(&mut queues, &key).is_empty());
    assert!(queues.is_empty());
}

#[test]
fn who_leaves_is_not_served_and_the_others_keep_their_order() {
    let (mut queues, key, ids) = one_queue(&["a", "b", "c"]);
    assert!(queues.remove(ids[1]).is_some());
    assert!(queues.remove(ids[1]).is_none());
    assert_eq!(take_first(&mut queues, &key), ["a"]);
    assert_eq!(take_first(&mut queues, &key), ["c"]);
}

#[test]
fn who_comes_back_comes_last() {
    let (mut queues, key, ids) = one_queue(&["a", "b"]);
    let back = queues.remove(ids[0]).unwrap();
    assert!(queues.join(back) > ids[1]);
    assert_eq!(take_first(&mut queues, &key), ["b"]);
    assert_eq!(take_first(&mut queues, &key), ["a"]);
}

#[test]
fn the_waits_of_one_owner_in_a_line_are_taken_together_in_order() {
    let (mut queues, key, ids) = one_queue(&["a", "b", "a", "c", "a"]);
    let taken = queues.take_first(key.borrowed());
    let taken: Vec<WaiterId> = taken.into_iter().map(|(id, _)| id).collect();
    assert_eq!(taken, [ids[0], ids[2], ids[4]]);
    assert_eq!(take_first(&mut queues, &key), ["b"]);
    assert_eq!(take_first(&mut queues, &key), ["c"]);
}

#[test]
fn the_same_owner_in_another_line_goes_on_waiting() {
    let (mut queues, first, _) = one_queue(&["a"]);
    let (other_name, other_db) = (key_of(0, "other"), key_of(1, "lock"));
    for key in [&other_name, &other_db] {
        queues.join(waiter("a", key, None));
    }
    assert_eq!(take_first(&mut queues, &first), ["a"]);
    let waits: Vec<&LockKey> = queues
        .waits_of(&b"a".as_slice().into(), None)
        .map(|(key, _)| key)
        .collect();
    assert_eq!(waits, [&other_name, &other_db]);
    assert_eq!(take_first(&mut queues, &other_db), ["a"]);
    assert!(queues.is_waited_for(key_of(0, "other").borrowed()));
    assert!(!queues.is_waited_for(key_of(1, "other").borrowed()));
}

#[test]
fn all_of_a_line_are_taken_in_order_and_no_other() {
    let (mut queues, key, _) = one_queue(&["b", "a", "b"]);
    queues.join(waiter(
        "z",
        &super::LockKey {
            db: 3,
            ..key.clone()
        },
        None,
    ));
    assert_eq!(
        owners(&queues.take_all(key_of(0, "lock").borrowed())),
        ["b", "a", "b"]
    );
    assert!(queues.take_all(key_of(0, "lock").borrowed()).is_empty());
    assert_eq!(queues.len(), 1);
}

#[test]
fn those_whose_time_is_up_are_taken_the_first_to_end_first() {
    let (mut queues, key) = (WaitQueues::new(), key_of(0, "lock"));
    for (owner, until) in [
        ("never", None),
        ("b", Some(20)),
        ("a", Some(10)),
        ("c", Some(20)),
    ] {
        queues.join(waiter(owner, &key, until));
    }
    let mut take = |now| {
        let taken = queues.take_late(Tick(now));
        owners(&taken.into_iter().collect::<Vec<_>>())
    };
    assert!(take(9).is_empty());
    assert_eq!(take(10), ["a"]);
    assert!(take(19).is_empty());
    assert_eq!(take(25), ["b"]);
    assert_eq!(take(25), ["c"]);
    assert!(take(i64::MAX).is_empty());
    assert_eq!(queues.next_timeout(), None);
    assert_eq!(queues.len_of(key_of(0, "lock").borrowed()), 1);
}

#[test]
fn the_next_timeout_is_that_of_someone_who_waits() {
    let (mut queues, key) = (WaitQueues::new(), key_of(0, "lock"));
    assert_eq!(queues.next_timeout(), None);
    let late = queues.join(waiter("a", &key, Some(20)));
    let early = queues.join(waiter("b", &key, Some(10)));
    assert_eq!(queues.next_timeout(), Some(Tick(10)));
    queues.remove(early);
    assert_eq!(queues.next_timeout(), Some(Tick(20)));
    queues.remove(late);
    assert_eq!(queues.next_timeout(), None);
}

#[test]
fn the_lease_that_ends_first_comes_first() {
    let mut queues = WaitQueues::new();
    let (here, there) = (key_of(0, "lock"), key_of(0, "other"));
    for key in [&here, &there] {
        queues.join(waiter("a", key, None));
    }
    assert_eq!(queues.next_lease(), None);
    queues.set_lease(here.borrowed(), Some(Deadline(300)));
    queues.set_lease(there.borrowed(), Some(Deadline(200)));
    assert_eq!(queues.next_lease(), Some(Deadline(200)));
    queues.set_lease(there.borrowed(), Some(Deadline(400)));
    assert_eq!(queues.next_lease(), Some(Deadline(300)));
    queues.set_lease(here.borrowed(), None);
    assert_eq!(queues.next_lease(), Some(Deadline(400)));
    assert_eq!(queues.lease(here.borrowed()), None);
}

#[test]
fn a_lease_that_is_looked_at_is_still_known_but_comes_no_more() {
    let (mut queues, key, _) = one_queue(&["a"]);
    queues.set_lease(key.borrowed(), Some(Deadline(100)));
    assert_eq!(queues.take_ended(Now(99_999)), None);
    assert_eq!(queues.take_ended(Now(100_000)), Some(key.clone()));
    assert_eq!(queues.next_lease(), None);
    assert_eq!(queues.lease(key.borrowed()), Some(Deadline(100)));
    queues.set_lease(key.borrowed(), Some(Deadline(100)));
    assert_eq!(queues.next_lease(), Some(Deadline(100)));
}

#[test]
fn nothing_is_known_of_a_lock_that_nobody_waits_for() {
    let (mut queues, key, ids) = one_queue(&["a"]);
    queues.set_lease(key.borrowed(), Some(Deadline(100)));
    queues.remove(ids[0]);
    assert_eq!(queues.next_lease(), None);
    queues.set_lease(key.borrowed(), Some(Deadline(100)));
    assert_eq!(
        (queues.next_lease(), queues.lease(key.borrowed())),
        (None, None)
    );
    assert_eq!((queues.count(), queues.len()), (0, 0));
}

#[test]
fn locks_are_found_by_database() {
    let mut queues = WaitQueues::new();
    let all = [key_of(0, "a"), key_of(0, "b"), key_of(2, "a")];
    all.iter().for_each(|key| {
        queues.join(waiter("me", key, None));
    });
    assert_eq!(queues.keys(None), all);
    assert_eq!(queues.keys(Some(0)), all[..2]);
    assert_eq!(queues.keys(Some(2)), all[2..]);
    assert!(queues.keys(Some(1)).is_empty());
}

#[test]
fn the_longest_line_comes_first_and_of_two_the_one_that_began_earlier() {
    let mut queues = WaitQueues::new();
    for (name, count) in [("a", 1), ("b", 3), ("d", 2), ("c", 2)] {
        (0..count).for_each(|_| {
            queues.join(waiter("me", &key_of(0, name), None));
        });
    }
    queues.join(waiter("me", &key_of(1, "e"), None));
    let longest = ["b", "d", "c", "a"].map(|name| key_of(0, name));
    assert_eq!(queues.longest(0), longest);
    assert!(queues.longest(7).is_empty());
}

#[test]
fn those_in_line_are_told_in_order() {
    let (mut queues, key, ids) = one_queue(&["b", "a", "c"]);
    queues.remove(ids[1]);
    let found: Vec<WaiterId> = queues
        .waiters_of(key.borrowed())
        .map(|(id, _)| id)
        .collect();
    assert_eq!(found, [ids[0], ids[2]]);
    assert_eq!(queues.everyone(), [ids[0], ids[2]]);
    assert_eq!(queues.len_of(key_of(0, "lock").borrowed()), 2);
    assert_eq!(queues.waiters_of(key_of(0, "other").borrowed()).count(), 0);
}
