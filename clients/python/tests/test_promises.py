"""What a client has to show (docs/clients.md), with the blocking lock and the asyncio one."""

from __future__ import annotations

import concurrent.futures
import signal
import sys
import time

import pytest
from holders import World
from proxy import Proxy
from servers import Server, eventually, parent_bound


def test_two_holders_exclude_each_other(any_world: World, server: Server, key: str) -> None:
    a, b = any_world.holder(server.port, key), any_world.holder(server.port, key, timeout=10)
    assert a.do("acquire")
    assert not b.do("acquire", blocking=False)
    assert not b.do("acquire", blocking_timeout=0.05)
    a.do("release")
    assert b.do("acquire", blocking=False)
    assert b.get("token") > 0
    b.do("release")
    assert not server.info(key)


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_holder_reenters_and_releases_as_often(any_world: World, server: Server, key: str, timeout: object) -> None:
    a = any_world.holder(server.port, key, timeout=timeout)
    for holds in (1, 2, 3):
        assert a.do("acquire")
        assert a.get("holds") == holds == server.info(key)["holds"]
    token = a.get("token")
    for holds in (2, 1):
        a.do("release")
        assert (a.get("holds"), a.get("token")) == (holds, token)
        assert server.info(key)["holds"] == holds
    a.do("release")
    assert (a.get("holds"), a.get("token"), server.info(key)) == (0, None, {})
    with pytest.raises(any_world.errors.LockError, match="acquire"):
        a.do("release")


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_waiter_is_served_when_the_holder_releases(
    any_world: World, server: Server, key: str, timeout: object
) -> None:
    a, b = any_world.holder(server.port, key), any_world.holder(server.port, key, timeout=timeout)
    a.do("acquire")
    waits = b.start("acquire", blocking_timeout=20)
    eventually(lambda: server.waiters(key) == 1)
    first = a.get("token")
    a.do("release")
    assert waits.result(3)
    assert b.get("token") > first
    b.do("release")


@pytest.mark.parametrize("cut", [True, False])
def test_an_acquire_whose_reply_is_lost_counts_once(
    world: World, server: Server, proxy: Proxy, key: str, cut: bool
) -> None:
    a = world.holder(proxy.port, key, timeout=20, client={"socket_timeout": 0.3})
    proxy.lose(b"LOCK.ACQUIRE", cut=cut)
    assert a.do("acquire")
    assert (proxy.lost, a.get("holds"), server.info(key)["holds"]) == (1, 1, 1)
    a.do("release")
    assert not server.info(key)


def test_the_acquire_of_a_session_whose_reply_is_lost_counts_once(
    world: World, server: Server, proxy: Proxy, key: str
) -> None:
    a = world.holder(proxy.port, key)
    proxy.lose(b"LOCK.ACQUIRE")
    assert a.do("acquire", blocking_timeout=5)
    assert (proxy.lost, server.info(key)["holds"]) == (1, 1)
    a.do("release")
    assert not server.info(key)


def test_a_reentry_whose_reply_is_lost_counts_once(world: World, server: Server, proxy: Proxy, key: str) -> None:
    a = world.holder(proxy.port, key, timeout=20)
    a.do("acquire")
    proxy.lose(b"LOCK.ACQUIRE")
    assert a.do("acquire")
    assert (proxy.lost, a.get("holds"), server.info(key)["holds"]) == (1, 2, 2)


def test_a_session_is_lost_with_the_reply_to_its_reentry(world: World, server: Server, proxy: Proxy, key: str) -> None:
    a = world.holder(proxy.port, key)
    a.do("acquire")
    proxy.lose(b"LOCK.ACQUIRE")
    with pytest.raises(world.errors.LockNotOwnedError, match="lost"):
        a.do("acquire")
    assert a.told(3)
    eventually(lambda: not server.info(key))


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("timeout", [None, 20])
def test_a_release_whose_reply_is_lost_counts_once_and_is_no_loss(
    world: World, server: Server, proxy: Proxy, key: str, timeout: object, cut: bool
) -> None:
    a = world.holder(proxy.port, key, timeout=timeout, client={"socket_timeout": 0.3})
    a.do("acquire")
    proxy.lose(b"LOCK.RELEASE", cut=cut)
    a.do("release")
    assert (proxy.lost, server.info(key)) == (1, {})


