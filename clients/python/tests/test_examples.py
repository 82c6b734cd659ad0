"""What the README and the examples show works as it is written."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

from servers import Server

ROOT = Path(__file__).parent.parent


def test_the_example_charges_its_order_under_the_lock(server: Server) -> None:
    url = f"redis://127.0.0.1:{server.port}"
    before = int(server.client.info("lock")["lock_released"])
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "orders.py")],
        env={**os.environ, "REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.stderr, run.returncode) == ("", 0)
    assert re.fullmatch(r"acquired token=\d{16}\nreleased\n", run.stdout)
    assert int(server.client.info("lock")["lock_released"]) == before + 1
    assert not server.info("lock:orders")


def test_the_code_of_the_readme_runs(server: Server) -> None:
    charged: List[int] = []
    names: Dict[str, Any] = {
        "url": f"redis://127.0.0.1:{server.port}",
        "charge": lambda order, token: charged.append(token),
        "pages": [1, 2, 3],
        "write": lambda page, token: charged.append(token),
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        if "async with" in block:
            in_async: Dict[str, Any] = dict(names)
            exec(block, in_async)
            asyncio.run(in_async["main"]())
        else:
            exec(block, names)
    assert len(charged) == 5 and charged == sorted(charged)
    for lock in (names["lock"], names["ReentrantLock"](names["client"], "lock:import", timeout=10, auto_renew=True)):
        assert lock.acquire(blocking=False)
        lock.release()
    names["client"].close()
