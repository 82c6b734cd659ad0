"""What is sent, and on which connection (docs/clients.md: the calls, waiting, sessions)."""

from __future__ import annotations

import re
import socket
import time
from typing import Any, Dict, List

import pytest
from holders import World
from proxy import Proxy
from servers import Server, eventually

from redis_reentrant_lock import _rules as rules


def calls(proxy: Proxy, name: str = "LOCK.") -> List[str]:
    """The LOCK.* commands that went through the proxy, with spaces between the arguments."""
    text = b"".join(proxy.seen).decode()
    words = re.sub(r"\$\d+\r\n", "", text).replace("\r\n", " ")
    return [call.strip() for call in re.split(r"\*\d+ ", words) if call.startswith(name)]


def test_every_acquire_says_how_many_holds_and_every_other_call_names_its_token(
    world: World, proxy: Proxy, key: str
) -> None:
    a = world.holder(proxy.port, key, timeout=10)
    a.do("acquire")
    token = a.get("token")
    a.do("acquire")
    a.do("extend", 5)
    a.do("reacquire")
    a.do("release")
    a.do("release")
    sent = [re.sub(r"[0-9a-f-]{36}", "OWNER", call) for call in calls(proxy)]
    assert re.fullmatch(rf"LOCK.RENEW {key} OWNER (149\d\d|15000) TOKEN {token}", sent.pop(2))
    assert sent == [
        f"LOCK.ACQUIRE {key} OWNER 10000 HOLDS 1",
        f"LOCK.ACQUIRE {key} OWNER 10000 HOLDS 2 TOKEN {token}",
        f"LOCK.RENEW {key} OWNER 10000 TOKEN {token}",
        f"LOCK.RELEASE {key} OWNER HOLDS 1 TOKEN {token}",
        f"LOCK.RELEASE {key} OWNER HOLDS 0 TOKEN {token}",
    ]


def test_a_session_is_one_in_every_acquire(world: World, proxy: Proxy, key: str) -> None:
    a = world.holder(proxy.port, key)
    for _ in range(2):
        a.do("acquire")
    for _ in range(2):
        a.do("release")
    first, second = [re.sub(r"[0-9a-f-]{36}", "OWNER", call) for call in calls(proxy, "LOCK.ACQUIRE")]
    assert first == f"LOCK.ACQUIRE {key} OWNER WAIT 0 SESSION HOLDS 1"
    assert re.fullmatch(rf"LOCK.ACQUIRE {key} OWNER SESSION HOLDS 2 TOKEN \d+", second)


@pytest.mark.parametrize("how", [{"blocking": False}, {"blocking_timeout": 0}])
@pytest.mark.parametrize("timeout", [None, 10])
def test_who_does_not_wait_sends_no_wait(
    world: World, proxy: Proxy, key: str, timeout: object, how: Dict[str, Any]
) -> None:
    a, b = world.holder(proxy.port, key), world.holder(proxy.port, key, timeout=timeout)
    a.do("acquire", blocking=False)
    begun = time.monotonic()
    assert not b.do("acquire", **how)
    assert time.monotonic() - begun < 1
    assert not [call for call in calls(proxy) if "WAIT" in call]


def test_a_wait_is_one_call_rounded_up_to_milliseconds(world: World, proxy: Proxy, server: Server, key: str) -> None:
    a, b = world.holder(server.port, key), world.holder(proxy.port, key, timeout=0.0101)
    a.do("acquire")
    assert not b.do("acquire", blocking_timeout=0.3)
    first, second = calls(proxy, "LOCK.ACQUIRE")
    assert " 11 HOLDS 1" in first and "WAIT" not in first
    assert 0 < int(second.split("WAIT ")[1].split()[0]) <= 300
    assert [rules.milliseconds(time) for time in (0.3, 0.3001, 0.0001)] == [300, 301, 1]


def test_each_hold_has_a_new_owner_of_at_least_122_random_bits(world: World, proxy: Proxy, key: str) -> None:
    a = world.holder(proxy.port, key, timeout=10)
    for _ in range(3):
        a.do("acquire")
        a.do("release")
    owners = {call.split()[2] for call in calls(proxy, "LOCK.ACQUIRE")}
    assert len(owners) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", o) for o in owners)


def test_a_token_that_is_given_is_the_owner(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key)
    a.do("acquire", token="worker-7")
    assert server.info(key)["owner"] == "worker-7"
    assert a.do("acquire", token="worker-7")
    with pytest.raises(ValueError, match="token"):
        a.do("acquire", token="worker-8")
    a.do("release")
    a.do("release")


def test_the_connection_of_a_lock_notices_a_dead_host(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key)
    a.do("acquire")
    held = next(iter(a.lock._held.values())) if world.asyncio else a.get("local") and a.lock._links
    if world.asyncio:
        sock = held.hold.link.connection._writer.get_extra_info("socket")
    else:
        a.do("release")
        free = next(iter(a.lock._links._free.values())).take()  # kept here, or it would be closed
        sock = free.connection._sock
    options = [
        (socket.TCP_KEEPIDLE, 15),
        (socket.TCP_KEEPINTVL, 5),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 30_000),  # a call was sent that the host does not acknowledge: no keepalive then
    ]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option, _ in options] == [value for _, value in options]


def test_held_locks_and_waits_take_no_connection_from_the_pool_of_the_client(
    world: World, server: Server, key: str
) -> None:
    client = world.client(server.port, max_connections=1)
    holders = [world.holder_of(client, f"{key}:{i}") for i in range(5)]
    for holder in holders:
        holder.do("acquire")
    waits = world.holder_of(client, f"{key}:0").start("acquire")
    eventually(lambda: server.waiters(f"{key}:0") == 1)
    assert world.run(client.ping())
    for holder in holders:
        holder.do("release")
    assert waits.result(3)


