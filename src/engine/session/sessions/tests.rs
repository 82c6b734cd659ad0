use super::*;
use crate::engine::session::{compare, Found};
use crate::lock::{Deadline, Hold, Now, View};

fn key(name: &str) -> LockKey {
    let name = name.as_bytes().into();
    LockKey { db: 0, name }
}

fn token(number: i64) -> Token {
    Token::new(number).unwrap()
}

fn fence(number: i64) -> Fence {
    Fence::new(token(number), Now(number))
}

fn connection(client: u64) -> Connection {
    Connection {
        client: ClientId(client),
        user: None,
        options: SessionOptions {
            ttl: Millis(3000),
            linger: Millis(0),
        },
    }
}

fn reserve(sessions: &mut Sessions, key: &LockKey, hold: i64, client: u64) -> Option<Session> {
    reserve_at(sessions, key, hold, client, 0)
}

/// Grants a hold with this token at that time.
fn reserve_at(
    sessions: &mut Sessions,
    key: &LockKey,
    hold: i64,
    client: u64,
    now: i64,
) -> Option<Session> {
    let (owner, connection) = (Arc::from(b"me".as_slice()), connection(client));
    let hold = NewHold {
        owner: &owner,
        fence: fence(hold),
        holds: 1,
        lease_end: Tick(now + connection.options.ttl.0),
    };
    sessions.reserve(key, &hold, connection)
}

/// Binds the hold with this token.
fn bind(sessions: &mut Sessions, key: &LockKey, hold: i64, client: u64, now: i64) {
    reserve_at(sessions, key, hold, client, now);
    sessions.delivered(key, token(hold), ClientId(client), Tick(now));
}

fn bound(sessions: &Sessions, key: &LockKey) -> Option<u64> {
    let session = sessions.get(key.borrowed())?;
    Some(session.bound()?.client.0)
}

#[test]
fn a_lease_is_due_when_a_third_of_its_ttl_has_gone() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    assert_eq!(sessions.next_due(), Some(Tick(1100)));
    assert!(sessions.due(Tick(1099), 9).is_empty());
    assert_eq!(sessions.due(Tick(1100), 9), std::slice::from_ref(&a));
    sessions.renewed(&a, Tick(1100));
    assert_eq!(sessions.next_due(), Some(Tick(2100)));
    sessions.set_lease(a.borrowed(), Tick(7200));
    sessions.set_ttl(&a, Millis(6000), Tick(1200));
    assert_eq!(sessions.next_due(), Some(Tick(3200)));
}

#[test]
fn a_lease_that_ends_before_its_renewal_is_due_then() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    sessions.set_lease(a.borrowed(), Tick(1500));
    sessions.renewed(&a, Tick(1100));
    assert_eq!(sessions.next_due(), Some(Tick(1500)));
    assert!(sessions.overdue(Tick(1499)).is_empty());
    assert_eq!(sessions.overdue(Tick(1500)), [a]);
}

#[test]
fn the_youngest_connection_is_bound_and_a_late_repeat_on_an_older_one_changes_nothing() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 7, 0);
    bind(&mut sessions, &a, 1, 9, 0);
    bind(&mut sessions, &a, 1, 7, 0);
    assert_eq!(bound(&sessions, &a), Some(9));
    assert_eq!(sessions.len(), 1);
    assert!(!sessions.is_bound_to(ClientId(7)));
    assert!(!sessions.any_closed());
    sessions.client_closed(ClientId(9));
    assert_eq!(sessions.closed(), [a]);
}

#[test]
fn a_closed_connections_leases_are_renewed_no_more() {
    let (mut sessions, a, b) = (Sessions::new(), key("a"), key("b"));
    bind(&mut sessions, &a, 1, 7, 0);
    bind(&mut sessions, &b, 2, 7, 0);
    sessions.client_closed(ClientId(7));
    assert_eq!(sessions.next_due(), None);
    assert_eq!(sessions.closed(), [a.clone(), b.clone()]);
    assert!(sessions.end(a.borrowed()).is_some());
    assert_eq!(sessions.closed(), [b]);
    // Its owner comes back before anyone has looked.
    bind(&mut sessions, &key("b"), 2, 8, 0);
    assert!(!sessions.any_closed());
    assert!(!sessions.is_bound_to(ClientId(7)));
}

#[test]
fn who_was_not_told_is_not_bound_and_one_that_went_away_before_leaves_nothing() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    reserve(&mut sessions, &a, 1, 7);
    assert_eq!(bound(&sessions, &a), None);
    assert_eq!(sessions.next_due(), None);
    assert!(!sessions.is_bound_to(ClientId(7)));
    sessions.not_delivered(&a, token(1), ClientId(7));
    assert!(sessions.is_empty());
}

#[test]
fn of_two_that_were_granted_together_the_one_that_is_left_is_bound() {
    for (gone, left) in [(7, 9), (9, 7)] {
        let (mut sessions, a) = (Sessions::new(), key("a"));
        reserve(&mut sessions, &a, 1, 7);
        reserve(&mut sessions, &a, 1, 9);
        for client in [7, 9] {
            match client == gone {
                true => sessions.not_delivered(&a, token(1), ClientId(client)),
                false => sessions.delivered(&a, token(1), ClientId(client), Tick(0)),
            }
        }
        assert_eq!(bound(&sessions, &a), Some(left));
    }
}

