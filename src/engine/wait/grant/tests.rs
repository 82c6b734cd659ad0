use super::*;
use crate::engine::port::ClientId;
use crate::lock::{Acquire, Fence, Millis, Token, MAX_HOLDS};
use crate::lock::{LockKey, Tick};

const NOW: Now = Now(5_000_000);

/// A wait: its number, its ttl and its `HOLDS`.
fn wait(id: u64, ttl: i64, holds: Option<u32>) -> (WaiterId, Waiter) {
    let key = LockKey {
        db: 0,
        name: b"lock".as_slice().into(),
    };
    let waiter = Waiter {
        owner: b"me".as_slice().into(),
        key,
        client: ClientId(id),
        user: None,
        request: Acquire {
            ttl: Millis(ttl),
            holds,
            token: None,
        },
        session: None,
        since: Tick(0),
        until: None,
    };
    (WaiterId(id), waiter)
}

fn free(waits: &[(WaiterId, Waiter)]) -> (Option<Hold>, Vec<Outcome>) {
    grant_all(
        waits,
        View::Free { lapsed: false },
        NOW,
        &Limits::NONE,
        &mut Tokens::new(),
    )
}

/// The counts and ttls that the waits were answered, which were all granted with one token.
fn grants(outcomes: &[Outcome], token: Option<Token>) -> Vec<(u64, u32, i64)> {
    let grant = |(id, outcome): &Outcome| {
        let grant = outcome.unwrap();
        assert_eq!(grant.token(), token);
        (id.0, grant.holds, grant.ttl.0)
    };
    outcomes.iter().map(grant).collect()
}

#[test]
fn one_wait_becomes_one_hold_with_a_lease_from_now() {
    let (hold, outcomes) = free(&[wait(1, 300, None)]);
    let hold = hold.unwrap();
    assert_eq!((hold.holds, hold.deadline), (1, NOW.plus(Millis(300))));
    assert_eq!(hold.token(), Token::new(NOW.0));
    assert_eq!(grants(&outcomes, hold.token()), [(1, 1, 300)]);
}

#[test]
fn each_wait_of_the_owner_counts_and_the_later_lease_stands() {
    let (hold, outcomes) = free(&[wait(1, 300, None), wait(4, 900, None), wait(9, 100, None)]);
    let hold = hold.unwrap();
    assert_eq!((hold.holds, hold.deadline), (3, NOW.plus(Millis(900))));
    let expected = [(1, 1, 300), (4, 2, 900), (9, 3, 900)];
    assert_eq!(grants(&outcomes, hold.token()), expected);
}

#[test]
fn a_repeat_with_holds_counts_once() {
    let (hold, outcomes) = free(&[wait(1, 300, Some(1)), wait(2, 500, Some(1))]);
    let hold = hold.unwrap();
    assert_eq!((hold.holds, hold.deadline), (1, NOW.plus(Millis(500))));
    assert_eq!(grants(&outcomes, hold.token()), [(1, 1, 300), (2, 1, 500)]);
}

#[test]
fn a_wait_whose_count_does_not_follow_is_refused_and_the_others_are_granted() {
    let (hold, outcomes) = free(&[
        wait(1, 300, None),
        wait(2, 300, None),
        wait(3, 300, Some(1)),
    ]);
    assert_eq!(hold.unwrap().holds, 2);
    let refused = Error::HoldCount {
        held: 2,
        wanted: 1,
        from: 0,
    };
    assert_eq!(outcomes[2], (WaiterId(3), Err(refused)));
    assert!(outcomes[..2].iter().all(|(_, outcome)| outcome.is_ok()));
}

#[test]
fn nothing_is_held_where_no_wait_can_be_granted() {
    let (hold, outcomes) = free(&[wait(1, 300, Some(2))]);
    assert_eq!(hold, None);
    assert!(outcomes[0].1.is_err());
}

#[test]
fn nothing_is_held_where_no_token_is_left() {
    let waits = [wait(1, 300, None), wait(2, 300, None)];
    let (hold, outcomes) = grant_all(
        &waits,
        View::Free { lapsed: false },
        Now(i64::MAX / 2),
        &Limits::NONE,
        &mut Tokens::new(),
    );
    assert_eq!(hold, None);
    let refused = [1, 2].map(|id| (WaiterId(id), Err(Error::TokensSpent)));
    assert_eq!(outcomes, refused);
}

#[test]
fn the_bounds_are_those_at_the_time_of_the_grant_all() {
    let waits = [wait(1, 300, None), wait(2, 9000, None)];
    let limits = |lease, hold: Option<i64>| Limits {
        lease: Millis(lease),
        hold: hold.map(Millis),
    };
    for limits in [limits(600, None), limits(5000, Some(600))] {
        let free = View::Free { lapsed: false };
        let (hold, outcomes) = grant_all(&waits, free, NOW, &limits, &mut Tokens::new());
        let hold = hold.unwrap();
        assert_eq!(hold.deadline, NOW.plus(Millis(600)));
        assert_eq!(grants(&outcomes, hold.token()), [(1, 1, 300), (2, 2, 600)]);
    }
}

#[test]
fn waits_for_a_lock_that_is_the_owners_already_are_reentries() {
    let mine = |holds, token: Option<Token>| {
        View::Mine(Hold {
            holds,
            fence: token.map(|token| Fence::new(token, NOW)),
            deadline: NOW.plus(Millis(700)),
        })
    };
    let token = Token::new(3);
    let waits = [wait(1, 300, None)];
    let (hold, outcomes) = grant_all(
        &waits,
        mine(2, token),
        NOW,
        &Limits::NONE,
        &mut Tokens::new(),
    );
    let hold = hold.unwrap();
    assert_eq!((hold.holds, hold.deadline), (3, NOW.plus(Millis(700))));
    assert_eq!(grants(&outcomes, token), [(1, 3, 700)]);
    // A hold that Redisson made gets its token now.
    let (hold, outcomes) = grant_all(
        &waits,
        mine(1, None),
        NOW,
        &Limits::NONE,
        &mut Tokens::new(),
    );
    assert_eq!(hold.unwrap().token(), Token::new(NOW.0));
    assert_eq!(grants(&outcomes, Token::new(NOW.0)), [(1, 2, 700)]);
    // What it holds stays where the wait is refused.
    let (hold, outcomes) = grant_all(
        &waits,
        mine(MAX_HOLDS, token),
        NOW,
        &Limits::NONE,
        &mut Tokens::new(),
    );
    assert_eq!(hold.unwrap().holds, MAX_HOLDS);
    assert_eq!(outcomes, [(WaiterId(1), Err(Error::MostHolds))]);
}

#[test]
fn a_hand_over_to_nobody_changes_nothing() {
    let (hold, outcomes) = free(&[]);
    assert_eq!((hold, outcomes), (None, Vec::new()));
}
