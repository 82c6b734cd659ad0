"""Who holds a lock: threads, tasks, processes; and how a holder is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from typing import Any, Callable, Iterator, List

import pytest
import redis
import redis.asyncio
from holders import World
from servers import Server, eventually

from redis_reentrant_lock import ReentrantLock
from redis_reentrant_lock._hold import Hold
from redis_reentrant_lock.asyncio import ReentrantLock as AsyncLock


def connect(server: Server) -> Any:
    """Any: the types of redis-py's asyncio client allow no lock class but its own."""
    return redis.asyncio.Redis(port=server.port)


def in_thread(work: Any) -> Any:
    result: List[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    return result[0]


@pytest.fixture
def client(server: Server) -> Any:
    with redis.Redis(port=server.port) as one:
        yield one


def test_threads_that_share_a_lock_object_exclude_each_other(client: Any, key: str) -> None:
    lock = client.lock(key, lock_class=ReentrantLock)
    with lock:
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        assert in_thread(lambda: (lock.holds, lock.token, lock.lost.is_set())) == (0, None, False)
        assert isinstance(in_thread(lock.release), redis.exceptions.LockError)
    assert in_thread(lambda: lock.acquire(blocking=False)) is True


def test_without_thread_local_whoever_has_the_object_holds_the_lock(client: Any, server: Server, key: str) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, thread_local=False)
    lock.acquire()
    assert in_thread(lambda: lock.acquire(blocking=False)) is True
    assert (lock.holds, server.info(key)["holds"]) == (2, 2)
    assert in_thread(lock.release) is None
    assert in_thread(lock.release) is None
    assert not lock.locked()


def test_without_thread_local_threads_that_acquire_at_once_share_one_hold(
    client: Any, server: Server, key: str
) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, thread_local=False)
    other = client.lock(key, lock_class=ReentrantLock)
    other.acquire()
    threads = [threading.Thread(target=lock.acquire) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: server.waiters(key) == 1)
    other.release()
    for thread in threads:
        thread.join(10)
    assert (lock.holds, server.info(key)["holds"]) == (5, 5)
    for _ in range(5):
        lock.release()
    assert not lock.locked()


