"""The asyncio lock: `client.lock(name, lock_class=ReentrantLock)` with a client of `redis.asyncio`."""

from ._lock import ReentrantLock

__all__ = ["ReentrantLock"]
