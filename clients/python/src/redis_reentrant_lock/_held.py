"""A hold of a blocking lock object, with what wakes its holder up."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Callable, Optional

from ._hold import Hold
from ._watcher import Watch, watcher

if TYPE_CHECKING:
    from ._lock import ReentrantLock

log = logging.getLogger("redis_reentrant_lock")


class Held:
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
        link, self.hold.link, self.hold.ended = self.hold.link, None, True
        if link is not None:
            link.close()
        if not self.hold.session:
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
