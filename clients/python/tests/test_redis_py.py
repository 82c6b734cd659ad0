"""redis-py's own tests of its `Lock`, run with ReentrantLock in its place.

They are taken from the source distribution of the installed redis-py, and are not part of this project.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Dict, NoReturn

import pytest
import redis
from servers import Server

VALUE = "reads the key as a string, and compares it with the owner's id; here it is a hash"
POLLS = "counts how often the lock sleeps between its polls; here it waits in the server's queue"
BUSY = "takes a string for a lock that somebody holds; here it is WRONGTYPE, an error that says so"

DIFFERENT: Dict[str, str] = {
    "test_lock": VALUE,
    "test_lock_token": VALUE,
    "test_lock_token_thread_local_false": VALUE,
    "test_context_manager": VALUE,
    "test_blocking_timeout": POLLS,
    "test_context_manager_blocking_timeout": POLLS,
    "test_context_manager_raises_when_locked_not_acquired": BUSY,
    "test_lock_error_gives_correct_lock_name": BUSY,
}

# It compares PTTL before and after an extension, which round up alone: by one more where no millisecond has passed.
TWICE_ROUNDED = "test_extend_lock_float"

# What those tests get from redis-py's own conftest.py, which needs much more than a server.
#
# Some compare PTTL with the whole timeout. The module rounds deadlines up to the next millisecond, so that PTTL is one
# more if it is asked within the same millisecond: that one is taken off.
CONFTEST = """
import os, pytest, pytest_asyncio, redis, redis.asyncio, redis.lock, redis.asyncio.lock
import redis_reentrant_lock, redis_reentrant_lock.asyncio
redis.lock.Lock = redis_reentrant_lock.ReentrantLock
redis.asyncio.lock.Lock = redis_reentrant_lock.asyncio.ReentrantLock
URL = os.environ["LOCK_TEST_URL"]

def skip_if_server_version_lt(version):
    return lambda test: test

def _get_client(cls, request, **kwargs):
    client = cls.from_url(URL, **kwargs)
    pttl = client.pttl
    client.pttl = lambda name: pttl(name) - 1
    request.addfinalizer(lambda: (client.flushall(), client.close()))
    return client

"""
BLOCKING = """
@pytest.fixture
def r(request):
    return _get_client(redis.Redis, request)
"""
ASYNCIO = """
@pytest_asyncio.fixture
async def create_redis():
    clients = []

    async def make(**kwargs):
        client = redis.asyncio.Redis.from_url(URL, **kwargs)
        clients.append(client)
        pttl = client.pttl

        async def rounded(name):
            return await pttl(name) - 1

        client.pttl = rounded
        return client

    yield make
    for client in clients:
        await client.flushall()
        await client.aclose()

@pytest_asyncio.fixture
async def r(create_redis):
    return await create_redis()
"""


def not_here(why: str) -> NoReturn:
    """Skips the test; fails it where everything has to be there."""
    if os.environ.get("LOCK_TEST_EXAMPLES") == "require":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def sources(pytestconfig: pytest.Config) -> Path:
    """The unpacked source distribution; kept in pytest's cache."""
    name = f"redis-{redis.__version__}"
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir(name)
    if not (folder / name).exists():
        args = ["download", "-q", "--no-deps", "--no-binary", "redis", f"redis=={redis.__version__}", "-d", str(folder)]
        got = subprocess.run([sys.executable, "-m", "pip", *args], capture_output=True, text=True, timeout=100)
        archives = list(folder.glob("*.tar.gz"))
        if got.returncode != 0 or not archives:
            not_here(f"the source distribution of {name} cannot be had: {got.stderr.strip()[-300:]}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder)
    return folder / name


@pytest.mark.parametrize("path", ["tests/test_lock.py", "tests/test_asyncio/test_lock.py"])
def test_the_tests_of_redis_py_pass_but_for_those_that_know_how_its_lock_works(
    own_server: Server, sources: Path, tmp_path: Path, path: str
) -> None:
    source = sources / path
    if not source.exists():
        not_here(f"the source distribution of redis-py {redis.__version__} has no {path}")
    package = tmp_path / "borrowed"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "conftest.py").write_text(CONFTEST + (ASYNCIO if "asyncio" in path else BLOCKING))
    (package / "test_lock.py").write_text(source.read_text())
    settings = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(settings)
    report = tmp_path / "report.xml"
    # Until what may be one millisecond off has passed once.
    for _ in range(5):
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(package)],
            cwd=tmp_path, env={**os.environ, "LOCK_TEST_URL": f"redis://127.0.0.1:{own_server.port}"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        cases = {case.attrib["name"]: case for case in ElementTree.parse(report).iter("testcase")}
        failed = {name for name, case in cases.items() if case.findall("failure") or case.findall("error")}
        if TWICE_ROUNDED not in failed:
            break
    assert len(cases) >= 30, run.stdout
    assert failed == set(DIFFERENT) & set(cases), run.stdout[-6000:]
