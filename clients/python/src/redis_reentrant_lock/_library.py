"""The client library in use: redis-py or valkey-py, whichever the caller's client is of.

Both have the same seams. Their objects are `Any` here, so that neither has to be installed for the other.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Optional, Type


class Library:
    """What this package needs of redis-py or valkey-py, by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        errors = importlib.import_module(f"{name}.exceptions")
        self.errors: Any = errors
        self.response_error: Type[Exception] = errors.ResponseError
        self.lock_error: Type[Exception] = errors.LockError
        self.lock_not_owned: Type[Exception] = errors.LockNotOwnedError
        self.no_reply = (errors.ConnectionError, errors.TimeoutError, OSError)
        self.no_node = getattr(errors, f"{name.capitalize()}ClusterException")
        # Subclasses of ConnectionError that a repeat does not mend.
        self.refused = (errors.AuthenticationError, errors.AuthorizationError)

    def no_retry(self, flavour: str = "") -> Any:
        """The library's retry object that never sends anything again; `flavour` is `.asyncio` or nothing."""
        retry = importlib.import_module(f"{self.name}{flavour}.retry").Retry
        return retry(importlib.import_module(f"{self.name}.backoff").NoBackoff(), 0)

    def error(self, text: str, name: object, code: Optional[str] = None) -> Exception:
        """A LockError of the library; `code` is the server's error code, if it sent one."""
        return self._make(self.lock_error, text, name, code)

    def lost(self, text: str, name: object) -> Exception:
        return self._make(self.lock_not_owned, text, name, None)

    def _make(self, kind: Any, text: str, name: object, code: Optional[str]) -> Exception:
        error: Any = kind(text, lock_name=name)
        error.args = (text,)  # not set by every version, and str(error) shows it
        error.code = code
        return error  # type: ignore[no-any-return]


_libraries: Dict[str, Library] = {}


def library_of(client: object) -> Library:
    """The library that `client`, or the class it is derived from, comes from."""
    for cls in type(client).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in ("redis", "valkey"):
            if name not in _libraries:
                _libraries[name] = Library(name)
            return _libraries[name]
    raise TypeError(f"client must be a client of redis-py or valkey-py, not {type(client).__name__}")
