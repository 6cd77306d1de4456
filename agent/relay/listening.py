"""The relay's port: takes connections, and hands each to the gateway or, by the name it asks for, untouched to a host.

The name is read by a look at the first bytes that leaves them where they are, so whoever gets the connection sees all
of it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import ConfigurationError, Unavailable
from agent.relay.sni import HELLO_BYTES, Incomplete, NameReader
from connector_host.networks import spelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.relay.connections import Connections
    from agent.relay.protocol import Server

HELLO_S: Final = 10.0
"""Seconds in which a client must say which name it wants, and then be done with the handshake."""

_AGAIN_S: Final = 0.02
"""Before the second look at a ClientHello that came in pieces; each next pause is twice as long, up to the longest."""
_SELDOM_S: Final = 0.5
"""The longest: anybody may begin as many as there are connections, and end none."""

_TELL_S: Final = 5.0
"""Between two lines in the log that connections cannot be taken, which goes on for a while for want of open files."""

_BACKLOG: Final = 1024

_NO_TLS: Final = "WRONG_VERSION_NUMBER"
"""What OpenSSL calls first bytes that it does not know."""
_PROXY_PROTOCOL: Final = (b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n")
"""How a connection begins on which a load balancer names its client before TLS, in versions 1 and 2 of that."""
_UNPROXIED: Final = (
    "it speaks the PROXY protocol, which the relay does not: turn that off at the load balancer (send-proxy and "
    "send-proxy-v2 in HAProxy, proxy_protocol in nginx, proxy_protocol_v2.enabled at AWS); one that ends TLS may name "
    "its clients in X-Forwarded-For, where relay.trusted_proxies names it"
)


@dataclass(frozen=True, slots=True)
class Doors:
    """Who gets which connection."""

    gateway: Server
    connections: Connections
    """Which of them are taken at all."""
    context: ssl.SSLContext
    """The gateway's own TLS."""
    passthrough: Mapping[str, str]
    """Host name, lower-case, to the tenant whose host gets the connection as it is."""
    carry: Callable[[str, str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    """Carries one connection of a tenant, asked for by a name, until it ends."""
    turn_away: Callable[[str, str], None]
    """Hears of whom shows a certificate that is not believed: its address, and why."""


_MAY_PASS: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
"""Another program has the port, or the machine has not its address yet."""


class Port:
    """One listening port and the connections that came in through it."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._names = NameReader()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._odd = ""
        """Who spoke no TLS last: how its next connection begins is looked at."""
        self._told = False
        """Whether the log says that somebody speaks the PROXY protocol."""

    def open(self, address: str, port: int) -> int:
        """Listen, and return the port; raises Unavailable, or ConfigurationError for what is no address."""
        try:
            self._socket = _listen(address, port)
        except (OSError, UnicodeError) as failure:  # UnicodeError: a name with an empty part, or too long a one
            where = f"relay.listen and relay.port: {address}:{port}"
            reason = getattr(failure, "strerror", None) or failure
            if isinstance(failure, PermissionError):
                reason = f"{reason}: set a port of 1024 or more, or have `service install` give the service this right"
            may_pass = isinstance(failure, OSError) and failure.errno in _MAY_PASS
            kind = Unavailable if may_pass else ConfigurationError
            raise kind(f"{where} cannot be opened ({reason}).") from failure
        self._accepting = asyncio.create_task(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop_accepting(self) -> None:
        """Take no more connections; those that are here go on."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def close(self) -> None:
        """Take no more connections, and end those that are carried untouched."""
        await self.stop_accepting()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        told_s = -_TELL_S
        while True:
            try:
                connection, peer = await loop.sock_accept(listening)
            except OSError as failure:
                # Too many open files, or a client that was gone at once: others are still waiting.
                if loop.time() - told_s >= _TELL_S:
                    told_s = loop.time()
                    logs.event(events.ACCEPT_FAILED, level=logging.WARNING, reason=str(failure))
                await asyncio.sleep(_AGAIN_S)
                continue
            address = spelled(str(peer[0]))
            leave = self._doors.connections.admit(address)
            if leave is None:
                connection.close()
                continue
            task = asyncio.create_task(self._take(connection, address, leave))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, connection: socket.socket, peer: str, leave: Callable[[], None]) -> None:
        """Hand the connection to whom it is for, and give its place back when it ends."""
        with ExitStack() as held:
            held.callback(leave)
            held.callback(connection.close)
            try:
                connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                looks = self._doors.passthrough or peer == self._odd
                name = await self._peek_name(connection, peer) if looks else None
                tenant = self._doors.passthrough.get(name) if name is not None else None
                if tenant is None or name is None:
                    await self._admit(connection, leave)
                    held.pop_all()
                    return
                reader, writer = await asyncio.open_connection(sock=connection)
            except ssl.SSLCertVerificationError as failure:
                self._doors.turn_away(peer, failure.verify_message)
                return
            except ssl.SSLError as failure:
                if failure.reason == _NO_TLS:
                    self._odd = peer
                return
            except (OSError, TimeoutError):
                # A client that was gone at once, spoke no TLS, or said nothing.
                return
            await self._doors.carry(tenant, name, reader, writer)

    async def _admit(self, connection: socket.socket, leave: Callable[[], None]) -> None:
        """Shake hands for the gateway; from then on the connection's protocol tells when it ends."""
        gateway = self._doors.gateway
        await asyncio.get_running_loop().connect_accepted_socket(
            partial(gateway.protocol, leave), connection, ssl=self._doors.context, ssl_handshake_timeout=HELLO_S
        )

    async def _peek_name(self, connection: socket.socket, peer: str) -> str | None:
        seen, pause_s = 0, _AGAIN_S
        async with asyncio.timeout(HELLO_S):
            await _readable(connection)
            while True:
                beginning = connection.recv(HELLO_BYTES, socket.MSG_PEEK)
                if not beginning:
                    raise ConnectionError("the client is gone")
                if beginning.startswith(_PROXY_PROTOCOL):
                    self._tell_of_proxy(peer)
                    raise ConnectionError("the client speaks the PROXY protocol")
                if len(beginning) > seen:
                    seen = len(beginning)
                    with suppress(Incomplete):
                        return self._names.server_name(beginning)
                if seen == HELLO_BYTES:
                    return None
                # The bytes stay where they are, so the socket stays readable: only time tells whether more came.
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _SELDOM_S)

    def _tell_of_proxy(self, peer: str) -> None:
        """Tell the administrator once: its load balancer begins each of its connections like this."""
        if not self._told:
            self._told = True
            logs.event(events.CONNECTION_REFUSED, level=logging.WARNING, peer=peer, reason=_UNPROXIED)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


async def _readable(connection: socket.socket) -> None:
    """Return once there is something to read."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(connection, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(connection)
