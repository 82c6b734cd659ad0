use super::*;

const FIRST: WaiterId = WaiterId(1);
const SECOND: WaiterId = WaiterId(2);
const THIRD: WaiterId = WaiterId(3);

fn place() -> Place {
    Place {
        db: 0,
        name: b"lock".as_slice().into(),
    }
}

fn token(number: i64) -> Token {
    Token::new(number).unwrap()
}

/// Grants of the hold with token 7: each waiter with the count that it made.
fn granted(grants: &[(WaiterId, u32)]) -> Pending {
    let mut pending = Pending::new();
    for &(id, holds) in grants {
        pending.granted(id, place(), token(7), holds);
    }
    pending
}

/// What is undone when this one is gone.
fn undone(pending: &mut Pending, id: WaiterId) -> Option<(Place, Token)> {
    pending.gone(id);
    let (place, level) = pending.take_undo()?;
    assert!(!pending.has_undo());
    Some((place, level.token))
}

#[test]
fn a_grant_that_was_told_stands() {
    let mut pending = granted(&[(FIRST, 1)]);
    pending.told(FIRST);
    assert!(pending.is_empty());
    assert_eq!(undone(&mut pending, FIRST), None);
}

#[test]
fn a_grant_whose_client_is_gone_is_undone_once() {
    let mut pending = granted(&[(FIRST, 1)]);
    assert_eq!(undone(&mut pending, FIRST), Some((place(), token(7))));
    assert_eq!(undone(&mut pending, FIRST), None);
    assert!(pending.is_empty());
}

#[test]
fn who_was_granted_nothing_has_nothing_undone() {
    let mut pending = granted(&[(FIRST, 1)]);
    assert_eq!(undone(&mut pending, SECOND), None);
    assert!(!pending.is_empty());
}

#[test]
fn a_hold_stays_that_another_wait_was_told_of_before() {
    let mut pending = granted(&[(FIRST, 1), (SECOND, 1)]);
    pending.told(FIRST);
    assert_eq!(undone(&mut pending, SECOND), None);
}

#[test]
fn a_hold_stays_that_another_wait_is_told_of_after() {
    let mut pending = granted(&[(FIRST, 1), (SECOND, 1)]);
    assert_eq!(undone(&mut pending, FIRST), None);
    pending.told(SECOND);
    assert!(pending.is_empty());
}

#[test]
fn a_hold_is_undone_once_where_all_who_stood_for_it_are_gone() {
    let mut pending = granted(&[(FIRST, 1), (SECOND, 1), (THIRD, 1)]);
    assert_eq!(undone(&mut pending, SECOND), None);
    assert_eq!(undone(&mut pending, FIRST), None);
    assert_eq!(undone(&mut pending, THIRD), Some((place(), token(7))));
}

#[test]
fn a_hold_stays_that_a_repeat_was_answered_meanwhile() {
    let mut pending = granted(&[(FIRST, 1)]);
    pending.answered(token(7), 1);
    assert_eq!(undone(&mut pending, FIRST), None);
}

#[test]
fn what_cannot_be_undone_for_now_is_undone_later() {
    let mut pending = granted(&[(FIRST, 1)]);
    pending.gone(FIRST);
    let undo = pending.take_undo().into_iter().collect();
    assert!(!pending.has_undo());
    pending.put_back(undo);
    assert_eq!(pending.take_undo().map(|(place, _)| place), Some(place()));
}

#[test]
fn an_answer_about_another_hold_changes_nothing() {
    let mut pending = granted(&[(FIRST, 1)]);
    pending.answered(token(7), 2);
    pending.answered(token(8), 1);
    assert_eq!(undone(&mut pending, FIRST), Some((place(), token(7))));
}

#[test]
fn each_count_of_a_hold_stands_for_its_own_call() {
    let mut pending = granted(&[(FIRST, 1), (SECOND, 2)]);
    pending.told(SECOND);
    assert_eq!(undone(&mut pending, FIRST), Some((place(), token(7))));
}

#[test]
fn grants_of_other_locks_do_not_meet() {
    let mut pending = granted(&[(FIRST, 1)]);
    let elsewhere = Place { db: 1, ..place() };
    pending.granted(SECOND, elsewhere.clone(), token(8), 1);
    pending.told(FIRST);
    assert_eq!(undone(&mut pending, SECOND), Some((elsewhere, token(8))));
}