def test_without_thread_local_threads_that_reenter_at_once_find_no_busy_lock(client: Any, key: str) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, thread_local=False)
    lock.acquire()
    got: List[bool] = []
    threads = [threading.Thread(target=lambda: got.append(lock.acquire(blocking=False))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == [True] * 20 and lock.holds == 21
    for _ in range(21):
        lock.release()


def test_without_thread_local_a_thread_that_waits_does_not_make_others_wait(
    client: Any, server: Server, key: str
) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, thread_local=False)
    other = client.lock(key, lock_class=ReentrantLock)
    other.acquire()
    waiter = threading.Thread(target=lock.acquire)
    waiter.start()
    try:
        eventually(lambda: server.waiters(key) == 1)
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        assert in_thread(lambda: lock.acquire(blocking_timeout=0.2)) is False
        assert isinstance(in_thread(lambda: lock.do_release("nobody")), redis.exceptions.LockNotOwnedError)
    finally:
        other.release()
        waiter.join(10)
    assert in_thread(lambda: lock.acquire(blocking=False)) is True
    assert lock.holds == 2
    for _ in range(2):
        lock.release()


def test_without_thread_local_a_task_that_waits_does_not_make_others_wait(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=AsyncLock, thread_local=False)
            other = client.lock(key, lock_class=AsyncLock)
            await other.acquire()
            waits = asyncio.ensure_future(lock.acquire())
            while not server.waiters(key):
                await asyncio.sleep(0.005)
            assert not await asyncio.wait_for(lock.acquire(blocking=False), 5)
            assert not await asyncio.wait_for(lock.acquire(blocking_timeout=0.2), 5)
            await other.release()
            assert await waits
            assert await asyncio.gather(*(lock.acquire(blocking=False) for _ in range(5))) == [True] * 5
            for _ in range(6):
                await lock.release()
            assert not await lock.locked()

    asyncio.run(asyncio.wait_for(work(), 30))


@contextlib.contextmanager
def forked(work: Callable[[], object]) -> Iterator[None]:
    """A child that does `work`, and has done it well at the end of the block."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    try:
        yield
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitpid(child, 0)[1]
    assert status == 0


def test_without_thread_local_a_child_that_is_forked_during_a_wait_can_acquire(
    client: Any, server: Server, key: str
) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, thread_local=False)
    other = client.lock(key, lock_class=ReentrantLock)
    other.acquire()
    waiter = threading.Thread(target=lock.acquire)
    waiter.start()

    def use() -> None:
        assert lock.acquire(blocking_timeout=20)
        lock.release()

    try:
        eventually(lambda: server.waiters(key) == 1)
        with forked(use):
            eventually(lambda: server.waiters(key) == 2)
            other.release()
            waiter.join(10)
            lock.release()
    finally:
        if other.holds:
            other.release()


def test_without_thread_local_a_child_that_is_forked_while_a_task_waits_can_acquire(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=AsyncLock, thread_local=False)
            other = client.lock(key, lock_class=AsyncLock)
            await other.acquire()
            waits = asyncio.ensure_future(lock.acquire())
            while not server.waiters(key):
                await asyncio.sleep(0.005)

            async def use() -> None:
                assert await lock.acquire(blocking_timeout=20)
                await lock.release()

            with forked(lambda: asyncio.run(use())):
                eventually(lambda: server.waiters(key) == 2)
                await other.release()
                assert await waits
                await lock.release()

    asyncio.run(asyncio.wait_for(work(), 30))


def test_tasks_that_share_a_lock_object_exclude_each_other(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=AsyncLock)
            inside = most = 0

            async def one() -> None:
                nonlocal inside, most
                async with lock:
                    async with lock:
                        assert lock.holds == 2
                        inside += 1
                        most = max(most, inside)
                        await asyncio.sleep(0.001)
                        inside -= 1

            await asyncio.gather(*(one() for _ in range(10)))
            assert most == 1 and not await lock.locked()
            async with lock:
                assert not await asyncio.ensure_future(lock.acquire(blocking=False))

    asyncio.run(work())


def test_a_task_can_release_what_another_one_acquired(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=AsyncLock)
            await asyncio.ensure_future(lock.acquire())
            assert lock.holds == 1 and await lock.owned()
            await lock.release()
            assert not await lock.locked()

    asyncio.run(work())


def test_without_thread_local_tasks_reenter_the_lock_of_the_object(server: Server, key: str) -> None:
    async def work() -> None:
        async with connect(server) as client:
            lock = client.lock(key, lock_class=AsyncLock, thread_local=False)
            assert await asyncio.gather(*(lock.acquire() for _ in range(5))) == [True] * 5
            assert (lock.holds, server.info(key)["holds"]) == (5, 5)
            await asyncio.gather(*(lock.release() for _ in range(5)))
            assert not await lock.locked()

    asyncio.run(work())


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_forked_child_does_not_hold_the_locks_of_its_parent(
    client: Any, server: Server, key: str, timeout: Any
) -> None:
    lock = client.lock(key, lock_class=ReentrantLock, timeout=timeout)
    lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                lock.release()
            except redis.exceptions.LockError:
                own = client.lock(key + ":child", lock_class=ReentrantLock)
                busy = lock.acquire(blocking=False)
                with own:
                    server.client.connection_pool.reset()
                    server.call("LOCK.FORCERELEASE", key + ":child")
                    told = own.lost.wait(5)
        except redis.exceptions.LockNotOwnedError:
            code = 0 if told and not busy and not lock.holds else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert lock.owned() and not lock.lost.is_set()
    lock.release()


def test_a_lock_stays_held_when_its_object_is_gone(client: Any, server: Server, key: str) -> None:
    client.lock(key, lock_class=ReentrantLock).acquire()
    gc.collect()
    assert server.info(key)
    server.call("LOCK.FORCERELEASE", key)


@pytest.mark.parametrize("timeout", [None, 3600])
def test_released_locks_leave_nothing_in_memory(world: World, server: Server, key: str, timeout: Any) -> None:
    a = world.holder(server.port, key, timeout=timeout)
    for _ in range(300):
        a.do("acquire")
        a.do("release")

    def holds() -> int:
        gc.collect()
        return sum(isinstance(thing, Hold) for thing in gc.get_objects())

    eventually(lambda: holds() < 150)


def test_one_thread_watches_all_locks(client: Any, server: Server, key: str) -> None:
    locks = [client.lock(f"{key}:{i}", lock_class=ReentrantLock, timeout=i % 2 * 30 or None) for i in range(40)]
    for lock in locks:
        lock.acquire()
    watchers = [thread for thread in threading.enumerate() if thread.name.startswith("redis-reentrant-lock")]
    assert len(watchers) == 1 and watchers[0].daemon
    for lock in locks[::2]:
        server.call("LOCK.FORCERELEASE", lock.name)
        assert lock.lost.wait(3)
    assert not any(lock.lost.is_set() for lock in locks[1::2])
    for lock in locks[1::2]:
        lock.release()


def test_a_callback_is_called_when_the_lock_is_lost(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key)
    told: List[Any] = []

    @a.lock.on_lost  # type: ignore[untyped-decorator]
    def first(lock: Any) -> None:
        raise RuntimeError("is logged, and keeps nobody from being told")

    if world.asyncio:

        @a.lock.on_lost  # type: ignore[untyped-decorator]
        async def second(lock: Any) -> None:
            await asyncio.sleep(0)
            told.append(lock)

    else:
        a.lock.on_lost(told.append)
    a.do("acquire")
    server.call("LOCK.FORCERELEASE", key)
    eventually(lambda: told == [a.lock])
    with pytest.raises(world.errors.LockNotOwnedError):
        a.do("release")
    a.do("acquire")
    a.do("release")
    assert told == [a.lock]  # a release is no loss


def test_each_release_of_a_lost_lock_says_so_and_the_last_one_ends_it(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key)
    for _ in range(3):
        a.do("acquire")
    server.call("LOCK.FORCERELEASE", key)
    assert a.told(3)
    for _ in range(3):
        with pytest.raises(world.errors.LockNotOwnedError):
            a.do("release")
    assert a.do("acquire", blocking=False)
    a.do("release")


def test_a_failed_release_does_not_hide_the_error_of_the_work(
    client: Any, server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="the work"):
        with client.lock(key, lock_class=ReentrantLock) as lock:
            server.call("LOCK.FORCERELEASE", key)
            assert lock.lost.wait(5)
            raise RuntimeError("the work failed")
    assert "was lost" in caplog.text

    async def work() -> None:
        async with connect(server) as other:
            with pytest.raises(RuntimeError, match="the work"):
                async with other.lock(key, lock_class=AsyncLock) as lock:
                    server.call("LOCK.FORCERELEASE", key)
                    await asyncio.wait_for(lock.lost.wait(), 5)
                    raise RuntimeError("the work failed")

    asyncio.run(work())


def test_the_context_manager_says_that_the_lock_is_busy(client: Any, key: str) -> None:
    with client.lock(key, lock_class=ReentrantLock):
        with pytest.raises(redis.exceptions.LockError, match="stayed busy") as caught:
            with client.lock(key, lock_class=ReentrantLock, blocking_timeout=0.05):
                pass
    assert caught.value.lock_name == key


def test_many_threads_count_without_a_race(client: Any, key: str) -> None:
    count = 0

    def work() -> None:
        nonlocal count
        for i in range(25):
            with client.lock(key, lock_class=ReentrantLock, timeout=i % 2 * 20 or None):
                seen = count
                threading.Event().wait(0.0001)
                count = seen + 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert count == 200
