from __future__ import annotations

import itertools
import os
from typing import Any, Iterator

import pytest
import servers
from holders import World
from proxy import Proxy

_numbers = itertools.count()


def pytest_configure() -> None:
    if not servers.MODULE.startswith("/"):
        raise pytest.UsageError("LOCK_TEST_MODULE must be the absolute path of the module's .so file")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tells of each skipped test, where somebody collects that."""
    path = os.environ.get("LOCK_TEST_SKIPS")
    if report.skipped and path and isinstance(report.longrepr, tuple):
        why = report.longrepr[2].removeprefix("Skipped: ")
        with open(path, "a") as file:
            file.write(f"{report.nodeid}: does not apply: {why}\n")


@pytest.fixture(scope="session")
def server() -> Iterator[servers.Server]:
    """A server that the tests share: each takes a key of its own, and changes no settings."""
    with servers.server() as one:
        yield one


@pytest.fixture
def own_server() -> Iterator[servers.Server]:
    """A server to stop, kill and configure."""
    with servers.server() as one:
        yield one


@pytest.fixture
def key() -> str:
    return f"lock:{next(_numbers)}"


@pytest.fixture
def proxy(server: servers.Server) -> Iterator[Proxy]:
    one = Proxy(server.port)
    yield one
    one.close()


def _world(request: Any) -> Iterator[World]:
    library, kind = request.param.split("-")
    pytest.importorskip(library)
    world = World(library, kind)
    yield world
    world.close()


@pytest.fixture(params=["redis-blocking", "redis-asyncio"])
def world(request: Any) -> Iterator[World]:
    """The blocking lock and the asyncio one."""
    yield from _world(request)


@pytest.fixture(params=["redis-blocking", "redis-asyncio", "valkey-blocking", "valkey-asyncio"])
def any_world(request: Any) -> Iterator[World]:
    """Both, with redis-py and with valkey-py."""
    yield from _world(request)
