"""Connections for blocking code, and the driver that carries out the steps of a flow on them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from collections import defaultdict
from typing import Any, DefaultDict, Dict, Optional, Tuple

from . import _connect as connect
from . import _rules as rules
from ._flows import Call, Flow, Flows, Give, Outcome, Pause
from ._hold import Hold, now
from ._library import Library, library_of
from ._rules import Address, Args

# For how long a connection is read after the caller was interrupted, in seconds.
_UNDO = 1.0


_every: "weakref.WeakSet[Link]" = weakref.WeakSet()


class Link:
    """One connection. A session's check may be under way on it, sent by the watcher."""

    def __init__(self, connection: Any, address: Optional[Address], library: Library) -> None:
        self.connection = connection
        self._errors = library.errors
        self.address = address
        self.turn = threading.Lock()
        self.checked: Optional[float] = None  # when a check was sent whose reply is still to come
        self.hold: Optional[Hold] = None
        self.idle: Optional[float] = None
        self._asked_idle = False
        _every.add(self)

    def ask(self, args: Args, timeout: Optional[float], asking: bool = False) -> Any:
        """The reply, or the library's exception; a reply that is an error is one of its response errors."""
        with self.turn:
            if self.checked is not None:
                with contextlib.suppress(self._errors.ResponseError):  # this call will tell, too
                    self.read_check(timeout)
            if asking:
                self.connection.send_command("ASKING", check_health=False)
                self._read(timeout)
            self.connection.send_command(*args, check_health=False)
            return self._read(timeout)

    def _read(self, timeout: Optional[float]) -> Any:
        sock = self.connection._sock
        if sock is None:
            raise self._errors.ConnectionError("the connection was closed")
        sock.settimeout(timeout)
        return self.connection.read_response(disconnect_on_error=False)

    def learn_idle(self, timeout: float) -> None:
        """After how many seconds the server closes an idle connection, if the user may know that."""
        if not self._asked_idle:
            try:
                reply = self.ask(("CONFIG", "GET", "timeout"), timeout)
                self.idle = float(reply[1]) or None if len(reply) > 1 else None
            except self._errors.ResponseError:
                self.idle = None  # the user may not ask
            self._asked_idle = True

    def send_check(self) -> None:
        """By the watcher, with `turn` taken."""
        assert self.hold is not None
        self.checked = now()
        hold = self.hold
        self.connection.send_command(*rules.renew(hold.key, hold.owner, hold.ttl, hold.token), check_health=False)

    def read_check(self, timeout: Optional[float]) -> Any:
        """The reply to the check under way, which is to be put down to the hold. With `turn` taken."""
        sent, self.checked = self.checked, None
        reply = self._read(timeout)
        if self.hold is not None and sent is not None:
            self.hold.extend(rules.parse(reply), sent)
        return reply

    def readable(self) -> bool:
        """False if there is nothing to read. Raises at the end of the connection."""
        return bool(self.connection.can_read(timeout=0))

    def raise_if_ended(self) -> None:
        """What is written to a connection that has ended already was certainly not run."""
        with self.turn:
            if self.checked is None and self.readable():
                raise self._errors.ConnectionError("it sent something that nobody had asked for")

    def fileno(self) -> int:
        sock = self.connection._sock
        return -1 if sock is None else int(sock.fileno())

    def close(self) -> None:
        self.connection.disconnect()

    def drop(self) -> None:
        """In a forked child: closes its copy of the descriptor, and leaves the connection as it is."""
        sock = self.connection._sock
        if sock is not None and sock.fileno() >= 0:
            os.close(sock.detach())

    def shut(self) -> None:
        """Ends the connection while another thread uses it: that one finds it ended."""
        sock = self.connection._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def undo(self, args: Args) -> None:
        """Takes back a call that was interrupted: by a release behind it, which the server runs in order."""
        try:
            sock = self.connection._sock
            sock.settimeout(_UNDO)
            self.connection.send_command(*args, check_health=False)
            sock.shutdown(socket.SHUT_WR)  # a wait ends by this
            # If something were unread when it is closed, it might be cut off before the server has read it all.
            stop = now() + _UNDO
            while now() < stop and sock.recv(4096):
                pass
        except Exception:
            pass
        finally:
            self.close()


_all: "weakref.WeakSet[Links]" = weakref.WeakSet()


