"""How a lock's own connections are made from the settings of the caller's client.

They are not taken from the client's pool: held locks and waits would use it up, and its retry, health check and
read timeout are wrong for them. They are made by the pool's own connection class from the pool's own settings, so
that TLS, Unix sockets, passwords, Sentinel and the like work as they do for the client.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Any, Callable, Deque, Dict, Generic, List, Optional, Tuple, TypeVar

from ._library import Library
from ._rules import ATTEMPT, Address

# For how many seconds a connection that no lock uses is kept for later ones. So there are as many as were needed at
# once in that time.
KEEP_IDLE = 60.0

L = TypeVar("L")

_ATTRIBUTE = "_reentrant_lock_links"


def keepalive() -> Dict[int, int]:
    """A dead host is noticed after 30 seconds: after 15, each 5, 3 times.

    While sent data is not acknowledged nothing is probed, and Linux sends it again for about a quarter of an hour. So
    TCP_USER_TIMEOUT limits that to the same time, in milliseconds.
    """
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # its name on macOS
    wanted = ((idle, 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))
    return {getattr(socket, name): value for name, value in wanted if hasattr(socket, name)}


def settings(given: Dict[str, Any], library: Library, flavour: str, address: Optional[Address]) -> Dict[str, Any]:
    """The keyword arguments for a connection of the lock's own."""
    kwargs = {name: value for name, value in given.items() if not name.startswith(("maint_", "maintenance_", "oss_"))}
    for name in ("retry_on_error", "legacy_responses", "orig_host_address"):
        kwargs.pop(name, None)
    kwargs.update(
        retry=library.no_retry(flavour),
        retry_on_timeout=False,
        health_check_interval=0,
        decode_responses=False,
        protocol=2,  # four integers need no RESP3, and nothing is pushed in between
        socket_connect_timeout=given.get("socket_connect_timeout") or attempt_of(given),
        socket_timeout=None if flavour else attempt_of(given),
    )
    if "path" not in kwargs:
        kwargs.update(socket_keepalive=True, socket_keepalive_options=keepalive())
        if address is not None:
            kwargs.update(host=address[0], port=address[1])
    return kwargs


class Free(Generic[L]):
    """The connections to one node that no lock uses."""

    def __init__(self) -> None:
        self._since: Deque[Tuple[float, L]] = deque()

    def take(self) -> Optional[L]:
        """The one that was used last."""
        return self._since.pop()[1] if self._since else None

    def put(self, link: L, now: float) -> None:
        """Keeps `link`."""
        self._since.append((now, link))

    def old(self, now: float) -> List[L]:
        """Those that nobody has used for too long, which are to be closed."""
        old = []
        while self._since and self._since[0][0] < now - KEEP_IDLE:
            old.append(self._since.popleft()[1])
        return old

    def clear(self) -> List[L]:
        """All, which are to be closed."""
        links = [link for _, link in self._since]
        self._since.clear()
        return links


def attempt_of(kwargs: Dict[str, Any]) -> float:
    """The longest time for a call that does not wait."""
    return float(kwargs.get("socket_timeout") or ATTEMPT)


def is_cluster(client: Any) -> bool:
    return hasattr(client, "nodes_manager")


def shared(client: Any, make: Callable[[Any], Any]) -> Any:
    """The connections of the locks of `client`: one set for each pool or cluster client."""
    owner = client if is_cluster(client) else client.connection_pool
    links = getattr(owner, _ATTRIBUTE, None)
    if links is None:
        links = make(owner)
        setattr(owner, _ATTRIBUTE, links)
    return links
