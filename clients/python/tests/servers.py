"""Servers with the module, each in a temporary directory and on a free port, ended by the test that started them."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

MODULE = os.environ.get("LOCK_TEST_MODULE", "")
BINARY = os.environ.get("LOCK_TEST_SERVER", "redis-server")

# Processes that run at the same time begin at different ones.
_ports = itertools.count(os.getpid() * 613)


def eventually(what: Callable[[], T], within: float = 10.0) -> T:
    """What `what` returns as soon as that is true; it may raise before."""
    stop = time.monotonic() + within
    while True:
        try:
            result = what()
            if result:
                return result
        except (redis.RedisError, OSError):
            if time.monotonic() > stop:
                raise
        if time.monotonic() > stop:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.005)


def free_port() -> int:
    """A port that no server of these tests had before, for what called that one goes on to call it.

    It is below those of outgoing connections, and the port of its cluster bus, 10,000 above, exists.
    """
    while True:
        port = 10240 + next(_ports) % 10000
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def parent_bound(args: List[str], **kwargs: Any) -> "subprocess.Popen[str]":
    """A process that is killed if the test process dies."""
    return subprocess.Popen(args, preexec_fn=_die_with_parent, text=True, **kwargs)


class Server:
    """One server process. `module=False`: without the module."""

    def __init__(self, *options: str, module: bool = True, port: Optional[int] = None, sentinel: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="lock-py-"))
        self.port = port or free_port()
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}"]
        if not sentinel:
            lines += ['save ""', "enable-debug-command yes"]
            if module:
                lines.append(f"loadmodule {MODULE}")
        self.config = self.directory / "server.conf"
        self.config.write_text("\n".join([*lines, *options]) + "\n")
        self._sentinel = sentinel
        self.process: Optional["subprocess.Popen[str]"] = None
        self.start()

    def start(self) -> None:
        with open(self.directory / "log", "a") as log:
            args = [BINARY, str(self.config)] + (["--sentinel"] if self._sentinel else [])
            self.process = parent_bound(args, stdout=log, stderr=log)

        def up() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError((self.directory / "log").read_text()[-2000:])
            return bool(self.client.ping())

        retry = Retry(NoBackoff(), 0)
        self.client: Any = redis.Redis(
            port=self.port, decode_responses=True, socket_timeout=10, protocol=2, retry=retry
        )
        eventually(up)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def call(self, *args: Any) -> Any:
        return self.client.execute_command(*args)

    def info(self, key: str) -> Any:
        """LOCK.INFO as a dict, {} if the lock is free."""
        reply = self.call("LOCK.INFO", key) or []
        return dict(zip(reply[::2], reply[1::2]))

    def waiters(self, key: str) -> int:
        return int(self.info(key).get("waiters", 0))

    def waited(self, key: str) -> int:
        """For how many milliseconds the first in the queue has waited, 0 if there is none."""
        queue = self.info(key).get("queue") or [["owner", "", "waited", 0]]
        return int(queue[0][3])

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def close(self) -> None:
        self.client.close()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def server(*options: str, module: bool = True, sentinel: bool = False) -> Iterator[Server]:
    one = Server(*options, module=module, sentinel=sentinel)
    try:
        yield one
    finally:
        one.close()


@contextlib.contextmanager
def cluster() -> Iterator[List[Server]]:
    """Three masters that share the slots."""
    nodes: List[Server] = []
    try:
        for _ in range(3):
            nodes.append(Server("cluster-enabled yes", "cluster-node-timeout 2000"))
        for i, node in enumerate(nodes):
            first, last = i * 16384 // 3, (i + 1) * 16384 // 3 - 1
            node.call("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in nodes[1:]:
            nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)

        def agreed() -> bool:
            views = [node.call("CLUSTER", "NODES") for node in nodes]
            known = all(str(view).count("connected") == 3 for view in views) or all(len(view) == 3 for view in views)
            states = [node.client.execute_command("CLUSTER INFO") for node in nodes]
            return known and all("ok" in str(state["cluster_state"]) for state in states)

        eventually(agreed, 20)
        yield nodes
    finally:
        for node in nodes:
            node.close()
