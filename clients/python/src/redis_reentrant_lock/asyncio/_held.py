"""A hold of an asyncio lock object, with the task that watches it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Optional

from .. import _rules as rules
from .._hold import Hold, now
from ._links import in_background

if TYPE_CHECKING:
    from ._lock import ReentrantLock

log = logging.getLogger("redis_reentrant_lock")


class Held:
    """A hold of a lock object, with the task that watches it. One call at a time uses it."""

    def __init__(self, lock: ReentrantLock, hold: Hold) -> None:
        self.lock = lock
        self.hold = hold
        self.links = lock._links
        self.loop = asyncio.get_running_loop()
        self.event = asyncio.Event()
        self.pid = os.getpid()
        self.turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watch: Optional["asyncio.Task[None]"] = None

    def begin(self) -> None:
        if self.hold.link is not None:
            self.hold.link.watch(self._connection_ended)
        self._watch = in_background(self._watch_times())

    async def reenter(self) -> None:
        work = in_background(self._change(self.links.flows.reenter(self.hold)))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.cancelled():
                in_background(self._take_back(work))
            raise

    async def _take_back(self, reentry: "asyncio.Task[None]") -> None:
        """Whoever cancels a reentry does not release it."""
        await asyncio.wait({reentry})
        if reentry.exception() is None:
            try:
                await self._release()
            except Exception as error:
                log.warning("the lock %r, after a cancelled reentry: %s", self.hold.key, error)

    async def renew(self, ttl: Optional[int]) -> bool:
        await self._shielded(self._change(self.links.flows.renew(self.hold, ttl)))
        return True

    async def release(self) -> None:
        await self._shielded(self._release())

    async def _shielded(self, work: Coroutine[Any, Any, None]) -> None:
        """What was begun goes on if the caller is cancelled: half of it is of no use."""
        task = in_background(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def _change(self, flow: Any) -> None:
        async with self.turn:
            if self.hold.lost is not None:
                flow.close()
                raise self.lock._lost_error(self.hold)
            try:
                await self.links.run(flow)
            except BaseException:
                if self.hold.lost is not None:
                    self._lose(self.hold.lost)
                raise
        self._changed.set()

    async def _release(self) -> None:
        async with self.turn:
            hold = self.hold
            last = hold.count == 1
            try:
                if hold.lost is not None:
                    hold.count -= 1
                    raise self.lock._lost_error(hold)
                if last:
                    hold.ended = True  # no check and no renewal behind the release
                    self._changed.set()
                await self.links.run(self.links.flows.release(hold))
            except BaseException:
                if hold.lost is not None:
                    self._lose(hold.lost)
                if last and hold.link is not None:
                    hold.link.cut()
                raise
            finally:
                if last:
                    hold.ended = True
                    self.lock._forget(self)
            if last and hold.link is not None:
                await self.links.give(hold.link)
                hold.link = None

    async def abandon(self) -> None:
        """Ends a hold that nobody has been told of."""
        link, self.hold.link, self.hold.ended = self.hold.link, None, True
        if link is not None:
            link.cut()
        if self.hold.session:
            return
        try:
            await self.links.run(self.links.flows.release(self.hold))
        except Exception as error:
            log.warning("the lock %r, after a cancelled acquire: %s", self.hold.key, error)

    async def _watch_times(self) -> None:
        """Checks the session or renews the lease in time, and wakes up when the lease is over."""
        hold = self.hold
        while not hold.ended and hold.lost is None:
            if hold.left() <= 0:
                self._lose("its lease is over, and was not renewed in time")
                return
            checked = hold.session or self.lock.auto_renew
            due = min(hold.check_at, hold.until) if checked else hold.until
            if checked and hold.check_at <= now():
                await (self._check() if hold.session else self._renew())
                continue
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(due - now(), 0) + 0.001)
            except asyncio.TimeoutError:
                pass

    async def _check(self) -> None:
        hold, sent = self.hold, now()
        try:
            reply = await hold.link.ask(rules.renew(hold.key, hold.owner, hold.ttl, hold.token), hold.left())
            hold.extend(rules.parse(reply), sent)
        except Exception as error:
            kind = rules.classify(self.links.library, error)
            if kind is rules.Kind.NOT_HELD:
                self._lose(str(error))
            else:  # the end of the connection is told by itself; anything else is asked again
                hold.check_at = now() + rules.backoff(3)

    async def _renew(self) -> None:
        try:
            async with self.turn:
                if self.hold.alive():
                    await self.links.run(self.links.flows.renew(self.hold, self.hold.ttl))
        except Exception as error:
            if self.hold.lost is not None:
                self._lose(self.hold.lost)
            else:
                log.warning("the lock %r could not be renewed: %s", self.hold.key, error)
                self.hold.check_at = now() + rules.backoff(3)

    def _connection_ended(self, error: Exception) -> None:
        if not self.hold.ended:
            self._lose(f"its connection ended ({error})")

    def _lose(self, why: str) -> None:
        hold = self.hold
        hold.lost = hold.lost or why
        self._changed.set()
        if hold.link is not None:
            hold.link.cut()  # with it the server frees a session that it still has
        if not self.event.is_set():
            self.event.set()
            for callback in list(self.lock._callbacks):
                in_background(self._call(callback))

    async def _call(self, callback: Callable[[ReentrantLock], object]) -> None:
        try:
            result = callback(self.lock)
            if inspect.isawaitable(result):
                await result
        except Exception:
            log.exception("the callback for the loss of %r failed", self.lock.name)


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("after its caller was cancelled: %s", task.exception())
