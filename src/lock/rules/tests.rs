use super::*;

const NOW: Now = Now(1_000_000_000);
const FREE: View = View::Free { lapsed: false };
const THEIRS: View = View::Theirs(Deadline(1_030_000));
const UNCHANGED: Change = Change::Update(Update {
    holds: None,
    fence: None,
    deadline: None,
});

/// A hold with that token; with 0 it is one that Redisson made.
fn mine(holds: u32, token: i64) -> View {
    View::Mine(Hold {
        holds,
        fence: Token::new(token).map(|token| Fence::new(token, NOW)),
        deadline: Deadline(1_030_000),
    })
}

fn try_acquire(
    view: View,
    ttl: i64,
    holds: Option<u32>,
    token: Option<i64>,
) -> Result<(Change, Grant), Error> {
    let request = Acquire {
        ttl: Millis(ttl),
        holds,
        token: token.and_then(Token::new),
    };
    acquire(&view, &request, NOW, &mut Tokens::new())
}

fn try_release(view: View, holds: Option<u32>, token: Option<i64>) -> Result<(Change, u32), Error> {
    let token = token.and_then(Token::new);
    release(&view, &Release { holds, token })
}

#[test]
fn a_free_lock_is_taken_with_a_new_token() {
    for (holds, lapsed) in [(None, false), (Some(1), true)] {
        let (change, grant) = try_acquire(View::Free { lapsed }, 500, holds, None).unwrap();
        let fence = Tokens::new().issue(NOW);
        assert_eq!(
            change,
            Change::Take {
                lapsed,
                holds: 1,
                fence: fence.unwrap(),
                deadline: Deadline(1_000_500)
            }
        );
        assert_eq!(
            grant,
            Grant {
                holds: 1,
                fence: fence.ok(),
                ttl: Millis(500)
            }
        );
    }
}

#[test]
fn a_reentry_counts_up_and_keeps_the_token() {
    let (change, grant) = try_acquire(mine(2, 7), 30_001, None, None).unwrap();
    assert_eq!(
        change,
        Change::Update(Update {
            holds: Some(3),
            fence: None,
            deadline: Some(Deadline(1_030_001))
        })
    );
    assert_eq!((grant.holds, grant.token()), (3, Token::new(7)));
}

#[test]
fn a_reentry_never_shortens_the_lease() {
    for ttl in [1, 29_999, 30_000] {
        let (change, grant) = try_acquire(mine(1, 7), ttl, None, None).unwrap();
        assert!(matches!(
            change,
            Change::Update(Update { deadline: None, .. })
        ));
        assert_eq!(grant.ttl, Millis(30_000));
    }
}

#[test]
fn a_repeated_acquire_with_holds_changes_no_count() {
    let (change, grant) = try_acquire(mine(3, 7), 10, Some(3), None).unwrap();
    assert_eq!(change, UNCHANGED);
    assert_eq!(grant.holds, 3);
}

#[test]
fn an_acquire_with_holds_that_do_not_follow_is_refused() {
    for (view, held, wanted) in [
        (FREE, 0, 2),
        (THEIRS, 0, 2),
        (mine(3, 7), 3, 2),
        (mine(3, 7), 3, 5),
        (mine(1, 7), 1, MAX_HOLDS),
    ] {
        let from = wanted - 1;
        let refusal = Error::HoldCount { held, wanted, from };
        assert_eq!(try_acquire(view, 10, Some(wanted), None), Err(refusal));
    }
}

#[test]
fn the_count_stops_at_its_largest() {
    let full = mine(MAX_HOLDS, 7);
    assert_eq!(try_acquire(full, 10, None, None), Err(Error::MostHolds));
    assert!(try_acquire(full, 10, Some(MAX_HOLDS), None).is_ok());
    let almost = try_acquire(mine(MAX_HOLDS - 1, 7), 10, Some(MAX_HOLDS), None);
    assert_eq!(almost.unwrap().1.holds, MAX_HOLDS);
}

#[test]
fn a_busy_lock_answers_with_the_time_left() {
    for holds in [None, Some(1)] {
        let (change, grant) = try_acquire(THEIRS, 10, holds, None).unwrap();
        assert_eq!(change, UNCHANGED);
        assert_eq!((grant.holds, grant.fence), (0, None));
        assert_eq!(grant.ttl, Millis(30_000));
    }
}

