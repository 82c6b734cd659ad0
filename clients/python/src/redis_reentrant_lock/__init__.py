"""Reentrant locks of the redis-reentrant-lock module, for redis-py and valkey-py.

    with client.lock("lock:orders", lock_class=ReentrantLock) as lock:
        charge("order-17", lock.token)

The asyncio lock is `redis_reentrant_lock.asyncio.ReentrantLock`.
"""

from ._lock import ReentrantLock

__all__ = ["ReentrantLock"]
__version__ = "0.1.0"
