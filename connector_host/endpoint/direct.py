"""Connections on which a request that came whole is read, answered and written past aiohttp, one after the other.

For such a request aiohttp's own parser, stream, future and second task cost as much as all that the endpoint does with
it. The application is the same, whoever read a request. With the first request that is not plain, the connection is
aiohttp's until it ends.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeGuard, cast

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter, _serialize_headers
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from connector_host.framing import FramedHandler
from connector_host.plain_requests import PlainReader, text_of

if TYPE_CHECKING:
    import asyncio

    from aiohttp.web_protocol import _RequestHandler

    from connector_host.plain_requests import Plain

STALL_S: Final = 75.0
"""Seconds in which a client takes what it was answered, or is hung up on."""
_CODED: Final = b"content-encoding"


class DirectHandler(FramedHandler):
    """One connection."""

    __slots__ = ("_is_direct", "_reader")

    def __init__(
        self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, max_line_size: int, **settings: object
    ) -> None:
        """Take what the framed one takes."""
        super().__init__(manager, loop=loop, max_line_size=max_line_size, **settings)
        self._reader = PlainReader(self.max_line_size)
        self._is_direct = True
        """False once aiohttp has the connection."""

    def data_received(self, data: bytes) -> None:
        """Answer the request that this is, or leave it to aiohttp."""
        if not self._is_direct or self._force_close or self._close:
            super().data_received(data)
        elif self._answering is not None:
            self._set_aside(data)
        elif (asked := self._reader.read(data)) is None or _CODED in asked.said:
            self._is_direct = False
            super().data_received(data)
        elif self._request_handler is not None:
            self._answering = self._loop.create_task(self._answer(self._request(asked), self._request_handler))

    def _request(self, asked: Plain) -> web.BaseRequest:
        """Return the request as aiohttp would have made it."""
        path, _, query = asked.target.partition("?")
        message = RawRequestMessage(
            asked.method,
            asked.target,
            HttpVersion11,
            CIMultiDictProxy(CIMultiDict([(name.decode("ascii"), text_of(value)) for name, value in asked.pairs])),
            tuple(asked.pairs),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=URL.build(path=path, query_string=query, encoded=True),
        )
        task = cast("asyncio.Task[None]", self._task_handler)  # there is one for as long as there is a connection
        request = self._make(message, EMPTY_PAYLOAD, self, StreamWriter(self, self._loop), task)
        request._read_bytes = asked.body  # noqa: SLF001 - what `read` returns
        return request

    async def _answer(self, request: web.BaseRequest, handler: _RequestHandler) -> None:
        await self._answer_past(partial(self._handled, request, handler))
        self._go_on()

    async def _handled(self, request: web.BaseRequest, handler: _RequestHandler) -> bool:
        """Return whether the connection stays after the answer."""
        response, is_lost = await self._handle_request(request, None, handler)
        return not is_lost and response.keep_alive is not False

    def _go_on(self) -> None:
        """Wait for the next request, or take the one that came in the meantime."""
        self._answering = None
        if self._force_close or self._close:
            self.force_close()
        if self.transport is None:
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._aside:
            self._take_up()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer: in one piece where it is there as bytes."""
        if self._answering is None or not _is_whole(resp):
            return await super().finish_response(request, resp, start_time)
        if (transport := self.transport) is None:
            return resp, True
        transport.write(_message(resp))
        if self._paused:
            await self._drain_helper()
        return resp, transport.is_closing()

    async def _drain_helper(self) -> None:
        await self._drain_within(STALL_S)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's own signature
        """Let the request in hand end, for so long at the most, and hang up."""
        await super().shutdown(timeout)
        if self._answering is not None:
            self._answering.cancel()


_BODILESS: Final = frozenset({204, 304})


def _is_whole(response: web.StreamResponse) -> TypeGuard[web.Response]:
    """Return whether an answer is there as bytes, and goes out as it is."""
    if type(response) is not web.Response or response.prepared or response.chunked or response.compression:
        return False
    return response.body is None or isinstance(response.body, bytes)


def _message(response: web.Response) -> bytes:
    """Return a whole answer to anything but HEAD as aiohttp would write it."""
    headers, body = response.headers, cast("bytes", response.body or b"")
    if response.status in _BODILESS:
        body = b""
    else:
        headers["Content-Length"] = str(len(body))
    headers["Date"] = rfc822_formatted_time()
    if response.keep_alive is False:
        headers["Connection"] = "close"
    return _serialize_headers(f"HTTP/1.1 {response.status} {response.reason}", headers) + body
