use super::*;

const FIRST: WaiterId = WaiterId(1);
const SECOND: WaiterId = WaiterId(2);
const THIRD: WaiterId = WaiterId(3);

fn key() -> LockKey {
    LockKey {
        db: 0,
        name: b"lock".as_slice().into(),
    }
}

fn token(number: i64) -> Token {
    Token::new(number).unwrap()
}

fn of(key: LockKey, token: Token, holds: u32) -> Granted {
    let level = HoldLevel { token, holds };
    let client = ClientId(1);
    Granted { client, key, level }
}

/// Grants of the hold with token 7: each waiter with the count that it made.
fn granted(grants: &[(WaiterId, u32)]) -> Undelivered {
    let mut undelivered = Undelivered::new();
    for &(id, holds) in grants {
        undelivered.granted(id, of(key(), token(7), holds));
    }
    undelivered
}

/// What is undone when this one is gone.
fn undone(undelivered: &mut Undelivered, id: WaiterId) -> Option<(LockKey, Token)> {
    undelivered.not_delivered(id);
    let mut undo = undelivered.take_undo();
    assert!(!undelivered.has_undo() && undo.len() < 2);
    undo.pop().map(|(key, level)| (key, level.token))
}

#[test]
fn a_grant_that_was_delivered_stands() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    undelivered.delivered(FIRST);
    assert!(undelivered.grants.is_empty());
    assert_eq!(undone(&mut undelivered, FIRST), None);
}

#[test]
fn a_grant_whose_client_is_gone_is_undone_once() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    assert_eq!(undone(&mut undelivered, FIRST), Some((key(), token(7))));
    assert_eq!(undone(&mut undelivered, FIRST), None);
    assert!(undelivered.grants.is_empty());
}

#[test]
fn who_was_granted_nothing_has_nothing_undone() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    assert_eq!(undone(&mut undelivered, SECOND), None);
    assert!(!undelivered.grants.is_empty());
}

#[test]
fn a_hold_stays_that_another_wait_was_told_of_before() {
    let mut undelivered = granted(&[(FIRST, 1), (SECOND, 1)]);
    undelivered.delivered(FIRST);
    assert_eq!(undone(&mut undelivered, SECOND), None);
}

#[test]
fn a_hold_stays_that_another_wait_is_told_of_after() {
    let mut undelivered = granted(&[(FIRST, 1), (SECOND, 1)]);
    assert_eq!(undone(&mut undelivered, FIRST), None);
    undelivered.delivered(SECOND);
    assert!(undelivered.grants.is_empty());
}

#[test]
fn a_hold_is_undone_once_where_all_who_stood_for_it_are_gone() {
    let mut undelivered = granted(&[(FIRST, 1), (SECOND, 1), (THIRD, 1)]);
    assert_eq!(undone(&mut undelivered, SECOND), None);
    assert_eq!(undone(&mut undelivered, FIRST), None);
    assert_eq!(undone(&mut undelivered, THIRD), Some((key(), token(7))));
}

#[test]
fn a_hold_stays_that_a_repeat_was_answered_meanwhile() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    undelivered.answered(token(7), 1);
    assert_eq!(undone(&mut undelivered, FIRST), None);
}

#[test]
fn what_cannot_be_undone_for_now_is_undone_later() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    undelivered.not_delivered(FIRST);
    let (lock, level) = undelivered.take_undo().remove(0);
    assert!(!undelivered.has_undo());
    undelivered.put_back(lock, level);
    assert_eq!(undelivered.take_undo(), [(key(), level)]);
}

#[test]
fn an_answer_about_another_hold_changes_nothing() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    undelivered.answered(token(7), 2);
    undelivered.answered(token(8), 1);
    assert_eq!(undone(&mut undelivered, FIRST), Some((key(), token(7))));
}

#[test]
fn each_count_of_a_hold_stands_for_its_own_call() {
    let mut undelivered = granted(&[(FIRST, 1), (SECOND, 2)]);
    undelivered.delivered(SECOND);
    assert_eq!(undone(&mut undelivered, FIRST), Some((key(), token(7))));
}

#[test]
fn grants_of_other_locks_do_not_meet() {
    let mut undelivered = granted(&[(FIRST, 1)]);
    let elsewhere = LockKey { db: 1, ..key() };
    undelivered.granted(SECOND, of(elsewhere.clone(), token(8), 1));
    undelivered.delivered(FIRST);
    assert_eq!(
        undone(&mut undelivered, SECOND),
        Some((elsewhere, token(8)))
    );
}
