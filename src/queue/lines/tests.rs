use super::*;
use crate::lock::Millis;

mod walk;

fn place(db: i32, name: &str) -> Place {
    let name = name.as_bytes().into();
    Place { db, name }
}

fn waiter(owner: &str, place: &Place, until: Option<i64>) -> Waiter {
    Waiter {
        owner: owner.as_bytes().into(),
        place: place.clone(),
        client: 0,
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

/// Lines with these owners in the line of one lock, and that lock.
fn one_line(owners: &[&str]) -> (Lines, Place, Vec<WaiterId>) {
    let (mut lines, place) = (Lines::new(), place(0, "lock"));
    let ids = owners
        .iter()
        .map(|owner| lines.join(waiter(owner, &place, None)))
        .collect();
    (lines, place, ids)
}

fn owners(waits: &[(WaiterId, Waiter)]) -> Vec<String> {
    let owner = |w: &Waiter| String::from_utf8_lossy(&w.owner).into_owned();
    waits.iter().map(|(_, waiter)| owner(waiter)).collect()
}

fn take_first(lines: &mut Lines, place: &Place) -> Vec<String> {
    owners(&lines.take_first(place.db, &place.name))
}

#[test]
fn who_comes_first_is_served_first() {
    let (mut lines, place, _) = one_line(&["c", "a", "b"]);
    for owner in ["c", "a", "b"] {
        assert_eq!(take_first(&mut lines, &place), [owner]);
    }
    assert!(take_first(&mut lines, &place).is_empty());
    assert!(lines.is_empty());
}

#[test]
fn who_leaves_is_not_served_and_the_others_keep_their_order() {
    let (mut lines, place, ids) = one_line(&["a", "b", "c"]);
    assert!(lines.leave(ids[1]).is_some());
    assert!(lines.leave(ids[1]).is_none());
    assert_eq!(take_first(&mut lines, &place), ["a"]);
    assert_eq!(take_first(&mut lines, &place), ["c"]);
}

#[test]
fn who_comes_back_comes_last() {
    let (mut lines, place, ids) = one_line(&["a", "b"]);
    let back = lines.leave(ids[0]).unwrap();
    assert!(lines.join(back) > ids[1]);
    assert_eq!(take_first(&mut lines, &place), ["b"]);
    assert_eq!(take_first(&mut lines, &place), ["a"]);
}

#[test]
fn the_waits_of_one_owner_in_a_line_are_taken_together_in_order() {
    let (mut lines, place, ids) = one_line(&["a", "b", "a", "c", "a"]);
    let taken = lines.take_first(place.db, &place.name);
    let taken: Vec<WaiterId> = taken.into_iter().map(|(id, _)| id).collect();
    assert_eq!(taken, [ids[0], ids[2], ids[4]]);
    assert_eq!(take_first(&mut lines, &place), ["b"]);
    assert_eq!(take_first(&mut lines, &place), ["c"]);
}

#[test]
fn the_same_owner_in_another_line_goes_on_waiting() {
    let (mut lines, first, _) = one_line(&["a"]);
    let (other_name, other_db) = (place(0, "other"), place(1, "lock"));
    for place in [&other_name, &other_db] {
        lines.join(waiter("a", place, None));
    }
    assert_eq!(take_first(&mut lines, &first), ["a"]);
    let waits: Vec<&Place> = lines
        .waits_of(&b"a".as_slice().into(), None)
        .map(|(place, _)| place)
        .collect();
    assert_eq!(waits, [&other_name, &other_db]);
    assert_eq!(take_first(&mut lines, &other_db), ["a"]);
    assert!(lines.is_waited_for(0, b"other"));
    assert!(!lines.is_waited_for(1, b"other"));
}

#[test]
fn all_of_a_line_are_taken_in_order_and_no_other() {
    let (mut lines, place, _) = one_line(&["b", "a", "b"]);
    lines.join(waiter(
        "z",
        &super::Place {
            db: 3,
            ..place.clone()
        },
        None,
    ));
    assert_eq!(owners(&lines.take_all(0, b"lock")), ["b", "a", "b"]);
    assert!(lines.take_all(0, b"lock").is_empty());
    assert_eq!(lines.waiters(), 1);
}

#[test]
fn those_whose_time_is_up_are_taken_the_first_to_end_first() {
    let (mut lines, place) = (Lines::new(), place(0, "lock"));
    for (owner, until) in [
        ("never", None),
        ("b", Some(20)),
        ("a", Some(10)),
        ("c", Some(20)),
    ] {
        lines.join(waiter(owner, &place, until));
    }
    let mut take = |now| {
        let taken = lines.take_late(Tick(now));
        owners(&taken.into_iter().collect::<Vec<_>>())
    };
    assert!(take(9).is_empty());
    assert_eq!(take(10), ["a"]);
    assert!(take(19).is_empty());
    assert_eq!(take(25), ["b"]);
    assert_eq!(take(25), ["c"]);
    assert!(take(i64::MAX).is_empty());
    assert_eq!(lines.next_timeout(), None);
    assert_eq!(lines.len_of(0, b"lock"), 1);
}

#[test]
fn the_next_timeout_is_that_of_someone_who_waits() {
    let (mut lines, place) = (Lines::new(), place(0, "lock"));
    assert_eq!(lines.next_timeout(), None);
    let late = lines.join(waiter("a", &place, Some(20)));
    let early = lines.join(waiter("b", &place, Some(10)));
    assert_eq!(lines.next_timeout(), Some(Tick(10)));
    lines.leave(early);
    assert_eq!(lines.next_timeout(), Some(Tick(20)));
    lines.leave(late);
    assert_eq!(lines.next_timeout(), None);
}

#[test]
fn the_lease_that_ends_first_comes_first() {
    let mut lines = Lines::new();
    let (here, there) = (place(0, "lock"), place(0, "other"));
    for place in [&here, &there] {
        lines.join(waiter("a", place, None));
    }
    assert_eq!(lines.next_lease(), None);
    lines.set_lease(&here, Some(Deadline(300)));
    lines.set_lease(&there, Some(Deadline(200)));
    assert_eq!(lines.next_lease(), Some(&(Deadline(200), there.clone())));
    lines.set_lease(&there, Some(Deadline(400)));
    assert_eq!(lines.next_lease(), Some(&(Deadline(300), here.clone())));
    lines.set_lease(&here, None);
    assert_eq!(lines.next_lease(), Some(&(Deadline(400), there)));
    assert_eq!(lines.lease(&here), None);
}

#[test]
fn a_lease_that_is_looked_at_is_still_known_but_comes_no_more() {
    let (mut lines, place, _) = one_line(&["a"]);
    lines.set_lease(&place, Some(Deadline(100)));
    lines.forget_lease(&place);
    assert_eq!(lines.next_lease(), None);
    assert_eq!(lines.lease(&place), Some(Deadline(100)));
    lines.set_lease(&place, Some(Deadline(100)));
    assert_eq!(lines.next_lease(), Some(&(Deadline(100), place)));
}

#[test]
fn nothing_is_known_of_a_lock_that_nobody_waits_for() {
    let (mut lines, place, ids) = one_line(&["a"]);
    lines.set_lease(&place, Some(Deadline(100)));
    lines.leave(ids[0]);
    assert_eq!(lines.next_lease(), None);
    lines.set_lease(&place, Some(Deadline(100)));
    assert_eq!((lines.next_lease(), lines.lease(&place)), (None, None));
    assert_eq!((lines.lines(), lines.waiters()), (0, 0));
}

#[test]
fn locks_are_found_by_database() {
    let mut lines = Lines::new();
    let all = [place(0, "a"), place(0, "b"), place(2, "a")];
    all.iter().for_each(|place| {
        lines.join(waiter("me", place, None));
    });
    assert_eq!(lines.places(None), all);
    assert_eq!(lines.places(Some(0)), all[..2]);
    assert_eq!(lines.places(Some(2)), all[2..]);
    assert!(lines.places(Some(1)).is_empty());
}

#[test]
fn the_longest_line_comes_first_and_of_two_the_one_that_began_earlier() {
    let mut lines = Lines::new();
    for (name, count) in [("a", 1), ("b", 3), ("d", 2), ("c", 2)] {
        (0..count).for_each(|_| {
            lines.join(waiter("me", &place(0, name), None));
        });
    }
    lines.join(waiter("me", &place(1, "e"), None));
    let longest = ["b", "d", "c", "a"].map(|name| place(0, name));
    assert_eq!(lines.longest(0), longest);
    assert!(lines.longest(7).is_empty());
}

#[test]
fn those_in_line_are_told_in_order() {
    let (mut lines, place, ids) = one_line(&["b", "a", "c"]);
    lines.leave(ids[1]);
    let found: Vec<WaiterId> = lines.in_line(0, &place.name).map(|(id, _)| id).collect();
    assert_eq!(found, [ids[0], ids[2]]);
    assert_eq!(lines.everyone(), [ids[0], ids[2]]);
    assert_eq!(lines.len_of(0, b"lock"), 2);
    assert_eq!(lines.in_line(0, b"other").count(), 0);
}
