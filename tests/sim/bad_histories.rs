//! Bad histories, made up: each check finds its own.

use crate::check::*;

const PROMISES: Promises = Promises {
    one_owner: true,
    unknown_clock: 0,
    tokens_across_servers: true,
    counts: true,
    served_within: 1000,
    kept_linger: 1,
};

/// A history whose entries are a second apart.
fn kinds(whats: Vec<What>) -> Vec<Kind> {
    kinds_by(whats, &PROMISES)
}

fn kinds_by(whats: Vec<What>, promises: &Promises) -> Vec<Kind> {
    let entries = whats.into_iter().enumerate();
    let history: Vec<Entry> = entries
        .map(|(number, what)| Entry {
            at: number as Us * 1_000_000,
            what,
        })
        .collect();
    let found = check(&history, promises);
    found.into_iter().map(|violation| violation.kind).collect()
}

fn acquire(ttl: i64) -> Op {
    Op::Acquire {
        ttl,
        wait: None,
        session: None,
        holds: None,
        token: None,
    }
}

fn sent(call: Call, owner: Owner, op: Op) -> What {
    What::Sent {
        call,
        owner,
        conn: owner,
        server: 0,
        lock: 0,
        op,
    }
}

fn grant(holds: u32, token: i64, ttl: i64) -> Reply {
    Reply::Grant { holds, token, ttl }
}

fn heard(call: Call, reply: Reply) -> What {
    What::Heard { call, reply }
}

fn answered(call: Call, reply: Reply) -> What {
    What::Answered { call, reply }
}

#[test]
fn a_good_history_is_found_to_be_good() {
    let release = Op::Release {
        holds: Some(0),
        token: Some(7),
    };
    let good = kinds(vec![
        sent(0, 0, acquire(60_000)),
        answered(0, grant(1, 7, 60_000)),
        heard(0, grant(1, 7, 60_000)),
        sent(1, 1, acquire(60_000)),
        What::Waits {
            call: 1,
            until: None,
        },
        sent(2, 0, release),
        answered(1, grant(1, 8, 60_000)),
        heard(1, grant(1, 8, 60_000)),
        answered(2, Reply::Left(0)),
        heard(2, Reply::Left(0)),
        What::Quiet,
    ]);
    assert_eq!(good, []);
}

#[test]
fn two_owners_at_once() {
    let calls = |ttl| {
        kinds(vec![
            sent(0, 0, acquire(ttl)),
            heard(0, grant(1, 7, ttl)),
            sent(1, 1, acquire(60_000)),
            heard(1, grant(1, 8, 60_000)),
        ])
    };
    // The second grant is heard three seconds after the first call was sent.
    assert_eq!(calls(3001), [Kind::TwoOwners]);
    assert_eq!(calls(3000), []);
}

#[test]
fn a_session_is_relied_on_as_long_as_its_leases() {
    let session = Op::Acquire {
        ttl: 1000,
        wait: None,
        session: Some(0),
        holds: None,
        token: None,
    };
    let calls = |closed| {
        let closed = What::Closed {
            conn: closed,
            by_client: false,
        };
        kinds(vec![
            sent(0, 0, session),
            heard(0, grant(1, 7, 1000)),
            What::Lease {
                lock: 0,
                token: 7,
                until: 9_000_000,
            },
            closed,
            sent(1, 1, acquire(60_000)),
            heard(1, grant(1, 8, 60_000)),
        ])
    };
    assert_eq!(calls(5), [Kind::TwoOwners]);
    assert_eq!(calls(0), []);
}

#[test]
fn a_hold_that_its_owner_is_granted_anew_though_it_has_it() {
    let found = kinds(vec![
        sent(0, 0, acquire(60_000)),
        heard(0, grant(1, 7, 60_000)),
        sent(1, 0, acquire(60_000)),
        heard(1, grant(1, 8, 60_000)),
    ]);
    assert_eq!(found, [Kind::LeaseCutShort, Kind::HoldCount][..1]);
}

#[test]
fn tokens_that_fall_or_come_twice() {
    let second = |token| {
        kinds(vec![
            sent(0, 0, acquire(1)),
            answered(0, grant(1, 7, 1)),
            sent(1, 1, acquire(1)),
            answered(1, grant(1, token, 1)),
        ])
    };
    assert_eq!(second(6), [Kind::TokenOrder]);
    assert_eq!(second(7), [Kind::TokenReused]);
    assert_eq!(second(8), []);
}

