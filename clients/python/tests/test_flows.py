"""The repeats, step by step, without a server."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
import redis

from redis_reentrant_lock import _rules as rules
from redis_reentrant_lock._flows import Call, Flow, Flows, Give, Outcome, Pause
from redis_reentrant_lock._hold import Hold, now
from redis_reentrant_lock._library import Library

LIBRARY = Library("redis")
FLOWS = Flows(LIBRARY, 5.0)


class Link:
    idle = None


def play(flow: Flow, *answers: Any) -> Tuple[List[Any], Any]:
    """The steps of a flow, and what it returns; `answers` are the replies or errors of its calls, in order."""
    steps: List[Any] = []
    left = list(answers)
    result = None
    while True:
        try:
            step = flow.send(result)
        except StopIteration as end:
            assert not left
            return steps, end.value
        steps.append(step)
        result = None
        if isinstance(step, Call):
            answer = left.pop(0)
            failed = isinstance(answer, Exception)
            result = Outcome(
                now(),
                reply=None if failed else answer,
                error=answer if failed else None,
                kind=rules.classify(LIBRARY, answer) if failed else None,
                link=None if failed else Link(),
                written=True,
            )


def sent(steps: List[Any]) -> List[str]:
    return [" ".join(map(str, step.args)).replace("b'o'", "o") for step in steps if isinstance(step, Call)]


def held(session: bool = False, count: int = 1) -> Hold:
    hold = Hold("k", b"o", 10_000, session)
    hold.confirm(rules.Reply(True, count, 7, 10.0), now())
    hold.link = Link() if session else None
    return hold


CUT = redis.exceptions.ConnectionError("cut")


def test_a_lock_that_is_busy_after_a_lost_reply_is_released_all_the_same() -> None:
    steps, got = play(FLOWS.acquire(Hold("k", b"o", 10_000, False), None), CUT, [0, 0, 0, 500], 0)
    assert got is False
    assert sent(steps) == ["LOCK.ACQUIRE k o 10000 HOLDS 1"] * 2 + ["LOCK.RELEASE k o HOLDS 0"]


def test_a_release_that_is_answered_by_minus_one_at_first_says_that_the_lock_was_lost() -> None:
    hold = held()
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        play(FLOWS.release(hold), -1)
    assert hold.lost


def test_a_release_that_is_answered_by_minus_one_after_a_lost_reply_has_succeeded() -> None:
    hold = held()
    play(FLOWS.release(hold), CUT, -1)
    assert (hold.lost, hold.count) == (None, 0)


def test_a_release_that_was_refused_and_sent_again_has_not_succeeded_by_minus_one() -> None:
    hold = held()
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        play(FLOWS.release(hold), redis.exceptions.ReadOnlyError("You can't write against a replica"), -1)


def test_a_reentry_that_may_have_counted_is_given_back_by_the_release() -> None:
    hold = held()
    with pytest.raises(redis.exceptions.ResponseError):
        play(FLOWS.reenter(hold), CUT, redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."))
    assert hold.count == 1
    steps, _ = play(FLOWS.release(hold), 1, 0)
    assert sent(steps) == ["LOCK.RELEASE k o HOLDS 1 TOKEN 7", "LOCK.RELEASE k o HOLDS 0 TOKEN 7"]
    assert (hold.lost, hold.count) == (None, 0)


def test_the_release_of_a_session_goes_on_on_another_connection() -> None:
    hold = held(session=True)
    first = hold.link
    steps, _ = play(FLOWS.release(hold), CUT, 0)
    calls = [step for step in steps if isinstance(step, Call)]
    assert [call.link for call in calls] == [first, None]
    assert any(isinstance(step, Give) and step.close and step.link is first for step in steps)


def test_a_redirect_is_followed_without_a_pause_but_not_for_ever() -> None:
    moved = redis.exceptions.MovedError("1 127.0.0.1:7001")
    steps, _ = play(FLOWS.renew(held(), 10_000), moved, [1, 1, 7, 10_000])
    assert [step.address for step in steps] == [None, ("127.0.0.1", 7001)]
    steps, _ = play(FLOWS.renew(held(), 10_000), *[moved] * 20, [1, 1, 7, 10_000])
    assert any(isinstance(step, Pause) for step in steps)


def test_an_ask_is_followed_for_one_call() -> None:
    ask = redis.exceptions.AskError("1 127.0.0.1:7001")
    steps, _ = play(FLOWS.renew(held(), 10_000), ask, CUT, [1, 1, 7, 10_000])
    calls = [step for step in steps if isinstance(step, Call)]
    assert [(call.address, call.asking) for call in calls] == [
        (None, False),
        (("127.0.0.1", 7001), True),
        (None, False),
    ]


def test_the_pauses_are_random_and_grow_to_one_second() -> None:
    first = {rules.backoff(0) for _ in range(100)}
    assert len(first) > 90 and 0.05 <= min(first) and max(first) <= 0.1
    assert 0.5 <= rules.backoff(20) <= 1.0


def test_a_lock_is_held_until_its_lease_is_over_counted_from_the_sending() -> None:
    hold = Hold("k", b"o", 9_000, False)
    hold.confirm(rules.Reply(True, 1, 7, 9.0), 100.0)
    assert (hold.until, hold.check_at) == (109.0, 103.0)
    hold.confirm(rules.Reply(True, 1, 7, 9.0), 90.0)  # of an earlier call
    assert hold.until == 109.0
