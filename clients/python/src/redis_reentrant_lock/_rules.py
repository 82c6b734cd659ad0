"""What is sent, what an answer means, and how long to wait before a repeat. No I/O, no state."""

from __future__ import annotations

import math
import random
import uuid
from enum import Enum
from typing import Any, List, NamedTuple, Optional, Tuple, Union

from ._library import Library

Arg = Union[str, bytes, int]
Args = Tuple[Arg, ...]
Address = Tuple[str, int]

MAX_MS = 9007199254740991
# How much longer than the WAIT to read for its reply, in seconds.
READ_MARGIN = 5.0
# For how long a call that does not wait is repeated, in seconds.
REPEAT_FOR = 3.0
# The longest time for one attempt, in seconds, where the client has no socket_timeout.
ATTEMPT = 5.0
# How often one call follows MOVED or ASK without a pause.
REDIRECTS = 16


class Reply(NamedTuple):
    """The four integers of LOCK.ACQUIRE and LOCK.RENEW; `ttl` in seconds."""

    acquired: bool
    holds: int
    token: int
    ttl: float


def parse(reply: Any) -> Reply:
    acquired, holds, token, ttl = (int(part) for part in reply)
    return Reply(acquired == 1, holds, token, ttl / 1000)


def milliseconds(seconds: float) -> int:
    """Rounded up. A thousandth of a millisecond off is an error of the floating point, and not time."""
    return max(1, math.ceil(round(seconds * 1000, 3)))


def new_owner() -> bytes:
    return str(uuid.uuid4()).encode()


def acquire(
    key: Any,
    owner: bytes,
    ttl: Optional[int],
    session: bool,
    holds: int,
    *,
    wait: Optional[int] = None,
    token: Optional[int] = None,
) -> Args:
    args: List[Arg] = ["LOCK.ACQUIRE", key, owner]
    if ttl is not None:
        args.append(ttl)
    if wait is not None:
        args += ["WAIT", wait]
    if session:
        args.append("SESSION")
    args += ["HOLDS", holds]
    if token is not None:
        args += ["TOKEN", token]
    return tuple(args)


def renew(key: Any, owner: bytes, ttl: Optional[int], token: int) -> Args:
    return ("LOCK.RENEW", key, owner, *(() if ttl is None else (ttl,)), "TOKEN", token)


def release(key: Any, owner: bytes, holds: int, token: Optional[int] = None) -> Args:
    return ("LOCK.RELEASE", key, owner, "HOLDS", holds, *(() if token is None else ("TOKEN", token)))


class Kind(Enum):
    """What an error means for the call that got it."""

    NO_REPLY = "the outcome is unknown, or the server was not reached"
    UNAVAILABLE = "the server cannot serve the call now"
    MOVED = "another node has the key"
    ASK = "another node has the key, for this call"
    NOT_HELD = "the owner has no such hold"
    REFUSED = "anything else: the caller has to know"


_UNAVAILABLE = ("TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN")
# By the module, and by the server itself, which may be the first to end the wait.
_ROLE_CHANGED = ("role has changed", "instance state changed")
_NOT_HELD = ("NOTOWNER", "HOLDCOUNT", "WRONGTYPE")
_CLASSES = (  # subclasses first
    ("MovedError", "MOVED"),
    ("AskError", "ASK"),
    ("TryAgainError", "TRYAGAIN"),
    ("MasterDownError", "MASTERDOWN"),
    ("ClusterDownError", "CLUSTERDOWN"),
    ("ReadOnlyError", "READONLY"),
    ("BusyLoadingError", "LOADING"),
    ("NoPermissionError", "NOPERM"),
)


def code_of(library: Library, error: BaseException) -> str:
    """The server's error code. The libraries cut it off the text where they have a class for it."""
    for name, code in _CLASSES:
        if isinstance(error, getattr(library.errors, name, ())):
            return code
    if isinstance(error, library.response_error):
        return str(error).partition(" ")[0]
    return ""


def classify(library: Library, error: BaseException) -> Kind:
    code = code_of(library, error)
    if code in ("MOVED", "ASK"):
        return Kind[code]
    if code in _UNAVAILABLE or (code == "UNBLOCKED" and any(sign in str(error) for sign in _ROLE_CHANGED)):
        return Kind.UNAVAILABLE
    if code in _NOT_HELD:
        return Kind.NOT_HELD
    if isinstance(error, library.no_node):
        return Kind.UNAVAILABLE  # no node is known to serve the slot
    if isinstance(error, library.refused):
        return Kind.REFUSED
    if isinstance(error, library.no_reply):
        # With Sentinel the library turns the reply READONLY into a connection error.
        if isinstance(error.__context__, library.errors.ReadOnlyError):
            return Kind.UNAVAILABLE
        return Kind.NO_REPLY
    return Kind.REFUSED


def address_of(error: BaseException) -> Address:
    """The node that a MOVED or ASK names."""
    node = getattr(error, "node_addr", None) or str(error).split(" ")[-1].rsplit(":", 1)
    return str(node[0]), int(node[1])


def advice(library: Library, error: Exception, command: str, key: object) -> Exception:
    """The error to raise for one that the caller has to know, with what to do about it."""
    code, text = code_of(library, error), str(error)
    if code == "DEADLOCK":
        return library.error(f"{text}: release the locks that you hold, and begin again", key, code)
    if code == "TOOMANYWAITERS":
        return library.error(f"{text}: try again later, or raise lock.max-waiters on the server", key, code)
    if code == "UNBLOCKED":
        return library.error(f"{text}: an operator ended the wait for the lock", key, code)
    if code == "NOPERM":
        return library.errors.NoPermissionError(  # type: ignore[no-any-return]
            f"{text}: the user needs +{command.lower()} and the key pattern of {_shown(key)}"
        )
    if isinstance(error, library.response_error) and "unknown command" in text:
        return library.response_error(
            f"{text}: the server has no module redis-reentrant-lock loaded; add it by loadmodule on every node"
        )
    return error


def _shown(key: object) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


def backoff(attempt: int) -> float:
    """Seconds before repeat number `attempt` (from 0): random, growing, at most one."""
    return random.uniform(0.5, 1.0) * min(0.1 * 2.0**attempt, 1.0)


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """`value` as a time in seconds, or one clear line that says what it may be."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and (number > 0 or (zero and number == 0)) and number * 1000 <= MAX_MS:
            return number
    least = "from 0" if zero else "above 0"
    raise ValueError(f"{name} must be a number of seconds {least}, not {value!r}")
