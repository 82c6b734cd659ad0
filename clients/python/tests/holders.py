"""Holders for the tests: each is a thread with the blocking lock, or a task with the asyncio one.

A test drives them by blocking calls, and is the same for both.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import queue
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Type


class Holder:
    """`do("acquire")` calls the method of the lock in the holder's thread or task, `start` does not wait for it."""

    name: str

    def start(self, method: str, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[Any]":
        raise NotImplementedError

    def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.start(method, *args, **kwargs).result(30)

    def get(self, attribute: str) -> Any:
        return self.start(f"={attribute}").result(30)

    def told(self, within: float) -> bool:
        """Whether the holder is told within that time that its lock is lost."""
        event = self.get("lost")
        stop = time.monotonic() + within
        while not event.is_set():
            if time.monotonic() > stop:
                return False
            time.sleep(0.002)
        return True


class ThreadHolder(Holder):
    def __init__(self, lock: Any, errors: Any) -> None:
        self.lock, self.errors = lock, errors
        self._queue: "queue.Queue[Any]" = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def start(self, method: str, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[Any]":
        future: "concurrent.futures.Future[Any]" = concurrent.futures.Future()
        self._queue.put((future, method, args, kwargs))
        return future

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            future, method, args, kwargs = item
            try:
                found = getattr(self.lock, method.lstrip("="))
                future.set_result(found if method.startswith("=") else found(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

    def close(self) -> None:
        self._queue.put(None)


class TaskHolder(Holder):
    def __init__(self, lock: Any, errors: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.lock, self.errors, self._loop = lock, errors, loop
        self._task: Any = None
        asyncio.run_coroutine_threadsafe(self._begin(), loop).result(10)

    async def _begin(self) -> None:
        self._queue: "asyncio.Queue[Any]" = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run())

    def start(self, method: str, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[Any]":
        future: "concurrent.futures.Future[Any]" = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._queue.put_nowait, (future, method, args, kwargs))
        return future

    async def _run(self) -> None:
        while True:
            future, method, args, kwargs = await self._queue.get()
            try:
                found = getattr(self.lock, method.lstrip("="))
                future.set_result(found if method.startswith("=") else await found(*args, **kwargs))
            except asyncio.CancelledError:
                future.set_exception(InterruptedError("cancelled"))
                raise
            except BaseException as error:
                future.set_exception(error)

    def cancel(self) -> None:
        """Cancels what the holder is doing."""
        self._loop.call_soon_threadsafe(self._task.cancel)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)


class World:
    """One library, blocking or asyncio. `holder()` makes a holder with a client of its own."""

    def __init__(self, library: str, kind: str) -> None:
        self.library, self.kind = library, kind
        self.asyncio = kind == "asyncio"
        self.errors = importlib.import_module(f"{library}.exceptions")
        dot = ".asyncio" if self.asyncio else ""
        self.module = importlib.import_module(f"{library}{dot}")
        self.lock_class: Type[Any] = importlib.import_module(f"redis_reentrant_lock{dot}").ReentrantLock
        self._closing: List[Callable[[], object]] = []
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        if self.asyncio:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=loop.run_forever, daemon=True)
            self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Awaits it, if it is to be awaited."""
        if self._loop is None or not asyncio.iscoroutine(coroutine):
            return coroutine
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def client(self, port: int, **kwargs: Any) -> Any:
        name = "Valkey" if self.library == "valkey" else "Redis"
        return self.adopt(self.make(lambda: getattr(self.module, name)(port=port, **kwargs)))

    def make(self, what: Callable[[], Any]) -> Any:
        """What `what` returns, called in the loop: old versions of Python and redis-py look for one there."""

        async def in_loop() -> Any:
            return what()

        return what() if self._loop is None else self.run(in_loop())

    def adopt(self, client: Any) -> Any:
        self._closing.append(lambda: self.run(client.aclose() if self.asyncio else client.close()))
        return client

    def holder(self, port: int, name: str, client: Optional[Dict[str, Any]] = None, **kwargs: Any) -> Any:
        return self.holder_of(self.client(port, **(client or {})), name, **kwargs)

    def holder_of(self, client: Any, name: str, **kwargs: Any) -> Any:
        extra = {key: kwargs.pop(key) for key in ("session", "auto_renew", "idle_timeout") if key in kwargs}

        def make(*args: Any, **given: Any) -> Any:
            return self.lock_class(*args, **given, **extra)

        lock = self.make(lambda: client.lock(name, lock_class=make, **kwargs))
        if self._loop is not None:
            holder: Any = TaskHolder(lock, self.errors, self._loop)
        else:
            holder = ThreadHolder(lock, self.errors)
        self._closing.append(holder.close)
        return holder

    def close(self) -> None:
        for close in reversed(self._closing):
            close()
        if self._loop is not None:

            async def settle() -> None:
                tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            self.run(settle())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