#[test]
fn a_token_that_falls_though_the_larger_one_was_known() {
    let second = |sent_at: usize, token| {
        let mut calls = vec![
            sent(0, 0, acquire(1)),
            heard(0, grant(1, 7, 1)),
            heard(1, grant(1, token, 1)),
        ];
        calls.insert(sent_at, sent(1, 1, acquire(1)));
        kinds(calls)
    };
    assert_eq!(second(2, 6), [Kind::TokenOrder]);
    assert_eq!(second(2, 7), [Kind::TokenReused]);
    assert_eq!(second(2, 8), []);
    // The server may have granted it before.
    assert_eq!(second(1, 6), []);
}

#[test]
fn a_second_owner_after_what_may_lose_locks_breaks_no_promise() {
    let calls = |lost: bool| {
        let mut whats = vec![
            sent(0, 0, acquire(60_000)),
            heard(0, grant(1, 7, 60_000)),
            sent(1, 1, acquire(60_000)),
            heard(1, grant(1, 8, 60_000)),
            sent(2, 2, acquire(60_000)),
            heard(2, grant(1, 9, 60_000)),
        ];
        if lost {
            whats.splice(2..2, [What::MayLose, What::Keeps]);
        }
        kinds(whats)
    };
    assert_eq!(calls(false), [Kind::TwoOwners, Kind::TwoOwners]);
    // What is granted afterwards is believed again.
    assert_eq!(calls(true), [Kind::TwoOwners]);
}

#[test]
fn a_hold_that_comes_back_with_what_was_swapped_away_has_its_count_again() {
    let last = |holds, token, back: bool| {
        let mut whats = vec![
            sent(0, 0, acquire(60_000)),
            heard(0, grant(1, 7, 60_000)),
            What::MayLose,
            sent(1, 0, acquire(60_000)),
            heard(1, grant(1, 8, 60_000)),
            sent(2, 0, acquire(60_000)),
            heard(2, grant(2, 7, 60_000)),
            What::Keeps,
            sent(3, 0, acquire(60_000)),
            heard(3, grant(3, 7, 60_000)),
            sent(4, 0, acquire(60_000)),
            heard(4, grant(holds, token, 60_000)),
        ];
        if !back {
            whats.retain(|what| !matches!(what, What::MayLose | What::Keeps));
        }
        kinds(whats)
    };
    assert_eq!(last(4, 7, true), []);
    assert!(last(4, 7, false).contains(&Kind::HoldCount));
    // What is told after that counts again.
    assert_eq!(last(5, 7, true), [Kind::HoldCount]);
}

#[test]
fn a_hold_that_was_deleted_and_is_told_of_again() {
    let found = kinds(vec![
        sent(0, 0, acquire(60_000)),
        answered(0, grant(1, 7, 60_000)),
        What::Deleted {
            server: 0,
            lock: 0,
            token: 7,
        },
        sent(1, 0, acquire(60_000)),
        answered(1, grant(2, 7, 60_000)),
    ]);
    assert_eq!(found, [Kind::Revived]);
}

#[test]
fn a_wait_that_ends_with_the_lock_without_the_right_to_it() {
    let granted = |may| {
        kinds(vec![
            sent(0, 0, acquire(1)),
            What::Waits {
                call: 0,
                until: None,
            },
            What::Rights { owner: 0, may },
            answered(0, grant(1, 7, 1)),
        ])
    };
    assert_eq!(granted(false), [Kind::WithoutRights]);
    assert_eq!(granted(true), []);
}

#[test]
fn counts_that_are_not_what_the_calls_make_of_them() {
    let second = |holds| {
        kinds(vec![
            sent(0, 0, acquire(60_000)),
            heard(0, grant(1, 7, 60_000)),
            sent(1, 0, acquire(60_000)),
            heard(1, grant(holds, 7, 60_000)),
        ])
    };
    assert_eq!(second(1), [Kind::HoldCount]);
    assert_eq!(second(2), []);
    assert_eq!(second(3), [Kind::HoldCount]);
}

#[test]
fn a_lease_that_was_over_when_the_server_learned_that_its_connection_is_closed_does_not_linger() {
    let session = |ttl| Op::Acquire {
        ttl,
        wait: None,
        session: Some(9000),
        holds: None,
        token: None,
    };
    let next_one = |ttl| {
        kinds(vec![
            sent(0, 0, session(ttl)),
            heard(0, grant(1, 7, ttl)),
            What::Closed {
                conn: 0,
                by_client: true,
            },
            What::Gone { conn: 0 },
            sent(1, 1, acquire(60_000)),
            heard(1, grant(1, 8, 60_000)),
        ])
    };
    assert_eq!(next_one(1500), []);
    // It was not over when the client closed it, but when the server learned of that.
    assert_eq!(next_one(2500), []);
    assert_eq!(next_one(3500), [Kind::TwoOwners]);
}

