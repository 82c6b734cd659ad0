"""ReentrantLock for blocking code."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import weakref
from types import SimpleNamespace, TracebackType
from typing import Any, Callable, Iterator, List, Optional, Type, Union

from . import _rules as rules
from ._held import Held
from ._hold import Hold, now
from ._links import Links, links_of
from ._options import Options, owner_of, wait_until

log = logging.getLogger("redis_reentrant_lock")

Number = Union[int, float]

# The lock objects that threads share as one holder.
_shared: "weakref.WeakSet[ReentrantLock]" = weakref.WeakSet()


class ReentrantLock(Options):
    """A lock of the server's module, in place of redis-py's `Lock`: `client.lock(name, lock_class=ReentrantLock)`.

    The arguments mean what they mean there. The differences:

    - `timeout=None` binds the lock to a connection of its own (a session). The server renews it while this process
      lives, and frees it when the process dies. A `timeout` is a lease in seconds, which ends unless it is renewed.
    - The lock is reentrant: who holds it may `acquire()` it again, and has to `release()` it as often. Who holds it is
      the calling thread, or with `thread_local=False` whoever has this object.
    - `sleep` is not used. A waiter sleeps in the server's queue, and is served in order.

    `session=True` with a `timeout`: a session whose lease is that long (at least one second). It is how long the lock
    outlives a server that is not reachable. `session=False` needs a `timeout`. `auto_renew=True`: a lock with a
    `timeout` is renewed in the background until it is released. `idle_timeout`: the server's `timeout` in seconds, if
    the user may not call `CONFIG GET timeout`.
    """

    def __init__(
        self,
        redis: Any,
        name: Any,
        timeout: Optional[Number] = None,
        sleep: Number = 0.1,
        blocking: bool = True,
        blocking_timeout: Optional[Number] = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
        *,
        session: Optional[bool] = None,
        auto_renew: bool = False,
        idle_timeout: Optional[Number] = None,
    ) -> None:
        super().__init__(
            redis, name, timeout, sleep, blocking, blocking_timeout, thread_local, raise_on_release_error,
            session, auto_renew, idle_timeout,
        )  # fmt: skip
        # The owner's id of the hold as `token`, where redis-py's Lock has it.
        self.local: Any = threading.local() if self.thread_local else SimpleNamespace()
        self.local.token = None
        self._links: Links = links_of(redis)
        self._turn: Any = None
        self._callbacks: List[Callable[["ReentrantLock"], object]] = []
        if not self.thread_local:
            self._turn = threading.RLock()
            _shared.add(self)

    def _hold(self) -> Optional[Held]:
        held: Optional[Held] = getattr(self.local, "hold", None)
        if held is not None and held.pid != os.getpid():
            self._forget()  # it is the parent's
            return None
        return held

    def _forget(self) -> None:
        self.local.hold = None
        self.local.token = None

    @property
    def token(self) -> Optional[int]:
        """The fencing token of the hold; None if the lock is not held. Hand it to what the lock protects."""
        held = self._hold()
        return held.hold.token if held is not None else None

    @property
    def holds(self) -> int:
        """How often the lock is held and has to be released."""
        held = self._hold()
        return held.hold.count if held is not None else 0

    @property
    def lost(self) -> threading.Event:
        """Set as soon as it is known that the present hold is lost. A later hold has another event."""
        held = self._hold()
        if held is not None:
            return held.event
        if not hasattr(self.local, "unheld"):
            self.local.unheld = threading.Event()
        return self.local.unheld  # type: ignore[no-any-return]

    def on_lost(self, callback: Callable[["ReentrantLock"], object]) -> Callable[["ReentrantLock"], object]:
        """Has `callback(lock)` called, in a thread of its own, when a hold of this object is lost. A decorator too."""
        self._callbacks.append(callback)
        return callback

    def acquire(
        self,
        sleep: Optional[Number] = None,
        blocking: Optional[bool] = None,
        blocking_timeout: Optional[Number] = None,
        token: Union[str, bytes, None] = None,
    ) -> bool:
        """True once the lock is held; False if it stayed busy for `blocking_timeout` seconds.

        `token`: the owner's id, instead of a random one. Never use one twice.
        Raises LockNotOwnedError if this is a reentry and the lock was lost.
        """
        until = wait_until(
            self.blocking if blocking is None else blocking,
            self.blocking_timeout if blocking_timeout is None else blocking_timeout,
        )
        owner = owner_of(self.redis, token)
        with self._alone(until) as alone:
            if not alone:
                return False
            held = self._hold()
            if held is not None:
                if token is not None and owner != held.hold.owner:
                    raise ValueError("token must be left out, or be that of the present hold, when the lock is held")
                held.reenter()
                return True
            return self._take(owner, until)

    @contextlib.contextmanager
    def _alone(self, until: Optional[float]) -> Iterator[bool]:
        """Threads that are one holder call one after the other. False if another one is at it until then."""
        turn = self._turn
        if turn is None:
            yield True
            return
        left = 0.0 if until is None else max(until - now(), 0.0)
        if self._hold() is not None:  # the other one does not wait for the lock, so it is ready soon
            left = max(left, self._links.flows.attempt)
        alone: bool = turn.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        try:
            yield alone
        finally:
            if alone:
                turn.release()

    def _take(self, owner: bytes, until: Optional[float]) -> bool:
        hold = Hold(self.name, owner, self._ttl, self.session, self._idle)
        held = Held(self, hold)
        try:
            if not self._links.run(self._links.flows.acquire(hold, until)):
                return False
            held.begin()
            self.local.hold = held
            self.local.token = hold.owner
            return True
        except BaseException:
            if hold.token and not hold.lost:  # granted, and then interrupted
                self._forget()
                held.abandon()
            raise

    def do_acquire(self, token: Union[str, bytes]) -> bool:
        """One attempt that does not wait."""
        return self.acquire(blocking=False, token=token)

    def release(self) -> None:
        """Gives one hold back; the last one frees the lock. Raises LockNotOwnedError if the lock had been lost."""
        held = self._hold()
        if held is None:
            raise self._library.error(
                "the lock is not held here: acquire() it first, and release() it as often as it was acquired",
                self.name,
            )
        self.do_release(held.hold.owner)

    def do_release(self, expected_token: Union[str, bytes]) -> None:
        self._held_under(expected_token)  # if it is not, another thread may wait for the lock, for any time
        with self._alone(math.inf):
            held = self._held_under(expected_token)
            try:
                held.release()
            finally:
                if held.hold.ended:
                    self._forget()

    def _held_under(self, token: Union[str, bytes]) -> Held:
        held = self._hold()
        if held is None or held.hold.owner != owner_of(self.redis, token):
            raise self._library.lost("the lock is not held under this token", self.name)
        return held

    def extend(self, additional_time: Number, replace_ttl: bool = False) -> bool:
        """Makes the lease `additional_time` seconds longer, or with `replace_ttl` that long from now."""
        held = self._extendable("extend")
        return held.renew(self._extended(held.hold, additional_time, replace_ttl))

    def do_extend(self, additional_time: Number, replace_ttl: bool) -> bool:
        return self.extend(additional_time, replace_ttl)

    def reacquire(self) -> bool:
        """Sets the lease back to `timeout`, from now."""
        return self._extendable("reacquire").renew(self._ttl)

    def do_reacquire(self) -> bool:
        return self.reacquire()

    def _extendable(self, what: str) -> Held:
        held = self._hold()
        if held is None:
            raise self._library.error(f"cannot {what} a lock that is not held: acquire() it first", self.name)
        self._check_timeout(what)
        return held

    def locked(self) -> bool:
        """Whether anybody holds the lock, by LOCK.INFO."""
        return self._links.run(self._links.flows.ask(("LOCK.INFO", self.name), self.name)) is not None

    def owned(self) -> bool:
        """Whether the lock is held here, by LOCK.ASSERT. It may be over a moment later: see `token`."""
        held = self._hold()
        if held is None or not held.hold.alive():
            return False
        hold = held.hold
        args = ("LOCK.ASSERT", self.name, hold.owner, "TOKEN", hold.token)
        try:
            self._links.run(self._links.flows.ask(args, self.name))
        except self._library.response_error as error:
            if rules.classify(self._library, error) is rules.Kind.NOT_HELD:
                return False
            raise
        return True

    def __enter__(self) -> "ReentrantLock":
        if self.acquire():
            return self
        raise self._library.error(
            f"the lock {self.name!r} stayed busy: wait longer (blocking_timeout), or try again later", self.name
        )

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            self.release()
        except Exception as error:
            if exc_value is not None:
                log.warning("while %r was handled: %s", exc_value, error)  # must not hide the error of the work
            elif self.raise_on_release_error or not isinstance(error, self._library.lock_error):
                raise
            else:
                log.warning("%s", error)


def _forked() -> None:
    """A thread of the parent may have had the turn. It does not exist in the child."""
    for lock in list(_shared):
        lock._turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
