"""Charges an order under the lock `lock:orders`; REDIS_URL says which server."""

import os

import redis

from redis_reentrant_lock import ReentrantLock


def charge(order: str, token: int) -> None:
    """The work. Its ledger remembers the largest token it has seen and refuses a smaller one."""
    print(f"acquired token={token}")


# lock:begin
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))

with client.lock("lock:orders", lock_class=ReentrantLock, timeout=30, blocking_timeout=60) as lock:
    charge("order-17", lock.token)  # with the token, so that a late write can be refused
# lock:end
print("released")
