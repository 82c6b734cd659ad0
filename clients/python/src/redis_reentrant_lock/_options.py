"""What the blocking lock and the asyncio one have in common: their arguments."""

from __future__ import annotations

import math
from typing import Any, Optional, Union

from . import _rules as rules
from ._flows import lost_text
from ._hold import Hold, now
from ._library import library_of

Number = Union[int, float]


class Options:
    """The arguments of a lock, checked."""

    def __init__(
        self,
        redis: Any,
        name: Any,
        timeout: Optional[Number],
        sleep: Number,
        blocking: bool,
        blocking_timeout: Optional[Number],
        thread_local: bool,
        raise_on_release_error: bool,
        session: Optional[bool],
        auto_renew: bool,
        idle_timeout: Optional[Number],
    ) -> None:
        self._library = library_of(redis)
        if not isinstance(name, (str, bytes, bytearray, memoryview)) or len(name) == 0:
            raise ValueError(f"name must be a string or bytes, and not empty, not {name!r}")
        self.redis = redis
        self.name: Union[str, bytes] = name if isinstance(name, (str, bytes)) else bytes(name)
        self.timeout = timeout
        self.sleep = sleep
        self.blocking = blocking
        self.blocking_timeout = blocking_timeout
        self.thread_local = bool(thread_local)
        self.raise_on_release_error = raise_on_release_error
        self.session = timeout is None if session is None else bool(session)
        self.auto_renew = bool(auto_renew)
        self._ttl = None if timeout is None else rules.milliseconds(rules.seconds("timeout", timeout))
        self._idle = None if idle_timeout is None else rules.seconds("idle_timeout", idle_timeout)
        if self._ttl is None and not self.session:
            raise ValueError("timeout must be a number of seconds above 0 with session=False, not None")
        if self.session and self._ttl is not None and self._ttl < 1000:
            raise ValueError(f"timeout must be 1 second or more with session=True, not {timeout!r}")
        if self.session and self.auto_renew:
            raise ValueError("auto_renew must be False for a session: the server renews it")
        if blocking_timeout is not None:
            rules.seconds("blocking_timeout", blocking_timeout, zero=True)

    def _check_timeout(self, what: str) -> None:
        if self.timeout is None:
            raise self._library.error(
                f"cannot {what} a lock without a timeout: the server renews it for as long as it is held", self.name
            )

    def _extended(self, hold: Hold, additional_time: Number, replace_ttl: bool) -> int:
        more = rules.seconds("additional_time", additional_time)
        return rules.milliseconds(more if replace_ttl else more + max(hold.left(), 0))

    def _lost_error(self, hold: Hold) -> Exception:
        return self._library.lost(lost_text(hold), self.name)


def wait_until(blocking: bool, blocking_timeout: Optional[Number]) -> Optional[float]:
    """The time until which to wait: None for not at all, infinity for without limit."""
    if not blocking:
        return None
    if blocking_timeout is None:
        return math.inf
    timeout = rules.seconds("blocking_timeout", blocking_timeout, zero=True)
    return None if timeout == 0 else now() + timeout


def owner_of(client: Any, token: Union[str, bytes, None]) -> bytes:
    """The owner's id: `token` as the client encodes it, or a new one."""
    if token is None:
        return rules.new_owner()
    owner = token if isinstance(token, bytes) else bytes(client.get_encoder().encode(token))
    if not 1 <= len(owner) <= 1024 or owner == b"mode":
        raise ValueError(f"token must be 1 to 1024 bytes, and not 'mode', not {token!r}")
    return owner
