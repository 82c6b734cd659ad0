"""Connections for asyncio, and the driver that carries out the steps of a flow on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections import defaultdict, deque
from typing import Any, Coroutine, DefaultDict, Deque, Dict, Optional, Set, Tuple

from .. import _connect as connect
from .. import _rules as rules
from .._flows import Call, Flow, Flows, Give, Outcome, Pause
from .._hold import now
from .._library import Library, library_of
from .._rules import Address, Args

# For how long a connection is read after the caller was cancelled, in seconds.
_UNDO = 1.0

_background: Set["asyncio.Task[Any]"] = set()


def in_background(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Runs `work` to its end, whoever waits for it. The loop itself keeps no task alive."""
    task = asyncio.ensure_future(work)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


_every: "weakref.WeakSet[Link]" = weakref.WeakSet()


class Link:
    """One connection. While it holds a session, a task reads it the whole time, so that its end is noticed."""

    def __init__(self, connection: Any, address: Optional[Address], library: Library) -> None:
        self.connection = connection
        self.address = address
        self.loop = asyncio.get_running_loop()
        self.idle: Optional[float] = None
        self.ended: Optional[BaseException] = None
        self._errors = library.errors
        self._asked_idle = False
        self._reader: Optional["asyncio.Task[None]"] = None
        self._waiting: Deque["asyncio.Future[Any]"] = deque()
        self._on_end: Any = None
        _every.add(self)

    async def ask(self, args: Args, timeout: Optional[float], asking: bool = False) -> Any:
        """The reply, or the library's exception; a reply that is an error is one of its response errors."""
        if asking:
            await self.ask(("ASKING",), timeout)
        if self.ended is not None:
            raise self._errors.ConnectionError(str(self.ended))
        try:
            if self._reader is None:
                await asyncio.wait_for(self.connection.send_command(*args, check_health=False), timeout)
                return await asyncio.wait_for(self._read(), timeout)
            answer: "asyncio.Future[Any]" = self.loop.create_future()
            self._waiting.append(answer)
            await self.connection.send_command(*args, check_health=False)
            return await asyncio.wait_for(answer, timeout)
        except asyncio.TimeoutError:
            raise self._errors.TimeoutError(f"no reply for {timeout:.3f} seconds") from None

    async def _read(self) -> Any:
        return await self.connection.read_response(disconnect_on_error=False)

    def watch(self, on_end: Any) -> None:
        """Read from now on, and call `on_end` when the connection ends."""
        self._on_end = on_end
        self._reader = in_background(self._read_all())

    async def _read_all(self) -> None:
        try:
            while True:
                try:
                    reply = await self._read()
                except self._errors.ResponseError as error:
                    self._answer(error)
                else:
                    self._answer(reply)
        except asyncio.CancelledError:
            if self._reader is not None:
                self.cut()  # the loop comes to its end
            raise
        except Exception as error:
            self.ended = error
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(self._errors.ConnectionError(str(error)))
                    answer.exception()  # nobody may be waiting for it any more
            self._waiting.clear()
            if self._on_end is not None:
                self._on_end(error)

    def _answer(self, reply: Any) -> None:
        if not self._waiting:
            raise self._errors.ConnectionError("it sent something that nobody had asked for")
        answer = self._waiting.popleft()
        if answer.done():
            return  # given up
        if isinstance(reply, Exception):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    async def unwatch(self) -> None:
        self._on_end = None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.wait({reader})

    async def learn_idle(self, timeout: float) -> None:
        """After how many seconds the server closes an idle connection, if the user may know that."""
        if not self._asked_idle:
            try:
                reply = await self.ask(("CONFIG", "GET", "timeout"), timeout)
                self.idle = float(reply[1]) or None if len(reply) > 1 else None
            except self._errors.ResponseError:
                self.idle = None  # the user may not ask
            self._asked_idle = True

    def usable(self) -> bool:
        """Connected, quiet, and nothing under way."""
        reader = self.connection._reader
        return (
            self.ended is None
            and not self._waiting
            and reader is not None
            and not reader.at_eof()
            and reader.exception() is None
            and not reader._buffer
        )

    async def close(self) -> None:
        self.cut()
        with contextlib.suppress(Exception):
            await self.connection.disconnect(nowait=True)

    def cut(self) -> None:
        """Ends the connection now, without waiting for anything."""
        self._on_end = None
        self.ended = self.ended or self._errors.ConnectionError("the connection was closed")
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(self._errors.ConnectionError("the connection was closed"))
                answer.exception()
        self._waiting.clear()
        writer = self.connection._writer
        if writer is not None:
            self.connection._reader = self.connection._writer = None
            with contextlib.suppress(Exception):
                writer.close()

    def drop(self, null: int) -> None:
        """In a forked child: puts `null` in place of its copy of the descriptor, and leaves the connection as it is.

        The number stays in use: the transport will close it, and may take it out of the selector of the parent, which
        is the child's too.
        """
        self.ended = self.ended or self._errors.ConnectionError("it is the parent's")
        writer = self.connection._writer
        if writer is None or writer.is_closing():
            return
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            os.dup2(null, sock.fileno(), inheritable=False)

    def undo(self, args: Args) -> None:
        """Takes back a call that was cancelled: by a release behind it, which the server runs in order."""
        reader, writer = self.connection._reader, self.connection._writer
        try:
            writer.writelines(self.connection.pack_command(*args))
            if writer.can_write_eof():
                writer.write_eof()  # a wait ends by this
        except Exception:
            self.cut()
        else:
            in_background(self._read_to_end(reader))

    async def _read_to_end(self, reader: Any) -> None:
        """A connection that is closed with something unread may be cut off before the server has read it all."""
        try:
            stop = now() + _UNDO
            while now() < stop and await asyncio.wait_for(reader.read(4096), _UNDO):
                pass
        except Exception:
            pass
        finally:
            self.cut()


