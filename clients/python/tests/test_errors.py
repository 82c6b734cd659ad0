"""Errors of the server, and bad arguments: the text says what to do."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Iterator

import pytest
import servers
from holders import World
from servers import Server, eventually


def test_a_deadlock_is_told_to_the_one_that_would_close_the_circle(any_world: World, server: Server, key: str) -> None:
    one, two = [any_world.client(server.port) for _ in range(2)]
    a = [any_world.holder_of(one, f"{key}:{i}", timeout=10) for i in range(2)]
    b = [any_world.holder_of(two, f"{key}:{i}", timeout=10) for i in range(2)]
    a[0].do("acquire", token=f"{key}:a")
    b[1].do("acquire", token=f"{key}:b")
    waits = a[1].start("acquire", token=f"{key}:a")
    eventually(lambda: server.waiters(f"{key}:1") == 1)
    with pytest.raises(any_world.errors.LockError, match=r"DEADLOCK .*release .* begin again") as caught:
        b[0].do("acquire", token=f"{key}:b")
    assert caught.value.code == "DEADLOCK"
    b[1].do("release")
    assert waits.result(3)


def test_too_many_waiters_is_told(world: World, own_server: Server) -> None:
    own_server.call("CONFIG", "SET", "lock.max-waiters", 0)
    a, b = world.holder(own_server.port, "x"), world.holder(own_server.port, "x")
    a.do("acquire", blocking=False)
    with pytest.raises(world.errors.LockError, match="TOOMANYWAITERS .*lock.max-waiters"):
        b.do("acquire")


def unblock(server: Server, *how: str) -> None:
    for client in server.client.client_list():
        if client["cmd"].lower() == "lock.acquire" and "b" in client["flags"]:
            server.call("CLIENT", "UNBLOCK", client["id"], *how)


def test_an_operator_can_end_a_wait(world: World, own_server: Server) -> None:
    a, b = world.holder(own_server.port, "x"), world.holder(own_server.port, "x")
    a.do("acquire")
    for how in ((), ("ERROR",)):
        waits = b.start("acquire")
        eventually(lambda: own_server.waiters("x") == 1)
        unblock(own_server, *how)
        if how:
            with pytest.raises(world.errors.LockError, match="UNBLOCKED .*operator"):
                waits.result(3)
        else:
            assert waits.result(3) is False


def test_a_waiter_waits_on_when_the_role_of_its_server_changes(world: World, own_server: Server) -> None:
    a = world.holder(own_server.port, "x", timeout=2, session=True)  # its lease stays when it is cut off
    b = world.holder(own_server.port, "x")
    a.do("acquire")
    waits = b.start("acquire", blocking_timeout=20)
    eventually(lambda: own_server.waiters("x") == 1)
    own_server.call("REPLICAOF", "127.0.0.1", 1)
    assert a.told(3)
    own_server.call("REPLICAOF", "NO", "ONE")
    assert waits.result(10)
    b.do("release")


def test_a_missing_right_is_named(any_world: World, own_server: Server) -> None:
    own_server.call("ACL", "SETUSER", "w", "on", ">pw", "~lock:*", "+@all", "-lock.acquire")
    a = any_world.holder(own_server.port, "lock:x", client={"username": "w", "password": "pw"})
    with pytest.raises(any_world.errors.NoPermissionError, match=r"\+lock\.acquire and the key pattern of lock:x"):
        a.do("acquire")


def test_a_wrong_password_is_told_at_once(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, client={"username": "nobody", "password": "pw"})
    begun = time.monotonic()
    with pytest.raises(world.errors.AuthenticationError):
        a.do("acquire")
    assert time.monotonic() - begun < 1


def test_a_server_without_the_module_is_told(any_world: World) -> None:
    with servers.server(module=False) as plain:
        a = any_world.holder(plain.port, "x")
        with pytest.raises(any_world.errors.ResponseError, match="no module redis-reentrant-lock loaded; add it by"):
            a.do("acquire")


def test_a_key_that_is_no_lock_is_told(any_world: World, server: Server, key: str) -> None:
    server.call("SET", key, "value")
    a = any_world.holder(server.port, key)
    with pytest.raises(any_world.errors.ResponseError, match="WRONGTYPE"):
        a.do("acquire")


@pytest.mark.parametrize(("world", "timeout"), [("redis-blocking", None), ("redis-asyncio", 10)], indirect=["world"])
def test_a_server_that_was_never_there_is_an_error_within_seconds(world: World, timeout: object) -> None:
    a = world.holder(servers.free_port(), "x", timeout=timeout)
    begun = time.monotonic()
    with pytest.raises(world.errors.ConnectionError):
        a.do("acquire")
    assert time.monotonic() - begun < 8


@contextlib.contextmanager
def refusing(server: Server) -> Iterator[None]:
    """The server refuses every write meanwhile, for want of replicas."""
    server.call("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        yield
    finally:
        server.call("CONFIG", "SET", "min-replicas-to-write", 0)


def test_a_release_that_is_refused_changes_nothing_and_ends_the_session(world: World, own_server: Server) -> None:
    a, b = world.holder(own_server.port, "x"), world.holder(own_server.port, "x")
    a.do("acquire")
    with refusing(own_server), pytest.raises(world.errors.ResponseError, match="NOREPLICAS"):
        a.do("release")
    assert b.do("acquire", blocking_timeout=5)
    assert a.get("holds") == 0


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_nested_release_that_is_refused_is_made_up_for_by_the_next_one(
    world: World, own_server: Server, timeout: object
) -> None:
    a = world.holder(own_server.port, "x", timeout=timeout)
    for _ in range(2):
        a.do("acquire")
    with refusing(own_server), pytest.raises(world.errors.ResponseError, match="NOREPLICAS"):
        a.do("release")
    assert (a.get("holds"), own_server.info("x")["holds"]) == (1, 2)
    assert not a.told(0) and a.do("owned")
    a.do("release")
    assert (a.get("holds"), own_server.info("x")) == (0, {})


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_reentry_after_releases_that_were_refused_counts_once(
    world: World, own_server: Server, timeout: object
) -> None:
    a = world.holder(own_server.port, "x", timeout=timeout)
    for _ in range(3):
        a.do("acquire")
    for _ in range(2):
        with refusing(own_server), pytest.raises(world.errors.ResponseError, match="NOREPLICAS"):
            a.do("release")
    assert a.do("acquire") and a.get("holds") == 2
    for _ in range(2):
        a.do("release")
    assert (a.get("holds"), own_server.info("x")) == (0, {})


def test_a_check_that_is_refused_is_asked_again(world: World, own_server: Server) -> None:
    a = world.holder(own_server.port, "x", timeout=3, session=True)
    a.do("acquire")
    own_server.call("CONFIG", "SET", "min-replicas-to-write", 1)
    assert not a.told(1.2)
    own_server.call("CONFIG", "SET", "min-replicas-to-write", 0)
    assert not a.told(2.2)  # longer than what was left
    a.do("release")


BAD: Dict[str, Dict[str, Any]] = {
    "timeout must be a number of seconds above 0, not 0": {"timeout": 0},
    "timeout must be a number of seconds above 0, not -1": {"timeout": -1},
    "timeout must be a number of seconds above 0, not 'soon'": {"timeout": "soon"},
    "timeout must be a number of seconds above 0, not nan": {"timeout": float("nan")},
    "timeout must be a number of seconds above 0, not True": {"timeout": True},
    "timeout must be a number of seconds above 0 with session=False": {"session": False},
    "timeout must be 1 second or more with session=True, not 0.5": {"session": True, "timeout": 0.5},
    "auto_renew must be False for a session": {"auto_renew": True},
    "blocking_timeout must be a number of seconds from 0, not -1": {"blocking_timeout": -1},
    "idle_timeout must be a number of seconds above 0, not 0": {"idle_timeout": 0},
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_argument_is_named_with_what_it_may_be(any_world: World, server: Server, key: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        any_world.holder(server.port, key, **BAD[text])


def test_a_bad_argument_of_a_call_is_named_too(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, timeout=10)
    with pytest.raises(ValueError, match="^blocking_timeout must be"):
        a.do("acquire", blocking_timeout=-1)
    with pytest.raises(ValueError, match="^token must be 1 to 1024 bytes, and not 'mode'"):
        a.do("acquire", token="mode")
    a.do("acquire")
    with pytest.raises(ValueError, match="^additional_time must be"):
        a.do("extend", 0)
    with pytest.raises(ValueError, match="^name must be"):
        world.holder(server.port, "")
    with pytest.raises(TypeError, match="^client must be a client of redis-py or valkey-py, not int"):
        world.lock_class(5, "x")
