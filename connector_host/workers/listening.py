"""The port: the parent listens and hands each connection to a worker, which speaks TLS on it from the first byte.

So a port that is taken is noticed, no connection waits at a worker that died, and all get as many.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

import structlog

from connector_host.observability import events
from connector_host.service.lifecycle import CannotListen, explain_bind
from connector_host.workers.handles import take

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from aiohttp import web

_BACKLOG: Final = 1_024
_PAUSE_S: Final = 0.1
"""Before another try where no connection can be taken, or no worker takes it."""


def bind(address: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on everything that the address stands for; raises CannotListen."""
    with ExitStack() as opened:
        listening = []
        try:
            kind, passive = socket.SOCK_STREAM, socket.AI_PASSIVE
            found = dict.fromkeys(socket.getaddrinfo(address or None, port, type=kind, flags=passive))
            for family, kind, protocol, _, place in found:
                listener = opened.enter_context(socket.socket(family, kind, protocol))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(place)
                listener.listen(_BACKLOG)
                listener.setblocking(False)  # noqa: FBT003 - the library's own order
                listening.append(listener)
        except OSError as failure:
            raise CannotListen(explain_bind(failure, address, port)) from failure
        opened.pop_all()
        return listening


async def hand_out(listener: socket.socket, give: Callable[[socket.socket], bool]) -> None:
    """Take connections until cancelled, and give each to a worker; one waits where none takes it."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as failure:  # no descriptors left, or a client that was gone at once
            structlog.get_logger().warning(events.COMPANION_FAILED, reason=failure.strerror or "")
            await asyncio.sleep(_PAUSE_S)
            continue
        with connection:
            while not give(connection):  # noqa: ASYNC110 - nobody tells when a worker takes connections again
                await asyncio.sleep(_PAUSE_S)


class Handed:
    """A worker's side: serves the connections that come over a socket."""

    def __init__(self, given: socket.socket, runner: web.AppRunner, tls: ssl.SSLContext) -> None:
        self._given, self._runner, self._tls = given, runner, tls
        self._opening: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Take connections from now on."""
        asyncio.get_running_loop().add_reader(self._given, self._take)

    def end(self) -> None:
        """Take no more; those that are being opened are hung up on."""
        asyncio.get_running_loop().remove_reader(self._given)
        for task in self._opening:
            task.cancel()

    def _take(self) -> None:
        try:
            handle = take(self._given)
        except BlockingIOError:
            return
        if handle is None:  # the parent is gone
            self.end()
            return
        task = asyncio.create_task(self._open(socket.socket(fileno=handle)))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        server = self._runner.server
        assert server is not None  # noqa: S101 - it was set up before this began
        connection.setblocking(False)  # noqa: FBT003 - the library's own order
        # A client that does not want to speak TLS with us is no news.
        with suppress(OSError, TimeoutError):
            await asyncio.get_running_loop().connect_accepted_socket(server, connection, ssl=self._tls)
