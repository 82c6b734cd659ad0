"""A hold as the client knows it. The flows change it; the watchers look at it."""

from __future__ import annotations

import time
from typing import Any, Optional

from ._rules import Reply

now = time.monotonic


class Hold:
    """One hold of one owner, from its first acquire to its last release or its loss."""

    def __init__(self, key: Any, owner: bytes, ttl: Optional[int], session: bool, idle: Optional[float] = None) -> None:
        self.key = key
        self.owner = owner
        self.ttl = ttl  # ms, None for the server's default
        self.session = session
        self.token = 0
        self.count = 0  # what the caller has
        # The server has so many or one less, and at least `count`. It has more than that after a release that it
        # refused, or a call whose reply was lost.
        self.at_server = 0
        self.until = 0.0
        self.sent = 0.0  # when the call was sent whose reply told `until`
        self.check_at = 0.0
        self.idle = idle  # the server closes connections that are idle for so many seconds
        self.lost: Optional[str] = None
        self.ended = False
        # An earlier release of this hold got no reply: -1 may mean that it succeeded.
        self.maybe_released = False
        self.link: Any = None

    def confirm(self, reply: Reply, sent: float) -> None:
        """Counts from the sending: the reply may have been under way for any time."""
        self.token = reply.token
        self.count = self.at_server = reply.holds
        self.extend(reply, sent)

    def extend(self, reply: Reply, sent: float) -> None:
        """As `confirm`, for a call that leaves the count as it is."""
        if sent < self.sent:
            return
        self.sent = sent
        self.until = sent + reply.ttl
        interval = max(reply.ttl / 3, 0.05)
        if self.session and self.idle:
            interval = min(interval, self.idle / 2)
        self.check_at = sent + interval

    def left(self) -> float:
        return self.until - now()

    def alive(self) -> bool:
        return not self.ended and self.lost is None and self.left() > 0
