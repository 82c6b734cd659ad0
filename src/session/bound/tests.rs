use super::*;
use crate::lock::{Deadline, Hold, Now, View};
use crate::session::{compare, Found};

fn place(name: &str) -> Place {
    let name = name.as_bytes().into();
    Place { db: 0, name }
}

fn token(number: i64) -> Token {
    Token::new(number).unwrap()
}

fn fence(number: i64) -> Fence {
    Fence::new(token(number), Now(number))
}

fn claim(client: u64) -> Claim {
    Claim {
        user: None,
        client,
        ttl: Millis(3000),
        linger: Millis(0),
    }
}

fn ask(sessions: &mut Sessions, place: &Place, hold: i64, client: u64) -> Option<Session> {
    ask_at(sessions, place, hold, client, 0)
}

/// Grants a hold with this token at that time.
fn ask_at(
    sessions: &mut Sessions,
    place: &Place,
    hold: i64,
    client: u64,
    now: i64,
) -> Option<Session> {
    let (owner, claim) = (Rc::from(b"me".as_slice()), claim(client));
    let end = Tick(now + claim.ttl.0);
    sessions.ask(place, &owner, fence(hold), 1, claim, end)
}

/// Binds the hold with this token.
fn bind(sessions: &mut Sessions, place: &Place, hold: i64, client: u64, now: i64) {
    ask_at(sessions, place, hold, client, now);
    sessions.told(place, token(hold), client, Tick(now));
}

fn bound(sessions: &Sessions, place: &Place) -> Option<u64> {
    let session = sessions.get(place.db, &place.name)?;
    Some(session.bound()?.client)
}

#[test]
fn a_lease_is_due_when_a_third_of_its_ttl_has_gone() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    assert_eq!(sessions.next_due(), Some(Tick(1100)));
    assert!(sessions.due(Tick(1099), 9).is_empty());
    assert_eq!(sessions.due(Tick(1100), 9), std::slice::from_ref(&a));
    sessions.renewed(&a, Tick(1100));
    assert_eq!(sessions.next_due(), Some(Tick(2100)));
    sessions.set_lease(0, b"a", Tick(7200));
    sessions.set_ttl(&a, Millis(6000), Tick(1200));
    assert_eq!(sessions.next_due(), Some(Tick(3200)));
}

#[test]
fn a_lease_that_ends_before_its_renewal_is_due_then() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    sessions.set_lease(0, b"a", Tick(1500));
    sessions.renewed(&a, Tick(1100));
    assert_eq!(sessions.next_due(), Some(Tick(1500)));
    assert!(sessions.overdue(Tick(1499)).is_empty());
    assert_eq!(sessions.overdue(Tick(1500)), [a]);
}

#[test]
fn the_youngest_connection_is_bound_and_a_late_repeat_on_an_older_one_changes_nothing() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 7, 0);
    bind(&mut sessions, &a, 1, 9, 0);
    bind(&mut sessions, &a, 1, 7, 0);
    assert_eq!(bound(&sessions, &a), Some(9));
    assert_eq!(sessions.len(), 1);
    assert!(!sessions.closed(7));
    assert!(!sessions.any_ended());
    assert!(sessions.closed(9));
    assert_eq!(sessions.ended(), [a]);
}

#[test]
fn a_closed_connections_leases_are_renewed_no_more() {
    let (mut sessions, a, b) = (Sessions::new(), place("a"), place("b"));
    bind(&mut sessions, &a, 1, 7, 0);
    bind(&mut sessions, &b, 2, 7, 0);
    assert!(sessions.closed(7));
    assert_eq!(sessions.next_due(), None);
    assert_eq!(sessions.ended(), [a.clone(), b.clone()]);
    assert!(sessions.end(0, b"a").is_some());
    assert_eq!(sessions.ended(), [b]);
    // Its owner comes back before anyone has looked.
    bind(&mut sessions, &place("b"), 2, 8, 0);
    assert!(!sessions.any_ended());
    assert!(!sessions.closed(7));
}

#[test]
fn who_was_not_told_is_not_bound_and_one_that_went_away_before_leaves_nothing() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    ask(&mut sessions, &a, 1, 7);
    assert_eq!(bound(&sessions, &a), None);
    assert_eq!(sessions.next_due(), None);
    assert!(!sessions.closed(7));
    sessions.untold(&a, token(1), 7);
    assert!(sessions.is_empty());
}

