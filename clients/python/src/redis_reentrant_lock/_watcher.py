"""One thread for all locks of the process: it notices that a lock is lost, and checks or renews it in time.

It waits for the end of every session's connection, and for the next time at which a lock is to be checked or its lease
is over. Nothing in it blocks: a check is sent, and its reply is read when it arrives.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import selectors
import socket
import threading
from typing import Callable, Dict, List, Optional, Tuple

from . import _rules as rules
from ._hold import Hold, now
from ._links import Link, Links

log = logging.getLogger("redis_reentrant_lock")

# How many entries that count no more may stay in the heap, beside as many as there are locks.
_STALE = 100
# How long the rest of a reply may take whose beginning is there, in seconds.
_REST = 1.0


class Watch:
    """A hold under watch, and what to do for it."""

    def __init__(
        self, hold: Hold, links: Links, on_lost: Callable[[], None], renew: Optional[Callable[[], None]]
    ) -> None:
        self.hold = hold
        self.links = links
        self.on_lost = on_lost
        self.renew = renew  # started in a thread of its own: it may have to connect
        self.renewing = False
        self.next = 0.0  # the entry in the heap that counts
        self.paused = False  # its holder uses the connection, and may close it

    def due(self) -> float:
        hold = self.hold
        checked = hold.session or (self.renew is not None and not self.renewing)
        return min(hold.check_at, hold.until) if checked else hold.until


class Watcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        # epoll and kqueue see at once what is registered while they wait; others have to be woken up.
        self._sees = type(self._selector).__name__ in ("EpollSelector", "KqueueSelector")
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        self._selector.register(self._read, selectors.EVENT_READ)
        self._heap: List[Tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._watches: Dict[int, Watch] = {}
        self._armed: Dict[int, int] = {}  # id of a watch: the file descriptor that is registered for it
        self._wakes = float("inf")
        self._thread: Optional[threading.Thread] = None

    def add(self, watch: Watch) -> None:
        with self._lock:
            self._watches[id(watch)] = watch
            self._schedule(watch)
            self._arm(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="redis-reentrant-lock", daemon=True)
                self._thread.start()

    def pause(self, watch: Watch) -> None:
        """Leave its connection to its holder, until `resume`."""
        with self._lock:
            watch.paused = True
            self._disarm(watch)

    def resume(self, watch: Watch) -> None:
        watch.paused = False
        self._changed(watch)

    def _changed(self, watch: Watch) -> None:
        with self._lock:
            if id(watch) in self._watches:
                self._schedule(watch)
                self._arm(watch)

    def remove(self, watch: Watch) -> None:
        """From now on nothing is done for it. To be called before its connection is closed or given away."""
        with self._lock:
            self._watches.pop(id(watch), None)
            watch.next = 0.0
            self._disarm(watch)

    def _schedule(self, watch: Watch) -> None:
        due = watch.due()
        if watch.next and watch.next <= due:
            return  # it is looked at before that anyway
        watch.next = due
        if len(self._heap) > 2 * len(self._watches) + _STALE:
            # Released locks leave their entries until they are due, which may be long.
            self._heap = [entry for entry in self._heap if entry[2].next == entry[0]]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (due, next(self._numbers), watch))
        if due < self._wakes:
            self._wake()

    def _wake(self) -> None:
        try:
            self._write.send(b"x")
        except BlockingIOError:
            pass  # it is full: the thread wakes up

    def _arm(self, watch: Watch) -> None:
        link: Optional[Link] = watch.hold.link
        if link is None or watch.paused or id(watch) in self._armed:
            return
        number = link.fileno()
        if number >= 0:
            self._selector.register(number, selectors.EVENT_READ, watch)
            self._armed[id(watch)] = number
            if not self._sees:
                self._wake()

    def _disarm(self, watch: Watch) -> None:
        number = self._armed.pop(id(watch), None)
        if number is not None:
            self._selector.unregister(number)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._wakes = self._heap[0][0] if self._heap else float("inf")
                wait = None if not self._heap else max(0.0, self._wakes - now())
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._drain()
                else:
                    self._safely(self._readable, key.data)
            for watch in self._take_due():
                self._safely(self._due, watch)

    def _drain(self) -> None:
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _take_due(self) -> List[Watch]:
        due = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now():
                when, _, watch = heapq.heappop(self._heap)
                if watch.next == when and id(watch) in self._watches:
                    watch.next = 0.0
                    due.append(watch)
        return due

    def _safely(self, work: Callable[[Watch], None], watch: Watch) -> None:
        try:
            work(watch)
        except Exception:
            log.exception("the watcher failed for the lock %r: it counts as lost", watch.hold.key)
            self._lose(watch, "its watcher failed")

    def _readable(self, watch: Watch) -> None:
        link: Optional[Link] = watch.hold.link
        if link is None or not link.turn.acquire(blocking=False):
            return  # its holder is at it, and reads for itself
        try:
            if watch.hold.ended or watch.hold.link is not link or not link.readable():
                return
            if link.checked is None:
                raise ConnectionError("it sent something that nobody had asked for")
            link.read_check(_REST)
        except Exception as error:
            self._failed(watch, error)
        finally:
            link.turn.release()
        self._changed(watch)

    def _failed(self, watch: Watch, error: Exception) -> None:
        """A session's check failed, or its connection."""
        kind = rules.classify(watch.links.library, error)
        if isinstance(error, watch.links.library.response_error) and kind is not rules.Kind.NOT_HELD:
            watch.hold.check_at = now() + rules.backoff(3)  # nothing has changed: asked again, until the time is over
        elif kind is rules.Kind.NOT_HELD:
            self._lose(watch, str(error), mine=True)
        else:
            self._lose(watch, f"its connection ended ({error})", mine=True)

    def _due(self, watch: Watch) -> None:
        hold = watch.hold
        if hold.left() <= 0:
            self._lose(watch, "its lease is over, and was not renewed in time")
        elif hold.session and hold.check_at <= now():
            self._check(watch)
        elif watch.renew is not None and not watch.renewing and hold.check_at <= now():
            watch.renewing = True
            threading.Thread(target=self._renew, args=(watch,), name="redis-reentrant-lock-renew", daemon=True).start()
        self._changed(watch)

    def _check(self, watch: Watch) -> None:
        hold = watch.hold
        link: Optional[Link] = hold.link
        hold.check_at = now() + 0.05  # if its holder is at it, or the last check is unanswered
        if link is None or not link.turn.acquire(blocking=False):
            return
        try:
            if link.checked is None:
                link.send_check()
                hold.check_at = hold.until
            else:
                hold.check_at = hold.until  # TCP delivers it, or nothing
        except Exception as error:
            self._failed(watch, error)
        finally:
            link.turn.release()

    def _renew(self, watch: Watch) -> None:
        assert watch.renew is not None
        try:
            watch.renew()
        except Exception as error:
            watch.hold.check_at = now() + rules.backoff(3)
            if watch.hold.lost is not None:
                self._lose(watch, watch.hold.lost)
            else:
                log.warning("the lock %r could not be renewed: %s", watch.hold.key, error)
        finally:
            watch.renewing = False
            self._changed(watch)

    def _lose(self, watch: Watch, why: str, mine: bool = False) -> None:
        """`mine`: this thread has the turn on its connection."""
        hold = watch.hold
        with self._lock:
            if self._watches.pop(id(watch), None) is None or hold.ended:
                return
            self._disarm(watch)
        hold.lost = hold.lost or why
        link: Optional[Link] = hold.link
        if link is not None:  # with its connection the server frees a session that it still has
            if mine:
                link.close()
            elif link.turn.acquire(blocking=False):
                link.close()
                link.turn.release()
            else:
                link.shut()
        watch.on_lost()


_watcher: Optional[Watcher] = None
_guard = threading.Lock()


def watcher() -> Watcher:
    global _watcher
    with _guard:
        if _watcher is None:
            _watcher = Watcher()
        return _watcher


def _forked() -> None:
    """The child has no such thread, and no locks: those of its parent stay with the parent."""
    global _watcher, _guard
    _watcher, _guard = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
