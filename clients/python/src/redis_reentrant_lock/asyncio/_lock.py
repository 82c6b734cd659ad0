"""ReentrantLock for asyncio."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from types import SimpleNamespace, TracebackType
from typing import Any, Callable, Dict, List, Optional, Type, Union

from .. import _rules as rules
from .._hold import Hold, now
from .._options import Options, owner_of, wait_until
from ._held import Held
from ._links import Links, in_background, links_of

log = logging.getLogger("redis_reentrant_lock")

Number = Union[int, float]


class ReentrantLock(Options):
    """A lock of the server's module, in place of `redis.asyncio`'s `Lock`.

    As `redis_reentrant_lock.ReentrantLock`, with `await`, and with one difference in who holds the lock: it is the
    task that acquired it. Another task that acquires this object waits. So tasks that share it exclude each other.
    With `thread_local=False` it is whoever has this object: every task reenters it.

    `release()`, `extend()` and the rest mean the hold of the calling task; if it has none, the only hold of this
    object. So a task can release what another one acquired.
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
        self._held: Dict[Any, Held] = {}
        self._unheld: Optional[asyncio.Event] = None
        self._turn: Optional[asyncio.Lock] = None
        self._turn_pid = 0
        self._callbacks: List[Callable[["ReentrantLock"], object]] = []

    def _key(self) -> Any:
        return asyncio.current_task() if self.thread_local else None

    def _own(self) -> Optional[Held]:
        """The hold of the calling task."""
        held = self._held.get(self._key())
        if held is not None and held.pid != os.getpid():
            self._held.clear()  # they are the parent's
            return None
        return held

    def _any(self) -> Optional[Held]:
        """The hold of the calling task, or the only one."""
        held = self._own()
        if held is None and len(self._held) == 1:
            only = next(iter(self._held.values()))
            if only.pid == os.getpid() and only.loop is asyncio.get_running_loop():
                return only
        return held

    def _forget(self, held: Held) -> None:
        for key in [key for key, value in self._held.items() if value is held]:
            del self._held[key]
        self.local.token = None

    @property
    def token(self) -> Optional[int]:
        """The fencing token of the hold; None if the lock is not held. Hand it to what the lock protects."""
        held = self._any()
        return held.hold.token if held is not None else None

    @property
    def holds(self) -> int:
        """How often the lock is held and has to be released."""
        held = self._any()
        return held.hold.count if held is not None else 0

    @property
    def lost(self) -> asyncio.Event:
        """Set as soon as it is known that the present hold is lost. A later hold has another event."""
        held = self._any()
        if held is not None:
            return held.event
        if self._unheld is None:
            self._unheld = asyncio.Event()
        return self._unheld

    def on_lost(self, callback: Callable[["ReentrantLock"], object]) -> Callable[["ReentrantLock"], object]:
        """Has `callback(lock)` called in the loop when a hold of this object is lost; it may be a coroutine function.

        A decorator too.
        """
        self._callbacks.append(callback)
        return callback

    async def acquire(
        self,
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
        if self.thread_local:
            return await self._acquire(owner, token is not None, until)
        turn = self._turn
        if turn is None or self._turn_pid != os.getpid():  # a task of the parent may have had it
            turn, self._turn_pid = asyncio.Lock(), os.getpid()
            self._turn = turn
        left = 0.0 if until is None else max(until - now(), 0.0)
        if self._own() is not None:  # another task does not wait for the lock, so it is ready soon
            left = max(left, self._links.flows.attempt)
        try:
            # With no time at all, a turn that is free would not be taken either.
            await asyncio.wait_for(turn.acquire(), None if left == math.inf else max(left, 0.001))
        except asyncio.TimeoutError:
            return False
        try:
            return await self._acquire(owner, token is not None, until)
        finally:
            turn.release()

    async def _acquire(self, owner: bytes, given: bool, until: Optional[float]) -> bool:
        held = self._own()
        if held is not None:
            if given and owner != held.hold.owner:
                raise ValueError("token must be left out, or be that of the present hold, when the lock is held")
            await held.reenter()
            return True
        hold = Hold(self.name, owner, self._ttl, self.session, self._idle)
        try:
            if not await self._links.run(self._links.flows.acquire(hold, until)):
                return False
        except BaseException:
            if hold.token and not hold.lost:  # granted, and then cancelled
                in_background(Held(self, hold).abandon())
            raise
        held = self._held[self._key()] = Held(self, hold)
        self.local.token = hold.owner
        held.begin()
        return True

    async def do_acquire(self, token: Union[str, bytes]) -> bool:
        """One attempt that does not wait."""
        return await self.acquire(blocking=False, token=token)

    async def release(self) -> None:
        """Gives one hold back; the last one frees the lock. Raises LockNotOwnedError if the lock had been lost.

        If it is cancelled, the release goes on.
        """
        held = self._any()
        if held is None:
            raise self._library.error(
                "the lock is not held here: acquire() it first, and release() it as often as it was acquired",
                self.name,
            )
        await self.do_release(held.hold.owner)

    async def do_release(self, expected_token: Union[str, bytes]) -> None:
        held = self._any()
        if held is None or held.hold.owner != owner_of(self.redis, expected_token):
            raise self._library.lost("the lock is not held under this token", self.name)
        await held.release()

    async def extend(self, additional_time: Number, replace_ttl: bool = False) -> bool:
        """Makes the lease `additional_time` seconds longer, or with `replace_ttl` that long from now."""
        held = self._extendable("extend")
        return await held.renew(self._extended(held.hold, additional_time, replace_ttl))

    async def do_extend(self, additional_time: Number, replace_ttl: bool) -> bool:
        return await self.extend(additional_time, replace_ttl)

    async def reacquire(self) -> bool:
        """Sets the lease back to `timeout`, from now."""
        return await self._extendable("reacquire").renew(self._ttl)

    async def do_reacquire(self) -> bool:
        return await self.reacquire()

    def _extendable(self, what: str) -> Held:
        held = self._any()
        if held is None:
            raise self._library.error(f"cannot {what} a lock that is not held: acquire() it first", self.name)
        self._check_timeout(what)
        return held

    async def locked(self) -> bool:
        """Whether anybody holds the lock, by LOCK.INFO."""
        return await self._links.run(self._links.flows.ask(("LOCK.INFO", self.name), self.name)) is not None

    async def owned(self) -> bool:
        """Whether the lock is held here, by LOCK.ASSERT. It may be over a moment later: see `token`."""
        held = self._any()
        if held is None or not held.hold.alive():
            return False
        hold = held.hold
        args = ("LOCK.ASSERT", self.name, hold.owner, "TOKEN", hold.token)
        try:
            await self._links.run(self._links.flows.ask(args, self.name))
        except self._library.response_error as error:
            if rules.classify(self._library, error) is rules.Kind.NOT_HELD:
                return False
            raise
        return True

    async def __aenter__(self) -> "ReentrantLock":
        if await self.acquire():
            return self
        raise self._library.error(
            f"the lock {self.name!r} stayed busy: wait longer (blocking_timeout), or try again later", self.name
        )

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            await self.release()
        except Exception as error:
            if exc_value is not None:
                log.warning("while %r was handled: %s", exc_value, error)  # must not hide the error of the work
            elif self.raise_on_release_error or not isinstance(error, self._library.lock_error):
                raise
            else:
                log.warning("%s", error)
