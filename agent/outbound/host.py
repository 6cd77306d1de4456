"""HTTP to the one connector host: pooled TLS connections, and for each failure whether the host may have seen anything.

aiohttp's own client protocol (its C parser) without its session: the header block goes through as bytes, and nothing
is ever sent twice behind the caller's back. Knows nothing of links.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import ClientError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import StreamWriter
from yarl import URL

from agent.errors import AgentError, ConfigurationError
from agent.link.tls import doubt

if TYPE_CHECKING:
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

    from agent.outbound.shown import ShownCertificate

IDLE_S: Final = 15.0
"""Seconds that an unused connection is kept: less than any host's own patience, so that it is rarely the host that
ends one just as a request goes out on it."""

BROKEN = (OSError, ClientError, HttpProcessingError)
"""What aiohttp and the system raise where a connection breaks, or carries what is no HTTP."""


class HostUnreachable(AgentError):
    """No connection to the host came about; nothing was sent."""


class HostCertificateRefused(AgentError):
    """The host showed a certificate that is not believed; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where the connector host is, and whom to believe there."""

    url: URL
    trust: ssl.SSLContext
    connect_s: float
    shown: ShownCertificate | None = None

    @property
    def authority(self) -> str:
        """Return `name:port`, as in the Host header."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    @property
    def name(self) -> str:
        """Return the host's name or address."""
        return self.url.raw_host or ""

    @property
    def port(self) -> int:
        """Return the host's port."""
        return self.url.port or 443


def parse_host(url: str, trust: ssl.SSLContext, connect_s: float, shown: ShownCertificate | None = None) -> Host:
    """Return the host at this URL; raises ConfigurationError where it is not `https://name[:port]`."""
    parsed = URL(url)
    if parsed.scheme != "https" or not parsed.host or parsed.path != "/" or parsed.query_string or parsed.user:
        raise ConfigurationError(f"agent.host: write https://NAME:PORT and no path; {url!r} is something else.")
    return Host(parsed, trust, connect_s, shown)


class Connection:
    """One TLS connection to the host, for one exchange at a time."""

    def __init__(self, protocol: ResponseHandler, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since_s = 0.0
        self._protocol = protocol
        self._writer = StreamWriter(protocol, loop)

    @property
    def reusable(self) -> bool:
        """Return whether the last exchange ended cleanly and the host still holds the connection."""
        return self._protocol.is_connected() and not self._protocol.should_close

    async def send(self, data: bytes) -> None:
        """Send bytes of a request, and wait while the host does not keep up."""
        await self._writer.write(data)

    async def answer(self, *, bodiless: bool) -> tuple[RawResponseMessage, StreamReader]:
        """Return the head of the answer, past any 1xx, and its body; `bodiless` for the answer to a HEAD."""
        while True:
            message, body = await self._protocol.read()
            if message.code >= HTTPStatus.OK:
                return message, body
            if message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HttpProcessingError(message="it switched to a protocol that nobody asked for")
            self.expect_answer(bodiless=bodiless)

    def expect_answer(self, *, bodiless: bool) -> None:
        """Prepare for an answer; to be called before anything is sent."""
        self._protocol.set_response_params(skip_payload=bodiless, read_until_eof=True, auto_decompress=False)

    def close(self) -> None:
        """End the connection."""
        self._protocol.close()


class HostPool:
    """The connections to the host: reused while they are good, and never more alive than requests in hand."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._idle: deque[Connection] = deque()

    async def borrow(self) -> Connection:
        """Lend a connection; raises HostUnreachable or HostCertificateRefused with nothing sent."""
        return self._reuse() or await self._connect()

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next exchange where this one ended cleanly, else end it."""
        if connection.reusable:
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """End all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _reuse(self) -> Connection | None:
        """Return the connection that was used last and is still good; those that idled too long are ended."""
        oldest_s = asyncio.get_running_loop().time() - IDLE_S
        while self._idle and self._idle[0].idle_since_s < oldest_s:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        loop, host = asyncio.get_running_loop(), self.host
        where = f"the connector host at {host.url.origin()}"
        if host.shown is not None:
            host.shown.refresh()
        try:
            async with asyncio.timeout(host.connect_s):
                _, protocol = await loop.create_connection(
                    lambda: ResponseHandler(loop), host.name, host.port, ssl=host.trust
                )
        except ssl.SSLCertVerificationError as failure:
            raise HostCertificateRefused(
                f"the certificate of {where} is not accepted: {doubt(failure, 'agent.host_trust')}"
            ) from failure
        except ssl.SSLError as failure:
            raise HostUnreachable(f"{where} does not speak TLS: {failure.reason or failure}") from failure
        except TimeoutError as failure:
            raise HostUnreachable(f"{where} does not answer within {host.connect_s:g} s") from failure
        except OSError as failure:
            raise HostUnreachable(f"{where} cannot be reached: {failure.strerror or failure}") from failure
        return Connection(protocol, loop)
