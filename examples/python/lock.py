"""Charges an order under the lock `lock:orders`; REDIS_URL says which server."""

import os
import uuid

import redis


def charge(order, token):
    """The work. Its ledger remembers the largest token it has seen and refuses a smaller one."""
    print(f"acquired token={token}")


# lock:begin
db = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
owner = str(uuid.uuid4())  # a new one for each hold

# HOLDS makes both calls safe to send again when a reply was lost.
acquired, _, token, ttl = db.execute_command(
    "LOCK.ACQUIRE", "lock:orders", owner, 30_000, "HOLDS", 1
)
if acquired:
    try:
        charge("order-17", token)  # with the token, so that a late write can be refused
    finally:
        db.execute_command("LOCK.RELEASE", "lock:orders", owner, "HOLDS", 0, "TOKEN", token)
        print("released")
else:
    print(f"busy, {ttl} ms left")
# lock:end