def test_a_partial_release_whose_reply_is_lost_counts_once(
    world: World, server: Server, proxy: Proxy, key: str
) -> None:
    a = world.holder(proxy.port, key, timeout=20)
    for _ in range(3):
        a.do("acquire")
    proxy.lose(b"LOCK.RELEASE")
    a.do("release")
    assert (proxy.lost, a.get("holds"), server.info(key)["holds"]) == (1, 2, 2)


HOLD = """
import sys, redis
from redis_reentrant_lock import ReentrantLock
lock = redis.Redis(port=int(sys.argv[1])).lock(sys.argv[2], lock_class=ReentrantLock)
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_waiter_gets_a_session_lock_at_once_when_its_holder_is_killed(world: World, server: Server, key: str) -> None:
    args = [sys.executable, "-c", HOLD, str(server.port), key]
    process = parent_bound(args, stdin=-1, stdout=-1)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        b = world.holder(server.port, key)
        waits = b.start("acquire", blocking_timeout=20)
        eventually(lambda: server.waiters(key) == 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert waits.result(3)
    b.do("release")


HOLD_AND_FORK = """
import asyncio, inspect, os, signal, sys
library, dot = ("redis.asyncio", ".asyncio") if sys.argv[3] == "asyncio" else ("redis", "")
redis = __import__(library, fromlist=["Redis"])
locks = __import__("redis_reentrant_lock" + dot, fromlist=["ReentrantLock"])
async def main():
    lock = redis.Redis(port=int(sys.argv[1])).lock(sys.argv[2], lock_class=locks.ReentrantLock)
    held = lock.acquire()
    assert await held if inspect.isawaitable(held) else held
    if os.fork() == 0:
        print("forked", flush=True)
        sys.stdin.read()
        os._exit(0)
    signal.pause()