#[test]
fn an_acquire_with_a_token_only_reenters_that_hold() {
    assert_eq!(
        try_acquire(mine(1, 7), 9, None, Some(7)).unwrap().1.holds,
        2
    );
    for (view, why) in [
        (FREE, NotOwner::Free),
        (THEIRS, NotOwner::Theirs),
        (mine(1, 8), NotOwner::OtherToken),
        (mine(1, 0), NotOwner::OtherToken),
    ] {
        for holds in [None, Some(1), Some(9)] {
            let refused = try_acquire(view, 9, holds, Some(7));
            assert_eq!(refused, Err(Error::NotOwner(why)));
        }
    }
}

#[test]
fn a_hold_that_redisson_made_gets_a_token() {
    let (change, grant) = try_acquire(mine(1, 0), 9, Some(1), None).unwrap();
    let fence = Tokens::new().issue(NOW).ok();
    assert!(matches!(change, Change::Update(update) if update.fence == fence));
    assert_eq!(grant.fence, fence);
    let (change, grant) =
        renew(&mine(1, 0), Millis(30_000), None, NOW, &mut Tokens::new()).unwrap();
    assert!(matches!(change, Change::Update(update) if update.fence == fence));
    assert_eq!(grant.fence, fence);
}

#[test]
fn a_partial_release_keeps_the_lock() {
    let update = Update {
        holds: Some(1),
        ..Update::default()
    };
    for holds in [None, Some(1)] {
        let partial = try_release(mine(2, 7), holds, None);
        assert_eq!(partial, Ok((Change::Update(update), 1)));
    }
}

#[test]
fn the_last_release_frees_the_lock() {
    for (holds, token) in [(None, None), (Some(0), None), (Some(0), Some(7))] {
        let full = try_release(mine(1, 7), holds, token);
        assert_eq!(full, Ok((Change::Free, 0)));
    }
}

#[test]
fn a_repeated_release_with_holds_changes_nothing() {
    for (view, left, token) in [
        (mine(2, 7), 2, None),
        (FREE, 0, None),
        (THEIRS, 0, None),
        (FREE, 0, Some(7)),
        (THEIRS, 0, Some(7)),
        (mine(1, 8), 0, Some(7)),
        (mine(1, 0), 0, Some(7)),
    ] {
        assert_eq!(try_release(view, Some(left), token), Ok((UNCHANGED, left)));
    }
}

#[test]
fn a_release_with_holds_that_do_not_follow_is_refused() {
    for (held, wanted) in [(3, 0), (3, 1), (1, 2), (1, MAX_HOLDS)] {
        let from = wanted.saturating_add(1);
        let refusal = Error::HoldCount { held, wanted, from };
        assert_eq!(try_release(mine(held, 7), Some(wanted), None), Err(refusal));
    }
}

#[test]
fn a_release_by_one_who_does_not_hold_it_is_refused() {
    for (view, token, why) in [
        (FREE, None, NotOwner::Free),
        (THEIRS, None, NotOwner::Theirs),
        (mine(1, 8), Some(7), NotOwner::OtherToken),
    ] {
        for holds in [None, Some(1)] {
            let refused = try_release(view, holds, token);
            assert_eq!(refused, Err(Error::NotOwner(why)));
        }
    }
}

#[test]
fn a_renewal_sets_the_time_left_exactly() {
    for ttl in [1, 29_999, 30_001] {
        let (change, grant) =
            renew(&mine(2, 7), Millis(ttl), None, NOW, &mut Tokens::new()).unwrap();
        let update = Update {
            deadline: Some(Deadline(1_000_000 + ttl)),
            ..Update::default()
        };
        assert_eq!(change, Change::Update(update));
        assert_eq!((grant.holds, grant.ttl), (2, Millis(ttl)));
    }
    let same = renew(&mine(2, 7), Millis(30_000), None, NOW, &mut Tokens::new());
    assert_eq!(same.unwrap().0, UNCHANGED);
}

#[test]
fn renew_and_assert_want_the_holder_and_its_token() {
    for (view, token, result) in [
        (mine(1, 7), None, Ok(())),
        (mine(1, 7), Some(7), Ok(())),
        (mine(1, 7), Some(8), Err(NotOwner::OtherToken)),
        (mine(1, 0), Some(8), Err(NotOwner::OtherToken)),
        (THEIRS, None, Err(NotOwner::Theirs)),
        (FREE, Some(7), Err(NotOwner::Free)),
    ] {
        let token = token.and_then(Token::new);
        let result = result.map_err(Error::NotOwner);
        assert_eq!(assert(&view, token), result);
        let renewed = renew(&view, Millis(9), token, NOW, &mut Tokens::new());
        assert_eq!(renewed.map(|_| ()), result);
    }
}
