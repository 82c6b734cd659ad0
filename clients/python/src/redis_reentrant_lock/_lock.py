"""ReentrantLock for blocking code."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from types import SimpleNamespace, TracebackType
from typing import Any, Callable, ContextManager, List, Optional, Type, Union

from . import _rules as rules
from ._hold import Hold
from ._links import Links, links_of
from ._options import Options, owner_of, wait_until
from ._watcher import Watch, watcher

log = logging.getLogger("redis_reentrant_lock")

Number = Union[int, float]


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
        self._turn: ContextManager[Any] = contextlib.nullcontext() if self.thread_local else threading.RLock()
        self._callbacks: List[Callable[["ReentrantLock"], object]] = []

    def _hold(self) -> Optional["_Held"]:
        held: Optional[_Held] = getattr(self.local, "hold", None)
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
        with self._turn:
            held = self._hold()
            if held is not None:
                if token is not None and owner != held.hold.owner:
                    raise ValueError("token must be left out, or be that of the present hold, when the lock is held")
                held.reenter()
                return True
            return self._take(owner, until)

    def _take(self, owner: bytes, until: Optional[float]) -> bool:
        hold = Hold(self.name, owner, self._ttl, self.session, self._idle)
        held = _Held(self, hold)
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
        with self._turn:
            held = self._hold()
            if held is None or held.hold.owner != owner_of(self.redis, expected_token):
                raise self._library.lost("the lock is not held under this token", self.name)
            try:
                held.release()
            finally:
                if held.hold.ended:
                    self._forget()

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

    def _extendable(self, what: str) -> "_Held":
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


class _Held:
    """A hold of a lock object, with what wakes its holder up. One call at a time uses it."""

    def __init__(self, lock: ReentrantLock, hold: Hold) -> None:
        self.lock = lock
        self.hold = hold
        self.links = lock._links
        self.event = threading.Event()
        self.pid = os.getpid()
        self.turn = threading.Lock()
        renew = self._renew_in_background if lock.auto_renew else None
        self.watch = Watch(hold, self.links, self._on_lost, renew)

    def begin(self) -> None:
        if self.hold.link is not None:
            self.hold.link.hold = self.hold
        watcher().add(self.watch)

    def reenter(self) -> None:
        self._change(lambda: self.links.run(self.links.flows.reenter(self.hold)))

    def renew(self, ttl: Optional[int]) -> bool:
        self._change(lambda: self.links.run(self.links.flows.renew(self.hold, ttl)))
        return True

    def _renew_in_background(self) -> None:
        with self.turn:
            if self.hold.alive():
                self.links.run(self.links.flows.renew(self.hold, self.hold.ttl))

    def _change(self, work: Callable[[], object]) -> None:
        with self.turn:
            self._raise_if_lost()
            watcher().pause(self.watch)
            try:
                work()
            except BaseException:
                self._after_failure()
                raise
            watcher().resume(self.watch)

    def _raise_if_lost(self) -> None:
        if self.hold.lost is not None:
            raise self.lock._lost_error(self.hold)

    def _after_failure(self) -> None:
        link = self.hold.link
        if self.hold.lost is None and link is not None and link.fileno() < 0:
            self.hold.lost = "a call on its connection was interrupted"  # and a session ends with its connection
        if self.hold.lost is not None:
            watcher().remove(self.watch)
            if link is not None:
                link.close()
            self._on_lost()
        else:
            watcher().resume(self.watch)

    def release(self) -> None:
        with self.turn:
            hold = self.hold
            last = hold.count == 1
            if hold.lost is not None:
                hold.count -= 1
                hold.ended = last
                if hold.link is not None:
                    hold.link.close()
                raise self.lock._lost_error(hold)
            watcher().pause(self.watch)
            if last:
                watcher().remove(self.watch)  # no renewal behind the release
            try:
                self.links.run(self.links.flows.release(hold))
            except BaseException:
                if last:
                    hold.ended = True
                    if hold.link is not None:
                        hold.link.close()
                else:
                    if hold.lost is not None:
                        hold.count -= 1
                    self._after_failure()
                if hold.lost is not None:
                    self._on_lost()
                raise
            if last:
                hold.ended = True
                if hold.link is not None:
                    self.links.give(hold.link)
                    hold.link = None
            else:
                watcher().resume(self.watch)

    def abandon(self) -> None:
        """Ends a hold that nobody has been told of."""
        watcher().remove(self.watch)
        self.hold.ended = True
        if self.hold.link is not None:
            self.hold.link.close()
        else:
            with contextlib.suppress(Exception):
                self.links.run(self.links.flows.release(self.hold))

    def _on_lost(self) -> None:
        if not self.event.is_set():
            self.event.set()
            for callback in list(self.lock._callbacks):
                threading.Thread(target=self._call, args=(callback,), daemon=True).start()

    def _call(self, callback: Callable[[ReentrantLock], object]) -> None:
        try:
            callback(self.lock)
        except Exception:
            log.exception("the callback for the loss of %r failed", self.lock.name)
