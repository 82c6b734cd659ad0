use super::*;

const NOW: Now = Now(1_000_000_000);
const FREE: View = View::Free { lapsed: false };
const THEIRS: View = View::Theirs(Deadline(1_030_000));
const UNCHANGED: Change = Change::Update(Update {
    holds: None,
    fence: None,
    deadline: None,
    shortened: false,
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
    acquire(&view, &request, NOW, &Limits::NONE, &mut Tokens::new())
}

fn try_renew(view: View, ttl: i64, token: Option<Token>) -> Result<(Change, Grant), Error> {
    let tokens = &mut Tokens::new();
    renew(&view, Millis(ttl), token, NOW, &Limits::NONE, tokens)
}

fn try_release(
    view: View,
    holds: Option<u32>,
    token: Option<i64>,
) -> Result<(Change, Left), Error> {
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
            deadline: Some(Deadline(1_030_001)),
            ..Update::default()
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
    let (change, grant) = try_renew(mine(1, 0), 30_000, None).unwrap();
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
        assert_eq!(partial, Ok((Change::Update(update), Left::Holds(1))));
    }
}

#[test]
fn the_last_release_frees_the_lock() {
    for (holds, token) in [(None, None), (Some(0), None), (Some(0), Some(7))] {
        let full = try_release(mine(1, 7), holds, token);
        assert_eq!(full, Ok((Change::Free, Left::Holds(0))));
    }
}

#[test]
fn a_repeated_release_with_holds_changes_nothing() {
    let repeat = try_release(mine(2, 7), Some(2), None);
    assert_eq!(repeat, Ok((UNCHANGED, Left::Holds(2))));
}

#[test]
fn a_release_of_all_holds_by_one_who_has_none_says_so_and_changes_nothing() {
    for (view, token) in [
        (FREE, None),
        (THEIRS, None),
        (FREE, Some(7)),
        (THEIRS, Some(7)),
        (mine(1, 8), Some(7)),
        (mine(1, 0), Some(7)),
    ] {
        let none = try_release(view, Some(0), token);
        assert_eq!(none, Ok((UNCHANGED, Left::NoneBefore)));
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
        let (change, grant) = try_renew(mine(2, 7), ttl, None).unwrap();
        let update = Update {
            deadline: Some(Deadline(1_000_000 + ttl)),
            shortened: ttl < 30_000,
            ..Update::default()
        };
        assert_eq!(change, Change::Update(update));
        assert_eq!((grant.holds, grant.ttl), (2, Millis(ttl)));
    }
    let same = try_renew(mine(2, 7), 30_000, None);
    assert_eq!(same.unwrap().0, UNCHANGED);
}

/// A hold that began `age` ms ago and has 30 s left.
fn aged(age: i64) -> Hold {
    let start = Now(NOW.0 - age * 1000);
    Hold {
        holds: 1,
        fence: Token::new(start.0).map(|token| Fence::new(token, start)),
        deadline: Deadline(1_030_000),
    }
}

/// The time left after a call for 40 s, where a hold may last for a minute.
fn left_after<C>(call: impl FnOnce(&Limits, &mut Tokens) -> Result<(C, Grant), Error>) -> i64 {
    let limits = Limits {
        hold: Some(Millis(60_000)),
        ..Limits::NONE
    };
    call(&limits, &mut Tokens::new()).unwrap().1.ttl.0
}

#[test]
fn no_call_extends_a_hold_beyond_its_longest_and_none_takes_away_what_it_has() {
    for (age, left) in [
        (0, 40_000),
        (20_000, 40_000),
        (20_001, 39_999),
        (30_000, 30_000),
        (99_000, 30_000),
    ] {
        let view = View::Mine(aged(age));
        let request = Acquire {
            ttl: Millis(40_000),
            holds: None,
            token: None,
        };
        let reentered = left_after(|limits, tokens| acquire(&view, &request, NOW, limits, tokens));
        assert_eq!(reentered, left, "reentered after {age}");
        let renewed =
            left_after(|limits, tokens| renew(&view, Millis(40_000), None, NOW, limits, tokens));
        assert_eq!(renewed, left, "renewed after {age}");
    }
}

#[test]
fn a_renewal_that_asks_for_less_gets_it_however_old_the_hold_is() {
    for age in [0, 45_000, 99_000] {
        let view = View::Mine(aged(age));
        let left =
            left_after(|limits, tokens| renew(&view, Millis(500), None, NOW, limits, tokens));
        assert_eq!(left, 500, "after {age}");
    }
}

#[test]
fn a_new_hold_is_told_the_time_that_it_really_has() {
    let request = Acquire {
        ttl: Millis(90_000),
        holds: None,
        token: None,
    };
    assert_eq!(
        left_after(|limits, tokens| acquire(&FREE, &request, NOW, limits, tokens)),
        60_000
    );
}

#[test]
fn a_hold_that_redisson_made_begins_when_it_is_given_a_token() {
    let mut hold = aged(99_000);
    hold.fence = None;
    let view = View::Mine(hold);
    let left = left_after(|limits, tokens| renew(&view, Millis(90_000), None, NOW, limits, tokens));
    assert_eq!(left, 60_000);
}

#[test]
fn the_servers_renewal_never_shortens_a_lease() {
    for (ttl, deadline) in [
        (500, None),
        (30_000, None),
        (30_001, Some(Deadline(1_030_001))),
    ] {
        let update = extend(&aged(0), Millis(ttl), NOW, &Limits::NONE);
        let extended = Update {
            deadline,
            ..Update::default()
        };
        assert_eq!(update, extended);
    }
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
        assert_eq!(try_renew(view, 9, token).map(|_| ()), result);
    }
}

#[test]
fn a_holder_is_told_of_no_more_than_the_longest_lease() {
    let limits = Limits {
        lease: Millis(20_000),
        hold: None,
    };
    let request = Acquire {
        ttl: Millis(5000),
        holds: None,
        token: None,
    };
    // What stands, 30 seconds, is what the clock of another server makes of a shorter lease.
    let (change, grant) = acquire(&mine(1, 7), &request, NOW, &limits, &mut Tokens::new()).unwrap();
    assert_eq!(grant.ttl, Millis(20_000));
    let update = Update {
        holds: Some(2),
        ..Update::default()
    };
    assert_eq!(change, Change::Update(update));
}
