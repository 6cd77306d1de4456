"""HTTP below the gateway: what one connection may take, and what is said to who speaks no proper HTTP.

aiohttp would answer in plain text with the bytes that it could not read, and log them: a token may be among them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong

from agent import events, logs
from agent.link.reading import Buffered, Reading
from agent.relay import answers
from agent.relay.answers import SCIM_JSON
from connector_host.networks import spelled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from agent.settings import LimitSettings

_MALFORMED: Final = 400
_BUFFER_BYTES: Final = 65_536
"""What waits for a client beside the window of its stream; over TLS the loop's own bound is eight times that."""


class Server(web.Server):
    """aiohttp's server, within the relay's limits."""

    def __init__(
        self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: LimitSettings
    ) -> None:
        """Take what answers requests; idle connections, and those whose header never ends, are cut by the limits."""
        super().__init__(
            serve,
            handler_cancellation=True,
            access_log=None,
            # A body travels as it was sent, with the Content-Encoding and the length that belong to it.
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            # aiohttp's name for the time until a complete header is there, for the first request, too.
            keepalive_timeout=limits.idle_s,
        )
        self._reading = Reading()

    def protocol(self, on_end: Callable[[], object]) -> Buffered[web.RequestHandler]:
        """Return the protocol of one new connection, which calls `on_end` when it ends."""
        return self._reading.into(lambda: self._make(on_end))

    def _make(self, on_end: Callable[[], object]) -> web.RequestHandler:
        protocol = _Protocol(self, loop=self._loop, **self._kwargs)
        protocol.on_end = on_end
        return protocol

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Bound what waits for the client."""
        super().connection_made(handler, transport)
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)


class _Protocol(web.RequestHandler):
    """One connection, whose errors are SCIM's."""

    __slots__ = ("on_end",)

    on_end: Callable[[], object]

    @property
    def peername(self) -> str | tuple[str, int, int, int] | tuple[str, int] | None:
        """Return who is at the other end, as it stands in the log and in X-Forwarded-For."""
        peer = super().peername
        return (spelled(peer[0]), peer[1]) if isinstance(peer, tuple) else peer

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        self.on_end()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, which repeat what was sent
    ) -> web.StreamResponse:
        """Return the answer to what could not be read, or failed unforeseen; the connection ends with it."""
        kind = type(exc).__name__ if exc is not None else None
        level = logging.INFO if status == _MALFORMED else logging.ERROR
        logs.event(events.REQUEST_UNREADABLE, level=level, status=status, peer=request.remote, error=kind)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun, so there is no room for another")
        problem = answers.UNFORESEEN
        if status == _MALFORMED:
            problem = answers.HEADER_TOO_LONG if isinstance(exc, LineTooLong) else answers.NO_HTTP
        # What could not be read has no version; a client that speaks HTTP/1.1 expects its answer in it.
        request._version = HttpVersion11  # noqa: SLF001 - aiohttp takes the answer's version from there
        response = web.Response(status=problem.status, body=problem.body, headers={"Content-Type": SCIM_JSON})
        response.force_close()
        return response