#[test]
fn a_master_that_is_cut_off_keeps_a_lock_for_a_linger_only_where_it_has_written_that() {
    let cut_off = Promises {
        kept_linger: 2500,
        ..PROMISES
    };
    let session = Op::Acquire {
        ttl: 3500,
        wait: None,
        session: Some(9000),
        holds: None,
        token: None,
    };
    let next_one = |written: Option<What>| {
        let mut whats = vec![
            sent(0, 0, session),
            heard(0, grant(1, 7, 3500)),
            What::Closed {
                conn: 0,
                by_client: true,
            },
            What::Gone { conn: 0 },
        ];
        whats.extend(written);
        whats.push(sent(1, 1, acquire(60_000)));
        whats.push(heard(1, grant(1, 8, 60_000)));
        kinds_by(whats, &cut_off)
    };
    let linger = What::Lease {
        lock: 0,
        token: 7,
        until: 12_000_000,
    };
    assert_eq!(next_one(None), []);
    assert_eq!(next_one(Some(linger)), [Kind::TwoOwners]);
}

#[test]
fn waits_out_of_order_as_far_as_clients_can_tell() {
    let waiting = What::IsWaiting { call: 1 };
    let [older, newer] = [6, 7];
    // Owner 1 waits, owner 2 asks, and each is granted the lock with a token.
    let served = |first: Vec<What>, tokens: [i64; 2]| {
        let mut whats = first;
        whats.extend([
            sent(3, 2, acquire(1)),
            heard(3, grant(1, tokens[1], 1)),
            heard(1, grant(1, tokens[0], 1)),
            What::Quiet,
        ]);
        let mut found = kinds(whats);
        found.retain(|kind| *kind == Kind::Overtaken);
        found
    };
    let before = || vec![sent(1, 1, acquire(1)), waiting.clone()];
    assert_eq!(served(before(), [newer, older]), [Kind::Overtaken]);
    assert_eq!(served(before(), [older, newer]), []);
    // It is not certain that it waited.
    let unsure = vec![sent(1, 1, acquire(1))];
    assert_eq!(served(unsure, [newer, older]), []);
    // The token is one that owner 2 may have had before: an earlier call of its was not answered.
    let lost = vec![
        sent(0, 2, acquire(1)),
        sent(1, 1, acquire(1)),
        waiting.clone(),
    ];
    assert_eq!(served(lost, [newer, older]), []);
}

#[test]
fn waits_out_of_order_and_waits_that_end_late() {
    let wait = |call, until| What::Waits { call, until };
    let first_served = |first| {
        kinds(vec![
            sent(0, 0, acquire(1)),
            wait(0, None),
            sent(1, 1, acquire(1)),
            wait(1, None),
            answered(first, grant(1, 7, 1)),
        ])
    };
    assert_eq!(first_served(1), [Kind::Overtaken]);
    assert_eq!(first_served(0), []);
    let timed_out = |until| {
        let busy = grant(0, 0, 0);
        kinds(vec![
            sent(0, 0, acquire(1)),
            wait(0, Some(until)),
            answered(0, busy),
        ])
    };
    assert_eq!(timed_out(1_900_000), [Kind::LateTimeout]);
    assert_eq!(timed_out(1_999_999), []);
}

#[test]
fn calls_that_are_answered_twice_or_never() {
    let ok = || answered(0, Reply::Ok);
    let assert = Op::Assert { token: None };
    assert_eq!(
        kinds(vec![sent(0, 0, assert), ok(), ok()]),
        [Kind::AnsweredTwice]
    );
    let never = kinds(vec![sent(0, 0, assert), What::Quiet]);
    assert_eq!(never, [Kind::NotAnswered]);
}

#[test]
fn what_is_seen_from_outside() {
    let text = || "x".to_owned();
    let free = |us| What::FreeWhileWaitedFor {
        server: 0,
        lock: 0,
        us,
    };
    let nobodys = What::OwnedByNobody {
        server: 0,
        lock: 0,
        token: 7,
    };
    assert_eq!(kinds(vec![free(1001)]), [Kind::FreeWhileWaitedFor]);
    assert_eq!(kinds(vec![free(1000)]), []);
    assert_eq!(kinds(vec![nobodys]), [Kind::OwnedByNobody]);
    let left = What::LeftOver {
        server: 0,
        text: text(),
    };
    let differs = What::Differs {
        server: 0,
        text: text(),
    };
    assert_eq!(kinds(vec![left, differs]), [Kind::LeftOver, Kind::Differs]);
}
