"""Calls redis-py's Lock as a test says: reads a call a line, and prints what comes of it.

    acquire 60000   ->  True         waits for up to so many ms
    release         ->  None
    locked          ->  ResponseError: WRONGTYPE ...

The arguments are the server's URL, the lock's name and its lease in ms. The program ends with its input.
"""

import sys

import redis

url, name, lease = sys.argv[1:]
lock = redis.Redis.from_url(url).lock(name, timeout=int(lease) / 1000, sleep=0.01)
calls = {
    "acquire": lambda wait: lock.acquire(blocking_timeout=int(wait) / 1000),
    "release": lock.release,
    "extend": lock.reacquire,
    "locked": lock.locked,
}
for line in sys.stdin:
    call, *arguments = line.split()
    try:
        outcome = calls[call](*arguments)
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    print(outcome, flush=True)