#[test]
fn a_new_hold_ends_the_session_of_the_old_one() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 7, 0);
    assert!(sessions.replace(a.borrowed(), token(1)).is_none());
    let lost = reserve(&mut sessions, &a, 2, 8).unwrap();
    assert_eq!(lost.clients().collect::<Vec<_>>(), [ClientId(7)]);
    sessions.delivered(&a, token(2), ClientId(8), Tick(0));
    // What belongs to the old hold is too late.
    sessions.delivered(&a, token(1), ClientId(9), Tick(0));
    sessions.not_delivered(&a, token(1), ClientId(8));
    assert!(!sessions.is_bound_to(ClientId(7)));
    assert_eq!(bound(&sessions, &a), Some(8));
    assert_eq!(sessions.len(), 1);
}

#[test]
fn the_locks_of_one_database_or_of_all_are_told() {
    let mut sessions = Sessions::new();
    let all = [(0, "a"), (0, "b"), (2, "a")].map(|(db, name)| LockKey { db, ..key(name) });
    all.iter().for_each(|key| bind(&mut sessions, key, 1, 7, 0));
    assert_eq!(sessions.keys(None), all);
    assert_eq!(sessions.keys(Some(0)), all[..2]);
    assert!(sessions.keys(Some(1)).is_empty());
    all.iter().for_each(|key| {
        sessions.end(key.borrowed());
    });
    assert!(sessions.is_empty());
    assert!(!sessions.is_bound_to(ClientId(7)));
    assert_eq!(sessions.next_due(), None);
}

#[test]
fn a_hold_is_lost_by_deletion_and_by_another_hold_and_lapses_otherwise() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 5, 7, 0);
    let mine = |holds, number| {
        Ok(View::Mine(Hold {
            holds,
            fence: Token::new(number).map(|token| Fence::new(token, Now(number))),
            deadline: Deadline(1),
        }))
    };
    let free = || Ok(View::Free { lapsed: false });
    let look = |sessions: &Sessions, view: Result<View, ()>| {
        compare(sessions.get(a.borrowed()).unwrap(), view)
    };
    let held = |found| matches!(found, Found::Held(Hold { holds: 3, .. }));
    assert!(held(look(&sessions, mine(3, 5))));
    assert_eq!(look(&sessions, free()), Found::Lapsed { stored: false });
    assert_eq!(look(&sessions, mine(1, 6)), Found::Lost);
    assert_eq!(look(&sessions, mine(1, 0)), Found::Lost);
    assert_eq!(look(&sessions, Ok(View::Theirs(Deadline(1)))), Found::Lost);
    assert_eq!(look(&sessions, Err(())), Found::Lost);
    sessions.note_change(a.borrowed());
    sessions.note_change(LockKey { db: 1, ..a.clone() }.borrowed());
    assert!(held(look(&sessions, mine(3, 5))));
    assert_eq!(look(&sessions, free()), Found::Lost);
    sessions.checked(a.borrowed(), 3);
    assert_eq!(look(&sessions, free()), Found::Lapsed { stored: false });
    assert_eq!(sessions.get(a.borrowed()).unwrap().holds, 3);
}

#[test]
fn an_older_connection_is_bound_where_the_younger_one_has_closed_already() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 9, 0);
    sessions.client_closed(ClientId(9));
    bind(&mut sessions, &a, 1, 7, 0);
    assert_eq!(bound(&sessions, &a), Some(7));
    assert!(!sessions.any_closed());
}

#[test]
fn a_lease_is_overdue_when_its_ttl_has_gone_without_a_renewal() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    assert!(sessions.overdue(Tick(3099)).is_empty());
    assert_eq!(sessions.overdue(Tick(3100)), std::slice::from_ref(&a));
    sessions.set_lease(a.borrowed(), Tick(6100));
    sessions.renewed(&a, Tick(3100));
    assert!(sessions.overdue(Tick(6099)).is_empty());
    sessions.client_closed(ClientId(7));
    assert!(sessions.overdue(Tick(9000)).is_empty());
}

#[test]
fn a_grant_that_is_not_delivered_yet_gets_the_session_though_an_older_connection_has_closed() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    // The owner waited on 9. Meanwhile repeats of its call arrive on older connections, which it has given up.
    reserve(&mut sessions, &a, 1, 9);
    bind(&mut sessions, &a, 1, 5, 0);
    sessions.client_closed(ClientId(5));
    sessions.unbind(a.borrowed());
    assert!(!sessions.any_closed());
    bind(&mut sessions, &a, 1, 7, 0);
    sessions.client_closed(ClientId(7));
    sessions.delivered(&a, token(1), ClientId(9), Tick(0));
    assert_eq!(bound(&sessions, &a), Some(9));
    assert!(!sessions.any_closed());
    assert!(sessions.is_bound_to(ClientId(9)));
}

#[test]
fn a_hold_goes_on_without_a_session_when_its_connection_has_closed_and_no_other_has_one() {
    let (mut sessions, a) = (Sessions::new(), key("a"));
    bind(&mut sessions, &a, 1, 5, 0);
    sessions.client_closed(ClientId(5));
    sessions.unbind(a.borrowed());
    assert!(sessions.is_empty() && !sessions.any_closed());
}
