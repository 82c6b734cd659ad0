"""A proxy that loses what a test tells it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import List, Optional


class Proxy:
    """Forwards connections to a server on 127.0.0.1.

    `lose(command)`: the next call whose bytes contain `command` reaches the server, and its reply is lost: the
    connection is cut instead, or with `cut=False` the reply and all that follow are swallowed.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._guard = threading.Lock()
        self._lose: List[bytes] = []
        self._cut = True
        self.lost = 0
        self.seen: List[bytes] = []
        self._open: List[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, *commands: bytes, cut: bool = True) -> None:
        with self._guard:
            self._lose, self._cut, self.lost = list(commands), cut, 0

    def refuse(self) -> None:
        """Accepts nothing any more, and cuts what is open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        with self._guard:
            sockets, self._open = self._open, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    close = refuse

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                with self._guard:
                    self._open += [client, server]
                link = _Pair(client, server)
                threading.Thread(target=self._up, args=(link,), daemon=True).start()
                threading.Thread(target=self._down, args=(link,), daemon=True).start()

    def _up(self, link: "_Pair") -> None:
        with contextlib.suppress(OSError):
            while True:
                data = link.client.recv(65536)
                if not data:
                    break
                with self._guard:
                    self.seen.append(data)
                    if self._lose and self._lose[0] in data:
                        self._lose.pop(0)
                        link.losing = "cut" if self._cut else "swallow"
                link.server.sendall(data)
        link.end(link.server)

    def _down(self, link: "_Pair") -> None:
        with contextlib.suppress(OSError):
            while True:
                data = link.server.recv(65536)
                if not data:
                    break
                if link.losing is not None:
                    with self._guard:
                        self.lost += 1
                    if link.losing == "cut":
                        link.end(link.server)
                        break
                    continue
                link.client.sendall(data)
        link.end(link.client)


class _Pair:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.losing: Optional[str] = None

    @staticmethod
    def end(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
