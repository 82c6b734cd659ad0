"""A call that is cancelled or interrupted leaves nothing behind: nobody waits, nothing is held."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import pytest
import redis.asyncio
from holders import World
from proxy import Proxy
from servers import Server, eventually, parent_bound

from redis_reentrant_lock.asyncio import ReentrantLock

WAIT = """
import signal, sys, redis
from redis_reentrant_lock import ReentrantLock
# A shell starts what runs in its background with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
timeout = eval(sys.argv[3])
client = redis.Redis(port=int(sys.argv[1]))
lock = client.lock(sys.argv[2], lock_class=ReentrantLock, timeout=timeout)
try:
    lock.acquire()
except KeyboardInterrupt:
    print("interrupted", lock.holds, flush=True)
    sys.stdin.read()  # the process lives on, so that its end cleans nothing up
"""


def interrupted(port: int, key: str, timeout: object) -> Any:
    return parent_bound([sys.executable, "-c", WAIT, str(port), key, repr(timeout)], stdin=-1, stdout=-1)


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_wait_that_is_interrupted_leaves_the_queue(world: World, server: Server, key: str, timeout: object) -> None:
    a = world.holder(server.port, key)
    a.do("acquire")
    if world.asyncio:
        b = world.holder(server.port, key, timeout=timeout)
        waits = b.start("acquire")
        eventually(lambda: server.waiters(key) == 1)
        b.cancel()
        with pytest.raises(InterruptedError):
            waits.result(5)
        eventually(lambda: server.waiters(key) == 0)
        a.do("release")
        assert not server.info(key)
        return
    process = interrupted(server.port, key, timeout)
    try:
        eventually(lambda: server.waiters(key) == 1)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 0\n"
        eventually(lambda: server.waiters(key) == 0)
        a.do("release")
        assert not server.info(key)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_grant_whose_reply_had_not_come_when_it_was_interrupted_is_taken_back(
    world: World, server: Server, proxy: Proxy, key: str, timeout: object
) -> None:
    proxy.lose(b"LOCK.ACQUIRE", cut=False)
    if world.asyncio:
        b = world.holder(proxy.port, key, timeout=timeout, client={"socket_timeout": 20})
        waits = b.start("acquire")
        eventually(lambda: server.info(key))
        b.cancel()
        with pytest.raises(InterruptedError):
            waits.result(5)
        eventually(lambda: not server.info(key), 3)
        return
    process = interrupted(proxy.port, key, timeout)
    try:
        eventually(lambda: server.info(key))
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 0\n"
        eventually(lambda: not server.info(key), 3)
    finally:
        process.kill()
        process.communicate()


def test_an_acquire_that_is_cancelled_between_its_attempts_leaves_no_hold(
    server: Server, proxy: Proxy, key: str
) -> None:
    """The first attempt was granted, and its reply was lost."""

    async def work() -> None:
        client: Any = redis.asyncio.Redis(port=proxy.port)
        paused, go_on = asyncio.Event(), asyncio.Event()
        lock = client.lock(key, lock_class=ReentrantLock, timeout=30)

        async def look() -> None:
            paused.set()
            await go_on.wait()

        lock._links.look = look
        proxy.lose(b"LOCK.ACQUIRE")
        task = asyncio.ensure_future(lock.acquire())
        await paused.wait()
        assert server.info(key)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while server.info(key):
            await asyncio.sleep(0.005)
        await client.aclose()

    run(work())


def connect(server: Server) -> Any:
    """Any: the types of redis-py's asyncio client allow no lock class but its own."""
    return redis.asyncio.Redis(port=server.port)


def run(work: Any) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_release_that_is_cancelled_goes_on(server: Server, key: str, timeout: Any) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=ReentrantLock, timeout=timeout)
            await lock.acquire()
            task = asyncio.ensure_future(lock.release())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while lock.holds:
                await asyncio.sleep(0.001)
            assert not await lock.locked()
            assert await lock.acquire(blocking_timeout=5)
            await lock.release()

    run(work())


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_reentry_that_is_cancelled_does_not_count(server: Server, key: str, timeout: Any) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=ReentrantLock, timeout=timeout, thread_local=False)
            await lock.acquire()
            task = asyncio.ensure_future(lock.acquire())
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with client.lock(key + ":other", lock_class=ReentrantLock):
                pass
            while lock.holds != 1 or server.info(key)["holds"] != 1:
                await asyncio.sleep(0.001)
            assert not lock.lost.is_set()
            await lock.release()
            assert not await lock.locked()

    run(work())


def test_work_that_is_cancelled_under_the_lock_releases_it(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            begun = asyncio.Event()

            async def under_the_lock() -> None:
                async with client.lock(key, lock_class=ReentrantLock):
                    begun.set()
                    await asyncio.sleep(60)

            task = asyncio.ensure_future(under_the_lock())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not server.info(key)

    run(work())


def test_a_loop_that_ends_while_a_lock_is_held_ends_without_a_word(server: Server, key: str) -> None:
    code = f"""
import asyncio, redis.asyncio
from redis_reentrant_lock.asyncio import ReentrantLock
async def main():
    client = redis.asyncio.Redis(port={server.port})
    await client.lock("{key}", lock_class=ReentrantLock).acquire()
    await client.aclose()
asyncio.run(main())
"""
    process = parent_bound([sys.executable, "-c", code], stdout=-1, stderr=-1)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
    eventually(lambda: not server.info(key))
