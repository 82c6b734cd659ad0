"""The calls and their repeats, as generators that do no I/O themselves.

A flow yields a step and gets its outcome. The drivers in `_links` and `asyncio._links` carry the steps out, so that
each rule is written once for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Generator, Optional, Union

from . import _rules as rules
from ._hold import Hold, now
from ._library import Library
from ._rules import Address, Args, Kind


@dataclass
class Call:
    """Send `args`, and read the reply for `timeout` seconds (None: without limit)."""

    args: Args
    timeout: Optional[float]
    link: Any = None  # on this connection, else on a free one
    keep: bool = False  # hand a free one over to the flow when it has replied
    address: Optional[Address] = None
    asking: bool = False
    session: bool = False  # the connection is to hold a session: learn the server's `timeout` first
    # Sent on the same connection before it is closed, if the caller is interrupted.
    undo: Optional[Args] = None
    # The same on another connection: an earlier attempt whose reply was lost may have been granted.
    stray: Optional[Args] = None


@dataclass
class Outcome:
    """What came of a Call."""

    sent: float
    reply: Any = None
    error: Optional[Exception] = None
    kind: Optional[Kind] = None  # None: there is a reply
    link: Any = None
    written: bool = False  # the call may have reached the server


@dataclass
class Pause:
    """Wait for so many seconds, and find the master or the node of the key again."""

    seconds: float
    stray: Optional[Args] = None


@dataclass
class Give:
    """Give a connection back, or close it."""

    link: Any
    close: bool = False


Flow = Generator[Union[Call, Pause, Give], Any, Any]


class _Route:
    """Where the next attempt goes, and after what pause."""

    def __init__(self) -> None:
        self.address: Optional[Address] = None
        self.asking = False
        self._redirects = self._repeats = 0

    def follows(self, result: Outcome) -> bool:
        """True if the server named another node. The pause is left out, unless this goes on."""
        self.address, self.asking = None, False
        if result.error is None or result.kind not in (Kind.MOVED, Kind.ASK):
            self._redirects = 0
            return False
        self._redirects += 1
        if self._redirects > rules.REDIRECTS:
            return False
        self.address, self.asking = rules.address_of(result.error), result.kind is Kind.ASK
        return True

    def pause(self, left: float = math.inf) -> Pause:
        self._repeats += 1
        return Pause(min(rules.backoff(self._repeats - 1), max(left, 0)))


class Flows:
    """The flows of the locks of one client. `attempt`: the longest time for one call that does not wait."""

    def __init__(self, library: Library, attempt: float) -> None:
        self.library = library
        self.attempt = attempt

    def acquire(self, hold: Hold, wait_until: Optional[float]) -> Flow:
        """Takes the lock for `hold`: True, or False if it is busy. `wait_until` None: do not wait."""
        route, begun = _Route(), now()
        # Mostly a lock is free, so a lease is tried without a wait first.
        waiting = hold.session and wait_until is not None
        unknown = reached = False
        while True:
            undo = None if hold.session else rules.release(hold.key, hold.owner, 0)
            left = 0.0 if wait_until is None else wait_until - now()
            wait, timeout = None, self.attempt
            if waiting and left > 0:
                wait = 0 if left == math.inf else rules.milliseconds(left)
                timeout = left + rules.READ_MARGIN
            result: Outcome = yield Call(
                rules.acquire(hold.key, hold.owner, hold.ttl, hold.session, 1, wait=wait),
                None if timeout == math.inf else timeout,
                keep=True,
                address=route.address,
                asking=route.asking,
                session=hold.session,
                undo=undo,
                stray=undo if unknown else None,
            )
            reached = reached or result.written
            if result.kind is None:
                reply = rules.parse(result.reply)
                if reply.acquired:
                    if (yield from self._granted(hold, reply, result)):
                        return True
                    hold.owner = rules.new_owner()
                    unknown = False
                    continue
                yield Give(result.link)
                if wait is not None or left <= 0:
                    if unknown and undo:  # in a grace period it is busy to an owner that was granted it, too
                        yield Call(undo, min(self.attempt, 1.0))
                    return False
                waiting = True
                continue
            if route.follows(result):
                continue
            unknown = unknown or (result.kind is Kind.NO_REPLY and result.written)
            if result.kind in (Kind.REFUSED, Kind.NOT_HELD):
                give_up = True
            elif waiting and reached and wait_until is not None:
                give_up = now() >= wait_until
            else:  # a server that was never reached is an error soon, not a wait
                give_up = now() >= begun + rules.REPEAT_FOR
            if give_up:
                if unknown:
                    # Nobody uses this owner again: at worst the lock is held until its lease ends.
                    yield Call(rules.release(hold.key, hold.owner, 0), min(self.attempt, 1.0))
                assert result.error is not None
                raise rules.advice(self.library, result.error, "LOCK.ACQUIRE", hold.key)
            pause = route.pause(left if waiting and left > 0 else math.inf)
            pause.stray = undo if unknown else None
            yield pause

    def _granted(self, hold: Hold, reply: rules.Reply, result: Outcome) -> Flow:
        """False if the lock was lost before anybody here could know that it was granted."""
        hold.link, hold.idle = result.link, hold.idle or result.link.idle
        hold.confirm(reply, result.sent)
        link, route = result.link, _Route()
        stop = now() + min(rules.REPEAT_FOR, reply.ttl)
        # The lease began with the grant. If that may be long ago, a renewal tells until when it lasts.
        while now() - result.sent > reply.ttl / 10:
            args = rules.renew(hold.key, hold.owner, hold.ttl, hold.token)
            result = yield Call(args, self.attempt, link=link, keep=True, address=route.address, asking=route.asking)
            if result.kind is None:
                link = result.link
                hold.confirm(rules.parse(result.reply), result.sent)
                break
            if hold.session or result.kind is Kind.NOT_HELD or now() >= stop:
                yield Give(link, close=True)
                if not hold.session:
                    yield Call(rules.release(hold.key, hold.owner, 0, hold.token), self.attempt)
                hold.link = None
                return False
            yield Give(link, close=True)
            link = None
            if not route.follows(result):
                yield route.pause()
        hold.link = link if hold.session else None
        if not hold.session:
            yield Give(link)
        return True

    def reenter(self, hold: Hold) -> Flow:
        """One more hold. Raises, with `hold.lost` set, if the lock is lost."""
        # After a release that was refused, the server may have it already.
        wanted = max(hold.count + 1, hold.at_server)
        args = rules.acquire(hold.key, hold.owner, hold.ttl, hold.session, wanted, token=hold.token)
        undo = None if hold.session else rules.release(hold.key, hold.owner, wanted - 1, hold.token)
        hold.at_server = wanted  # even if this fails, and nobody learns whether it was counted
        yield from self._held(hold, args, "LOCK.ACQUIRE", undo)
        hold.count += 1

    def renew(self, hold: Hold, ttl: Optional[int]) -> Flow:
        """Sets the lease to `ttl` ms. Raises, with `hold.lost` set, if the lock is lost."""
        yield from self._held(hold, rules.renew(hold.key, hold.owner, ttl, hold.token), "LOCK.RENEW")

    def _held(self, hold: Hold, args: Args, command: str, undo: Optional[Args] = None) -> Flow:
        """A call of a holder, repeated until its lease is over. A session is lost with its connection."""
        route = _Route()
        while True:
            left = hold.left()
            if left <= 0:
                raise self._lost(hold, "its lease is over")
            result: Outcome = yield Call(
                args, min(self.attempt, left), link=hold.link, address=route.address, asking=route.asking, undo=undo
            )
            if result.kind is None:
                hold.extend(rules.parse(result.reply), result.sent)
                return
            assert result.error is not None
            if result.kind is Kind.NOT_HELD:
                raise self._lost(hold, str(result.error))
            if result.kind is Kind.REFUSED:
                raise rules.advice(self.library, result.error, command, hold.key)
            if hold.session and result.kind is not Kind.UNAVAILABLE:
                raise self._lost(hold, f"its connection ended ({result.error})")
            if not route.follows(result):
                yield route.pause(hold.left())

    def release(self, hold: Hold) -> Flow:
        """One hold less. Raises, with `hold.lost` set, if the lock had been lost.

        The caller has one less whatever the server says. What the server still has after a refusal is given back here
        too: one by one, since it counts down by no more.
        """
        hold.count -= 1
        while hold.at_server > hold.count:
            yield from self._give_back(hold, hold.at_server - 1)

    def _give_back(self, hold: Hold, keep: int) -> Flow:
        route = _Route()
        args = rules.release(hold.key, hold.owner, keep, hold.token)
        while True:
            left = hold.left()
            if left <= 0:
                lost = self._lost(hold, "its lease is over")
                if hold.maybe_released:
                    lost = self.library.error(
                        "the release got no reply until the lease was over: nothing is held any more", hold.key
                    )
                raise lost
            result: Outcome = yield Call(
                args, min(self.attempt, left), link=hold.link, address=route.address, asking=route.asking
            )
            if result.kind is None:
                if int(result.reply) < 0 and not hold.maybe_released:
                    raise self._lost(hold, "it had ended before its release")
                hold.at_server, hold.maybe_released = keep, False
                return
            assert result.error is not None
            if result.kind is Kind.NOT_HELD:
                raise self._lost(hold, str(result.error))
            if result.kind is Kind.REFUSED:
                raise rules.advice(self.library, result.error, "LOCK.RELEASE", hold.key)
            if result.kind is Kind.NO_REPLY and result.written:
                hold.maybe_released = True
            if hold.session and keep > 0 and result.kind is not Kind.UNAVAILABLE:
                raise self._lost(hold, f"its connection ended ({result.error})")
            if keep == 0 and hold.link is not None:
                # The end of the connection frees the lock too, but a half-open one ends late.
                yield Give(hold.link, close=True)
                hold.link = None
            if not route.follows(result):
                yield route.pause(hold.left())

    def ask(self, args: Args, key: object) -> Flow:
        """A call that only reads, repeated for some seconds."""
        route, stop = _Route(), now() + rules.REPEAT_FOR
        while True:
            result: Outcome = yield Call(args, self.attempt, address=route.address, asking=route.asking)
            if result.kind is None:
                return result.reply
            if route.follows(result):
                continue
            assert result.error is not None
            if result.kind in (Kind.REFUSED, Kind.NOT_HELD) or now() >= stop:
                raise rules.advice(self.library, result.error, str(args[0]), key)
            yield route.pause()

    def _lost(self, hold: Hold, why: str) -> Exception:
        hold.lost = hold.lost or why
        return self.library.lost(lost_text(hold), hold.key)


def lost_text(hold: Hold) -> str:
    name = hold.key.decode(errors="replace") if isinstance(hold.key, bytes) else str(hold.key)
    return (
        f"the lock {name!r} was lost: {hold.lost}. Another owner may hold it now. "
        "Stop the work; to go on, release() each hold and acquire() again"
    )
