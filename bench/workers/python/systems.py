"""What differs between the systems: how one connects, and how one gets a lock."""

from importlib.metadata import version

import redis
from kazoo.client import KazooClient
from redis_reentrant_lock import ReentrantLock


class RedisLock:
    """redis-py's own lock, with its defaults: a token in thread-local storage, and a waiter that sleeps 0.1 s between
    its attempts. It has no watchdog: its lease ends unless the user calls `reacquire`.
    """

    unsupported = {"reenter": "the Lock of redis-py is not reentrant"}
    renew = "reacquire"
    version = f"redis-py {version('redis')}"

    def __init__(self, job):
        # One client for the process, as its documentation says. Its pool lends a connection for each command. Its
        # default refuses more than 100 at once; here each client can have one.
        self.client = redis.Redis.from_url(job["urls"][0], max_connections=max(job["clients"] + 1, 100))
        self.lease = job["lease_ms"] / 1000

    def mutex(self, name, keep=False):
        return self.client.lock(name, timeout=self.lease)

    def close(self):
        self.client.close()


class LeaseLock(RedisLock):
    """The project's client as the lock class of the same `redis.Redis`, with a lease. It takes connections from its own
    store, and opens one for each call that waits.
    """

    unsupported = {}
    version = f"redis-reentrant-lock {version('redis-reentrant-lock')} (redis-py {version('redis')})"

    def __init__(self, job):
        super().__init__(job)
        self.crashes = job["work"] == "hold"

    def mutex(self, name, keep=False):
        # What is to be kept beyond a lease is a session: the server renews it while the connection lives. Not so the
        # lock of an owner that is to crash.
        return self._lock(name, keep and not self.crashes)

    def _lock(self, name, session):
        return self.client.lock(name, timeout=None if session else self.lease, lock_class=ReentrantLock)


class SessionLock(LeaseLock):
    """The same with a session for every lock, which is what its users get by default, with the server's lease."""

    unsupported = {"renew": "the server renews a session lock"}

    def mutex(self, name, keep=False):
        return self._lock(name, session=True)


class Kazoo:
    """The Lock recipe of kazoo. One client, which is one session with one connection, for the process, as its users
    have it; the lease is the session's timeout.
    """

    unsupported = {
        "reenter": "the Lock recipe of kazoo is not reentrant",
        "renew": "a ZooKeeper lock has no lease of its own, the client keeps its session alive",
    }
    version = f"kazoo {version('kazoo')}"

    def __init__(self, job):
        self.client = KazooClient(hosts=",".join(job["urls"]), timeout=job["lease_ms"] / 1000)
        self.client.start(timeout=15)

    def mutex(self, name, keep=False):
        return self.client.Lock("/" + name)

    def close(self):
        self.client.stop()
        self.client.close()


SYSTEMS = {"redis-py": RedisLock, "lock-python": LeaseLock, "lock-python-session": SessionLock, "kazoo": Kazoo}