class Links:
    """The connections of the locks of one client."""

    def __init__(self, client: Any, owner: Any) -> None:
        self.library = library_of(client)
        self.cluster = connect.is_cluster(client)
        self._client = weakref.ref(client) if self.cluster else None
        self._pool = None if self.cluster else weakref.ref(owner)
        self._moved: Dict[int, Address] = {}
        self.flows = Flows(self.library, connect.attempt_of(self._any_settings()))
        self._after_fork()
        self._follow_close(owner)
        _all.add(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._free: DefaultDict[Optional[Address], connect.Free[Link]] = defaultdict(connect.Free)

    def _follow_close(self, owner: Any) -> None:
        """Whoever closes the client or its pool closes what was left here, too."""
        name = "close" if self.cluster else "disconnect"
        close, mine = getattr(owner, name), weakref.ref(self)

        def closing(*args: Any, **kwargs: Any) -> Any:
            links = mine()
            if links is not None:
                links.close_free()
            return close(*args, **kwargs)

        setattr(owner, name, closing)

    def _any_settings(self) -> Dict[str, Any]:
        if self._pool is not None:
            pool: Any = self._pool()
            return pool.connection_kwargs  # type: ignore[no-any-return]
        client: Any = self._client and self._client()
        return client.nodes_manager.connection_kwargs  # type: ignore[no-any-return]

    def _source(self, key: Any, address: Optional[Address]) -> Tuple[Any, Dict[str, Any], Optional[Address]]:
        if self._pool is not None:
            pool: Any = self._pool()
            return pool.connection_class, pool.connection_kwargs, address
        client: Any = self._client and self._client()
        slot = client.keyslot(key)
        node = client.get_node_from_key(key)
        pool = getattr(client, f"get_{self.library.name}_connection")(node).connection_pool
        where = address or self._moved.get(slot) or (str(node.host), int(node.port))
        return pool.connection_class, pool.connection_kwargs, where

    def take(self, key: Any, address: Optional[Address], asking: bool) -> Link:
        kind, kwargs, where = self._source(key, address)
        if address is not None and not asking and self.cluster:
            client: Any = self._client and self._client()
            self._moved[client.keyslot(key)] = address
        while True:
            with self._lock:
                free = self._free[where].take()
            if free is None:
                break
            try:
                if not free.readable():
                    return free
            except Exception:
                pass
            free.close()
        # A link before it is connected: another thread may fork meanwhile.
        link = Link(kind(**connect.settings(kwargs, self.library, "", where)), where, self.library)
        link.connection.connect()
        return link

    def give(self, link: Link) -> None:
        if link.fileno() < 0 or link.checked is not None or link.connection.pid != os.getpid():
            link.close()
            return
        link.hold = None
        with self._lock:
            self._free[link.address].put(link, now())
            old = [one for free in self._free.values() for one in free.old(now())]
        for link in old:
            link.close()

    def close_free(self) -> None:
        with self._lock:
            links = [link for free in self._free.values() for link in free.clear()]
        for link in links:
            link.close()

    def look(self) -> None:
        """Something failed: find out anew where the master or the node is."""
        self.close_free()
        if self._client is not None:
            self._moved.clear()
            client = self._client()
            if client is not None:
                try:
                    client.nodes_manager.initialize()
                except Exception:
                    pass  # the next attempt tells

    def run(self, flow: Flow) -> Any:
        """Carries a flow out in the calling thread."""
        result: Any = None
        step: Any = None
        try:
            while True:
                step = flow.send(result)
                result = None
                if isinstance(step, Call):
                    result = self._call(step)
                elif isinstance(step, Pause):
                    self.look()
                    time.sleep(step.seconds)
                elif isinstance(step, Give) and step.link is not None:
                    step.link.close() if step.close else self.give(step.link)
        except StopIteration as end:
            return end.value
        except Exception:
            raise
        except BaseException:
            stray = getattr(step, "stray", None)
            if stray:
                self._call(Call(stray, _UNDO))
            raise
        finally:
            flow.close()

    def _call(self, call: Call) -> Outcome:
        link: Optional[Link] = call.link
        outcome = Outcome(now())
        try:
            if link is None:
                link = self.take(call.args[1], call.address, call.asking)
            if call.session:
                link.learn_idle(self.flows.attempt)
            elif call.link is not None:
                link.raise_if_ended()
            outcome.sent, outcome.written = now(), True
            outcome.reply = link.ask(call.args, call.timeout, call.asking)
            outcome.link = link
        except Exception as error:
            outcome.error, outcome.kind = error, rules.classify(self.library, error)
            if outcome.kind is rules.Kind.NO_REPLY and link is not None:
                link.close()  # a reply that comes late must not be taken for the next one
                link = None
            if outcome.kind is rules.Kind.UNAVAILABLE and call.link is None and link is not None:
                link.close()
                link = None
        except BaseException:
            if link is not None:
                link.undo(call.undo) if call.undo and outcome.written else link.close()
            raise
        if link is not None and call.link is None and not (call.keep and outcome.kind is None):
            self.give(link)
            outcome.link = None
        return outcome


def links_of(client: Any) -> Links:
    links: Links = connect.shared(client, lambda owner: Links(client, owner))
    return links


def _forked() -> None:
    """The parent's connections are the parent's. Open here too, they would keep its sessions when it dies."""
    for link in list(_every):
        link.drop()
    for links in list(_all):
        links._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
