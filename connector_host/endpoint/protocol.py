"""HTTP below the application: what is said to who speaks no proper HTTP, and how long a silent connection is kept.

aiohttp would answer in plain text with the bytes that it could not read, and log them: a token may be among them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import ContentEncodingError

from connector_host import clock
from connector_host.endpoint import answers
from connector_host.endpoint.direct import DirectHandler
from connector_host.endpoint.requests import request_id_of
from connector_host.endpoint.routing import Routing
from connector_host.endpoint.safeguards import HEADERS
from connector_host.framing import Excess, OtherCoding, OtherScheme, OtherVersion, TargetWithFragment
from connector_host.observability import events
from connector_host.reading import Reading
from connector_host.traces import REQUEST_ID

if TYPE_CHECKING:
    from aiohttp.web_protocol import _RequestFactory, _RequestHandler

IDLE_S: Final = 75.0
"""Seconds in which a connection must bring a request, its headers complete: longer than clients keep theirs."""
_LINGER_S: Final = 2.0
"""Seconds for which the rest of a body that nobody wants is still taken, so that its sender sees the answer."""
_CUT_S: Final = 0.1
"""Seconds that a request which has had its time is given, twice, to hear that it is cut off."""

_LOG = structlog.stdlib.get_logger()
_OF_CLIENT: Final = frozenset({400, 414, 421, 431, 501, 505})


class Runner(web.AppRunner):
    """Runs an application whose errors below HTTP are SCIM's, too."""

    def __init__(self, application: web.Application, *, header_bytes: int, stop_s: float) -> None:
        """Take the longest header, and the seconds that requests in hand are given to end."""
        super().__init__(application, handle_signals=False, shutdown_timeout=stop_s)
        self._header_bytes = header_bytes
        self._stop_s = stop_s

    async def shutdown(self) -> None:
        """Wait for the exports in hand; other requests have had that time, too."""
        began_s = clock.monotonic_s()
        await super().shutdown()
        self._shutdown_timeout = max(_CUT_S, self._stop_s - (clock.monotonic_s() - began_s))

    async def _make_server(self) -> web.Server:
        # The one place where aiohttp lets nobody say which protocol serves an application.
        made = await super()._make_server()
        handler = cast("_RequestHandler", Routing(self.app))  # of what the factory makes
        return _Server(handler, made.request_factory, self._header_bytes)


class _Server(web.Server):
    def __init__(self, handler: _RequestHandler, factory: _RequestFactory, header_bytes: int) -> None:
        super().__init__(
            handler,
            request_factory=factory,
            access_log=None,
            max_line_size=header_bytes,
            # aiohttp's name for the time until a complete header is there, for the first request, too.
            keepalive_timeout=IDLE_S,
            lingering_time=_LINGER_S,
        )
        self._reading = Reading()

    def __call__(self) -> web.RequestHandler:
        made = self._reading.into(lambda: _Protocol(self, loop=self._loop, **self._kwargs))
        return cast("web.RequestHandler", made)  # the loop asks no more of it than that it is a protocol


class _Protocol(DirectHandler):
    """One connection."""

    __slots__ = ()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own signature
        """Let the request in hand end, for so long at the most, and hang up.

        aiohttp would wait for that time twice, longer than the service manager was told that stopping may take.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await super().shutdown(timeout)
                return
        await super().shutdown(_CUT_S)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, which repeat what was sent
    ) -> web.StreamResponse:
        """Return the answer to what could not be read, or failed unforeseen; the connection ends with it."""
        request_id = request_id_of(request)
        level = _LOG.info if status in _OF_CLIENT else _LOG.error
        level(
            events.REQUEST_UNREADABLE,
            status=status,
            client=request.remote,
            error=type(exc).__name__,
            request_id=request_id,
        )
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun, so there is no room for another")
        # What could not be read has no version; a client that speaks HTTP/1.1 expects its answer in it.
        request._version = HttpVersion11  # noqa: SLF001 - aiohttp takes the answer's version from there
        told, detail = _told(status, exc)
        response = answers.error(told, detail, request_id=request_id)
        response.headers.update({**HEADERS, REQUEST_ID: request_id})
        response.force_close()
        return response


def _told(status: int, failure: BaseException | None) -> tuple[int, str]:
    """Return the status and the words for what could not be read, or failed unforeseen."""
    if status not in _OF_CLIENT:
        return 500, answers.UNFORESEEN
    if isinstance(failure, Excess):
        return status, answers.EXCESSES[type(failure)].format(failure.limit)
    return next((told for kind, told in _TOLD.items() if isinstance(failure, kind)), (400, answers.NO_HTTP))


_TOLD: Final = {
    OtherVersion: (505, answers.OTHER_VERSION),
    OtherCoding: (501, answers.OTHER_CODING),
    OtherScheme: (421, answers.OTHER_SCHEME),
    TargetWithFragment: (400, answers.TARGET_WITH_FRAGMENT),
    ContentEncodingError: (415, answers.CODING),
}