class Links:
    """The connections of the locks of one client."""

    def __init__(self, client: Any, owner: Any) -> None:
        self.library = library_of(client)
        self.cluster = connect.is_cluster(client)
        self._client = weakref.ref(client) if self.cluster else None
        self._pool = None if self.cluster else weakref.ref(owner)
        self._moved: Dict[int, Address] = {}
        kwargs = client.connection_kwargs if self.cluster else owner.connection_kwargs
        self.flows = Flows(self.library, connect.attempt_of(kwargs))
        self._free: DefaultDict[Optional[Address], connect.Free[Link]] = defaultdict(connect.Free)
        self._follow_close(owner)

    def _follow_close(self, owner: Any) -> None:
        """Whoever closes the client or its pool closes what was left here, too."""
        name = "aclose" if self.cluster else "disconnect"
        close, mine = getattr(owner, name), weakref.ref(self)

        async def closing(*args: Any, **kwargs: Any) -> Any:
            links = mine()
            if links is not None:
                await links.close_free()
            return await close(*args, **kwargs)

        setattr(owner, name, closing)

    async def _source(self, key: Any, address: Optional[Address]) -> Tuple[Any, Dict[str, Any], Optional[Address]]:
        if self._pool is not None:
            pool: Any = self._pool()
            return pool.connection_class, pool.connection_kwargs, address
        client: Any = self._client and self._client()
        await client.initialize()
        node = client.get_node_from_key(key)
        if node is None:
            raise self.library.errors.ClusterError(f"no node of the cluster is known for the key {key!r}")
        where = address or self._moved.get(client.keyslot(key)) or (str(node.host), int(node.port))
        return node.connection_class, node.connection_kwargs, where

    async def take(self, key: Any, address: Optional[Address], asking: bool) -> Link:
        kind, kwargs, where = await self._source(key, address)
        if address is not None and not asking and self.cluster:
            client: Any = self._client and self._client()
            self._moved[client.keyslot(key)] = address
        free = self._free[where]
        while link := free.take():
            if link.loop is asyncio.get_running_loop():
                if link.usable():
                    return link
                await link.close()
        connection = kind(**connect.settings(kwargs, self.library, ".asyncio", where))
        link = Link(connection, where, self.library)  # before it is connected: another task may fork meanwhile
        try:
            await connection.connect()
        except BaseException:
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)
            raise
        return link

    async def give(self, link: Link) -> None:
        await link.unwatch()
        if link.usable():
            self._free[link.address].put(link, now())
        else:
            await link.close()
        for old in [one for free in self._free.values() for one in free.old(now())]:
            if old.loop is link.loop:  # else that loop has most likely ended
                await old.close()

    async def close_free(self) -> None:
        links = [link for free in self._free.values() for link in free.clear()]
        for link in links:
            await link.close()

    async def look(self) -> None:
        """Something failed: find out anew where the master or the node is."""
        await self.close_free()
        client: Any = self._client and self._client()
        if client is not None:
            self._moved.clear()
            with contextlib.suppress(Exception):  # the next attempt tells
                await client.nodes_manager.initialize()

    async def run(self, flow: Flow) -> Any:
        """Carries a flow out in the calling task."""
        result: Any = None
        step: Any = None
        try:
            while True:
                step = flow.send(result)
                result = None
                if isinstance(step, Call):
                    result = await self._call(step)
                elif isinstance(step, Pause):
                    await self.look()
                    await asyncio.sleep(step.seconds)
                elif isinstance(step, Give) and step.link is not None:
                    if step.close:
                        step.link.cut()
                    else:
                        await self.give(step.link)
        except StopIteration as end:
            return end.value
        except Exception:
            raise
        except BaseException:
            stray = getattr(step, "stray", None)
            if stray:
                in_background(self._call(Call(stray, _UNDO)))
            raise
        finally:
            flow.close()

    async def _call(self, call: Call) -> Outcome:
        link: Optional[Link] = call.link
        outcome = Outcome(now())
        try:
            if link is None:
                link = await self.take(call.args[1], call.address, call.asking)
            if call.session:
                await link.learn_idle(self.flows.attempt)
            elif call.link is not None:
                await asyncio.sleep(0)  # what is written to a connection that has ended already was certainly not run
            outcome.sent, outcome.written = now(), link.ended is None
            outcome.reply = await link.ask(call.args, call.timeout, call.asking)
            outcome.link = link
        except Exception as error:
            outcome.error, outcome.kind = error, rules.classify(self.library, error)
            if outcome.kind is rules.Kind.NO_REPLY and link is not None:
                await link.close()  # a reply that comes late must not be taken for the next one
                link = None
            if outcome.kind is rules.Kind.UNAVAILABLE and call.link is None and link is not None:
                await link.close()
                link = None
        except BaseException:
            if link is not None:
                link.undo(call.undo) if call.undo and outcome.written else link.cut()
            raise
        if link is not None and call.link is None and not (call.keep and outcome.kind is None):
            await self.give(link)
            outcome.link = None
        return outcome


def links_of(client: Any) -> Links:
    links: Links = connect.shared(client, lambda owner: Links(client, owner))
    return links


def _forked() -> None:
    """The parent's connections are the parent's. Open here too, they would keep its sessions when it dies."""
    null = os.open(os.devnull, os.O_RDWR)
    for link in list(_every):
        link.drop(null)
    os.close(null)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