def test_the_connections_of_released_sessions_are_used_again_however_many(
    world: World, server: Server, key: str
) -> None:
    client = world.client(server.port)
    holders = [world.holder_of(client, f"{key}:{i}") for i in range(40)]

    def take_all_at_once() -> int:
        for method in ("acquire", "release"):
            for call in [holder.start(method) for holder in holders]:
                call.result(30)
        return int(server.client.info("stats")["total_connections_received"])

    assert take_all_at_once() == take_all_at_once()


def test_a_connection_that_no_lock_has_used_for_a_minute_is_closed(
    world: World, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.client(own_server.port)
    a, b = world.holder_of(client, "x"), world.holder_of(client, "y")
    for method in ("acquire", "release"):
        a.do(method)
        b.do(method)
    assert own_server.client.info("clients")["connected_clients"] == 3
    monkeypatch.setattr("redis_reentrant_lock._connect.KEEP_IDLE", -1.0)  # the minute is over
    for method in ("acquire", "release"):
        a.do(method)
    eventually(lambda: own_server.client.info("clients")["connected_clients"] == 1)


def test_closing_the_client_closes_the_connections_that_locks_have_left(world: World, own_server: Server) -> None:
    client = world.client(own_server.port)
    a = world.holder_of(client, "x")
    a.do("acquire")
    a.do("release")
    world.run(client.aclose() if world.asyncio else client.close())
    eventually(lambda: own_server.client.info("clients")["connected_clients"] == 1)


@pytest.mark.parametrize(
    ("world", "told"), [("redis-blocking", "by the server"), ("redis-asyncio", "by the user")], indirect=["world"]
)
def test_a_session_outlives_the_timeout_of_the_server_for_idle_connections(
    world: World, own_server: Server, told: str
) -> None:
    own_server.call("CONFIG", "SET", "timeout", 2)
    client: Dict[str, Any] = {}
    kwargs: Dict[str, Any] = {}
    if told == "by the user":
        own_server.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all", "-config")
        client, kwargs = {"username": "w", "password": "pw"}, {"idle_timeout": 2}
    a = world.holder(own_server.port, "x", client=client, **kwargs)
    a.do("acquire")
    assert not a.told(4.5)
    a.do("release")


def test_a_lock_that_was_waited_for_longer_than_a_tenth_of_its_lease_is_renewed_at_once(
    world: World, proxy: Proxy, server: Server, key: str
) -> None:
    a, b = world.holder(server.port, key), world.holder(proxy.port, key, timeout=2)
    a.do("acquire")
    waits = b.start("acquire")
    eventually(lambda: server.waited(key) > 2200)
    a.do("release")
    assert waits.result(3)
    assert len(calls(proxy, "LOCK.RENEW")) == 1
    assert not b.told(0.5)
    b.do("release")


def test_the_password_and_the_database_of_the_client_are_used(world: World, own_server: Server) -> None:
    own_server.call("ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all")
    a = world.holder(own_server.port, "x", client={"username": "w", "password": "pw", "db": 3})
    a.do("acquire")
    assert not own_server.info("x")
    assert a.do("locked") and a.do("owned")
    a.do("release")
    assert not a.do("locked") and not a.do("owned")


def test_a_unix_socket_works_too(world: World, own_server: Server) -> None:
    path = str(own_server.directory / "socket")
    own_server.kill()
    own_server.config.write_text(own_server.config.read_text() + f"unixsocket {path}\n")
    own_server.start()
    a = world.holder(0, "x", client={"unix_socket_path": path})
    a.do("acquire")
    own_server.call("LOCK.FORCERELEASE", "x")
    assert a.told(3)


def test_extend_adds_to_the_lease_or_replaces_it(any_world: World, server: Server, key: str) -> None:
    a = any_world.holder(server.port, key, timeout=10)
    a.do("acquire")
    assert a.do("extend", 10)
    assert 19_000 < server.info(key)["ttl"] <= 20_000
    assert a.do("extend", 3, replace_ttl=True)
    assert 2_000 < server.info(key)["ttl"] <= 3_000
    assert a.do("reacquire")
    assert 9_000 < server.info(key)["ttl"] <= 10_000
    a.do("release")
    with pytest.raises(any_world.errors.LockError, match="acquire"):
        a.do("extend", 1)
    session = any_world.holder(server.port, key)
    session.do("acquire")
    with pytest.raises(any_world.errors.LockError, match="without a timeout"):
        session.do("extend", 1)


def test_an_extended_lease_is_not_shortened_by_its_renewal(world: World, server: Server, key: str) -> None:
    a = world.holder(server.port, key, timeout=0.6, auto_renew=True)
    a.do("acquire")
    a.do("extend", 10, replace_ttl=True)
    assert not a.told(1)
    assert server.info(key)["ttl"] > 5_000
    a.do("release")


def test_the_connections_of_locks_have_the_connect_timeout_of_the_client(
    any_world: World, server: Server, key: str
) -> None:
    client = any_world.client(server.port, socket_connect_timeout=0.25, socket_timeout=3)
    kind = client.connection_pool.connection_class
    timeouts: List[float] = []

    class Recorded(kind):  # type: ignore[misc, valid-type]
        def __init__(self, **kwargs: Any) -> None:
            timeouts.append(kwargs["socket_connect_timeout"])
            super().__init__(**kwargs)

    client.connection_pool.connection_class = Recorded
    a = any_world.holder_of(client, key)
    a.do("acquire")
    a.do("release")
    assert timeouts == [0.25]