#[test]
fn of_two_that_were_granted_together_the_one_that_is_left_is_bound() {
    for (gone, left) in [(7, 9), (9, 7)] {
        let (mut sessions, a) = (Sessions::new(), place("a"));
        ask(&mut sessions, &a, 1, 7);
        ask(&mut sessions, &a, 1, 9);
        for client in [7, 9] {
            match client == gone {
                true => sessions.untold(&a, token(1), client),
                false => sessions.told(&a, token(1), client, Tick(0)),
            }
        }
        assert_eq!(bound(&sessions, &a), Some(left));
    }
}

#[test]
fn a_new_hold_ends_the_session_of_the_old_one() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 7, 0);
    assert!(sessions.replace(0, b"a", token(1)).is_none());
    let lost = ask(&mut sessions, &a, 2, 8).unwrap();
    assert_eq!(lost.clients().collect::<Vec<_>>(), [7]);
    sessions.told(&a, token(2), 8, Tick(0));
    // What belongs to the old hold is too late.
    sessions.told(&a, token(1), 9, Tick(0));
    sessions.untold(&a, token(1), 8);
    assert!(!sessions.closed(7));
    assert_eq!(bound(&sessions, &a), Some(8));
    assert_eq!(sessions.len(), 1);
}

#[test]
fn the_locks_of_one_database_or_of_all_are_told() {
    let mut sessions = Sessions::new();
    let all = [(0, "a"), (0, "b"), (2, "a")].map(|(db, name)| Place { db, ..place(name) });
    all.iter()
        .for_each(|place| bind(&mut sessions, place, 1, 7, 0));
    assert_eq!(sessions.places(None), all);
    assert_eq!(sessions.places(Some(0)), all[..2]);
    assert!(sessions.places(Some(1)).is_empty());
    all.iter().for_each(|place| {
        sessions.end(place.db, &place.name);
    });
    assert!(sessions.is_empty());
    assert!(!sessions.closed(7));
    assert_eq!(sessions.next_due(), None);
}

#[test]
fn a_hold_is_lost_by_deletion_and_by_another_hold_and_lapses_otherwise() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 5, 7, 0);
    let mine = |holds, number| {
        Ok(View::Mine(Hold {
            holds,
            fence: Token::new(number).map(|token| Fence::new(token, Now(number))),
            deadline: Deadline(1),
        }))
    };
    let free = || Ok(View::Free { lapsed: false });
    let look =
        |sessions: &Sessions, view: Result<View, ()>| compare(sessions.get(0, b"a").unwrap(), view);
    let held = |found| matches!(found, Found::Held(Hold { holds: 3, .. }));
    assert!(held(look(&sessions, mine(3, 5))));
    assert_eq!(look(&sessions, free()), Found::Lapsed);
    assert_eq!(look(&sessions, mine(1, 6)), Found::Lost);
    assert_eq!(look(&sessions, mine(1, 0)), Found::Lost);
    assert_eq!(look(&sessions, Ok(View::Theirs(Deadline(1)))), Found::Lost);
    assert_eq!(look(&sessions, Err(())), Found::Lost);
    assert!(sessions.note_change(0, b"a"));
    assert!(!sessions.note_change(1, b"a"));
    assert!(held(look(&sessions, mine(3, 5))));
    assert_eq!(look(&sessions, free()), Found::Lost);
    sessions.seen(0, b"a", 3);
    assert_eq!(look(&sessions, free()), Found::Lapsed);
    assert_eq!(sessions.get(0, b"a").unwrap().holds, 3);
}

#[test]
fn an_older_connection_is_bound_where_the_younger_one_has_closed_already() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 9, 0);
    assert!(sessions.closed(9));
    bind(&mut sessions, &a, 1, 7, 0);
    assert_eq!(bound(&sessions, &a), Some(7));
    assert!(!sessions.any_ended());
}

#[test]
fn a_lease_is_overdue_when_its_ttl_has_gone_without_a_renewal() {
    let (mut sessions, a) = (Sessions::new(), place("a"));
    bind(&mut sessions, &a, 1, 7, 100);
    assert!(sessions.overdue(Tick(3099)).is_empty());
    assert_eq!(sessions.overdue(Tick(3100)), std::slice::from_ref(&a));
    sessions.set_lease(0, b"a", Tick(6100));
    sessions.renewed(&a, Tick(3100));
    assert!(sessions.overdue(Tick(6099)).is_empty());
    assert!(sessions.closed(7));
    assert!(sessions.overdue(Tick(9000)).is_empty());
}