asyncio.run(main())
"""


def test_a_session_ends_with_its_process_though_a_forked_child_lives_on(world: World, server: Server, key: str) -> None:
    args = [sys.executable, "-c", HOLD_AND_FORK, str(server.port), key, world.kind]
    process = parent_bound(args, stdin=-1, stdout=-1)
    try:
        assert process.stdout is not None and process.stdout.readline() == "forked\n"
        b = world.holder(server.port, key)
        waits = b.start("acquire", blocking_timeout=20)
        eventually(lambda: server.waiters(key) == 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert waits.result(3)
        b.do("release")
    finally:
        process.kill()
        process.communicate()  # the child ends with its input


def test_the_holder_of_a_session_is_told_at_once_that_it_is_lost(any_world: World, server: Server, key: str) -> None:
    a = any_world.holder(server.port, key)
    a.do("acquire")
    assert not a.told(0)
    server.call("LOCK.FORCERELEASE", key)
    assert a.told(3)
    with pytest.raises(any_world.errors.LockNotOwnedError, match=r"was lost: .*acquire\(\) again"):
        a.do("acquire")
    with pytest.raises(any_world.errors.LockNotOwnedError, match="was lost"):
        a.do("release")
    assert a.do("acquire")
    assert not a.told(0)
    a.do("release")


def test_the_release_of_a_lease_that_was_lost_says_so(any_world: World, server: Server, key: str) -> None:
    a = any_world.holder(server.port, key, timeout=20)
    a.do("acquire")
    server.call("LOCK.FORCERELEASE", key)
    with pytest.raises(any_world.errors.LockNotOwnedError, match="was lost"):
        a.do("release")


def test_the_holder_of_a_renewed_lease_is_told_by_its_next_renewal(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, timeout=6, auto_renew=True)
    a.do("acquire")
    server.call("LOCK.FORCERELEASE", key)
    assert a.told(4)  # a third of the lease, and not its end
    with pytest.raises(world.errors.LockNotOwnedError, match="the lock is free"):
        a.do("release")


def test_a_reentry_of_a_lease_that_was_lost_tells_its_holder(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, timeout=20)
    a.do("acquire")
    server.call("LOCK.FORCERELEASE", key)
    with pytest.raises(world.errors.LockNotOwnedError, match="was lost"):
        a.do("acquire")
    assert a.told(0)


def test_holders_are_told_that_the_server_was_killed_and_waiters_wait_on(
    world: World, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = world.holder(own_server.port, "x"), world.holder(own_server.port, "x")
    lease, c = world.holder(own_server.port, "y", timeout=30), world.holder(own_server.port, "y", timeout=30)
    a.do("acquire")
    lease.do("acquire")
    waits = [b.start("acquire"), c.start("acquire", blocking_timeout=25)]
    eventually(lambda: own_server.waiters("x") == own_server.waiters("y") == 1)
    own_server.kill()
    assert a.told(3)
    monkeypatch.setattr("redis_reentrant_lock._rules.REPEAT_FOR", 0.0)  # for calls that do not wait
    assert not concurrent.futures.wait(waits, 0.3, concurrent.futures.FIRST_COMPLETED).done
    own_server.start()
    assert [wait.result(10) for wait in waits] == [True, True]
    with pytest.raises(world.errors.LockNotOwnedError):
        a.do("release")
    with pytest.raises(world.errors.LockNotOwnedError):
        lease.do("release")
    b.do("release")
    c.do("release")


@pytest.mark.parametrize("session", [True, False])
def test_a_lock_counts_as_lost_when_its_server_has_stopped_for_its_lease(
    world: World, own_server: Server, session: bool
) -> None:
    a = world.holder(own_server.port, "x", timeout=1, session=session, auto_renew=not session)
    a.do("acquire")
    with own_server.stopped():
        begun = time.monotonic()
        assert not a.told(0.3)
        assert a.told(3)
        assert time.monotonic() - begun < 2
        with pytest.raises(world.errors.LockNotOwnedError, match="lease"):
            a.do("release")


def test_a_server_that_stops_for_less_than_a_lease_costs_no_lock(world: World, own_server: Server) -> None:
    locks = [
        world.holder(own_server.port, "x", timeout=2, session=True),
        world.holder(own_server.port, "y", timeout=2, auto_renew=True, client={"socket_timeout": 0.2}),
    ]
    for lock in locks:
        lock.do("acquire")
    with own_server.stopped():
        assert not locks[0].told(0.8)
    for lock in locks:
        assert not lock.told(1.5)  # longer than what was left: they were renewed again
        lock.do("release")


def test_a_wait_is_longer_than_the_read_timeout_of_other_calls(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key)
    b = world.holder(server.port, key, timeout=10, client={"socket_timeout": 0.1})
    a.do("acquire")
    waits = b.start("acquire", blocking_timeout=10)
    eventually(lambda: server.waiters(key) == 1)
    eventually(lambda: server.waited(key) > 400)  # one wait, that goes on
    a.do("release")
    assert waits.result(3)


def test_the_holder_is_told_that_its_lease_is_over(any_world: World, server: Server, key: str) -> None:
    a = any_world.holder(server.port, key, timeout=0.4)
    begun = time.monotonic()
    a.do("acquire")
    assert not a.told(0.2)
    assert a.told(3)
    assert 0.4 <= time.monotonic() - begun < 1.5
    with pytest.raises(any_world.errors.LockNotOwnedError, match="its lease is over"):
        a.do("release")


def test_a_renewed_lease_goes_on_until_its_release(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, timeout=0.9, auto_renew=True)
    a.do("acquire")
    assert not a.told(2)
    a.do("release")
    assert not server.info(key)


def test_a_release_that_follows_the_end_of_its_connection_tells_of_the_loss(world: World, own_server: Server) -> None:
    a = world.holder(own_server.port, "x")
    for _ in range(20):
        a.do("acquire")
        own_server.call("CLIENT", "KILL", "TYPE", "normal")
        # On a new connection the server would say that there is nothing to release, as after a lost reply.
        with pytest.raises(world.errors.LockNotOwnedError):
            a.do("release")
