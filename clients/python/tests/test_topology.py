"""Cluster, Sentinel and failover."""

from __future__ import annotations

import contextlib
import importlib
import signal
from typing import Any, Iterator, List, Tuple

import pytest
import servers
from holders import World
from servers import Server, eventually, free_port


@pytest.fixture(scope="module")
def nodes() -> Iterator[List[Server]]:
    with servers.cluster() as masters:
        yield masters


def cluster_client(world: World, node: Server) -> Any:
    name = "ValkeyCluster" if world.library == "valkey" else "RedisCluster"
    dot = ".asyncio" if world.asyncio else ""
    cls = getattr(importlib.import_module(f"{world.library}{dot}.cluster"), name)
    return world.adopt(world.make(lambda: cls(host="127.0.0.1", port=node.port)))


def node_of(nodes: List[Server], key: str) -> Server:
    return nodes[int(nodes[0].call("CLUSTER", "KEYSLOT", key)) * 3 // 16384]


@pytest.mark.parametrize("timeout", [None, 20])
def test_locks_of_a_cluster_are_acquired_waited_for_and_released_on_their_nodes(
    any_world: World, nodes: List[Server], timeout: Any
) -> None:
    client = cluster_client(any_world, nodes[0])
    keys = ["lock:a", "lock:b", "lock:c", "lock:d"]
    assert len({node_of(nodes, key).port for key in keys}) == 3
    for key in keys:
        node = node_of(nodes, key)
        a, b = [any_world.holder_of(client, key, timeout=timeout) for _ in range(2)]
        a.do("acquire")
        assert a.do("acquire") and a.do("owned") and a.do("locked")
        assert not b.do("acquire", blocking=False)
        waits = b.start("acquire", blocking_timeout=20)
        eventually(lambda: node.waiters(key) == 1)  # noqa: B023
        a.do("release")
        a.do("release")
        assert waits.result(3) and node.info(key)["holds"] == 1
        if timeout is None:
            node.call("LOCK.FORCERELEASE", key)
            assert b.told(3)
        else:
            b.do("release")


@contextlib.contextmanager
def moving(nodes: List[Server], key: str) -> Iterator[Tuple[Server, Server, Any]]:
    """The slot of `key` begins to move: from, to, and what ends it."""
    source = node_of(nodes, key)
    target = nodes[(nodes.index(source) + 1) % 3]
    rest = tuple(node for node in nodes if node not in (source, target))
    slot = source.call("CLUSTER", "KEYSLOT", key)

    def begin(giver: Server, taker: Server) -> None:
        taker.call("CLUSTER", "SETSLOT", slot, "IMPORTING", giver.call("CLUSTER", "MYID"))
        giver.call("CLUSTER", "SETSLOT", slot, "MIGRATING", taker.call("CLUSTER", "MYID"))

    def assign(owner: Server, *others: Server) -> None:
        for node in (owner, *others):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", owner.call("CLUSTER", "MYID"))

    begin(source, target)
    try:
        yield source, target, lambda: assign(target, source)
    finally:
        target.call("DEL", key)
        # Only a node that imports takes the slot with a new epoch. Without one, a ping that the other sent before
        # is believed, and in the end each of the two names the other as the owner, for ever.
        begin(target, source)
        assign(source, target, *rest)


def test_a_holder_and_a_waiter_follow_a_slot_that_moves(world: World, nodes: List[Server]) -> None:
    key = "lock:a"
    client = cluster_client(world, nodes[0])
    a, b = [world.holder_of(client, key, timeout=30) for _ in range(2)]
    a.do("acquire")
    waits = b.start("acquire", blocking_timeout=20)
    eventually(lambda: node_of(nodes, key).waiters(key) == 1)
    with moving(nodes, key) as (source, target, finish):
        source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        assert a.do("acquire")  # by ASK
        assert a.get("holds") == 2
        finish()
        eventually(lambda: target.waiters(key) == 1)
        a.do("release")  # by MOVED
        a.do("release")
        assert waits.result(5)
        b.do("release")
        assert not target.info(key)


def test_a_session_is_lost_when_its_slot_moves(world: World, nodes: List[Server]) -> None:
    key = "lock:b"
    a = world.holder_of(cluster_client(world, nodes[0]), key)
    a.do("acquire")
    with moving(nodes, key) as (source, target, finish):
        source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
        finish()
        assert a.told(5)
        target.call("LOCK.FORCERELEASE", key)
        with pytest.raises(world.errors.LockNotOwnedError):
            a.do("release")
        assert a.do("acquire", blocking_timeout=5)
        a.do("release")


@contextlib.contextmanager
def sentinel() -> Iterator[Tuple[Server, Server, Server]]:
    """A master, its replica, and a Sentinel that fails over."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(servers.server())
        replica = stack.enter_context(servers.server(f"replicaof 127.0.0.1 {master.port}"))
        eventually(lambda: replica.client.info("replication")["master_link_status"] == "up")
        guard = stack.enter_context(
            servers.server(
                f"sentinel monitor locks 127.0.0.1 {master.port} 1",
                "sentinel down-after-milliseconds locks 500",
                "sentinel failover-timeout locks 3000",
                sentinel=True,
            )
        )
        eventually(lambda: len(guard.call("SENTINEL", "REPLICAS", "locks")) == 1, 30)
        yield master, replica, guard


@pytest.mark.parametrize(
    ("world", "how"),
    [("redis-blocking", "the master is killed"), ("redis-asyncio", "the operator asks for it")],
    indirect=["world"],
)
def test_after_a_failover_holders_are_told_and_waiters_wait_at_the_new_master(world: World, how: str) -> None:
    with sentinel() as (master, replica, guard):
        dot = ".asyncio" if world.asyncio else ""
        kind = importlib.import_module(f"{world.library}{dot}.sentinel").Sentinel
        client = world.adopt(world.make(lambda: kind([("127.0.0.1", guard.port)]).master_for("locks")))
        a, b = [world.holder_of(client, "x", timeout=2, session=True) for _ in range(2)]
        lease = world.holder_of(client, "y", timeout=40)
        a.do("acquire")
        lease.do("acquire")
        waits = b.start("acquire", blocking_timeout=40)
        eventually(lambda: master.waiters("x") == 1)
        eventually(lambda: replica.client.exists("x", "y") == 2)
        if how == "the master is killed":
            master.kill()
        else:
            eventually(lambda: guard.call("SENTINEL", "FAILOVER", "locks"))  # as soon as it knows the replica
            eventually(lambda: replica.client.info("replication")["role"] == "master", 20)
            master.call("REPLICAOF", "127.0.0.1", replica.port)  # as Sentinel does some ten seconds later
        assert a.told(10)
        assert waits.result(40)
        assert replica.info("x")["holds"] == 1
        b.do("release")
        lease.do("release")  # its lease went on at the new master
        assert not replica.info("y")


def test_a_wait_begins_again_when_a_standby_takes_the_place_of_the_server(world: World) -> None:
    port = free_port()
    first = Server(port=port)
    a, b = world.holder(port, "x"), world.holder(port, "x")
    a.do("acquire")
    waits = b.start("acquire", blocking_timeout=20)
    eventually(lambda: first.waiters("x") == 1)
    first.signal(signal.SIGKILL)
    first.close()
    second = Server(port=port)
    try:
        assert waits.result(10)
        b.do("release")
    finally:
        second.close()
