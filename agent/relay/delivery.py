"""How an answer of the host reaches the client: a short one in one write, a long one as it streams."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from agent import events, logs
from agent.errors import AgentError
from agent.link.headers import to_pairs
from agent.relay.answers import SERVER
from connector_host.traces import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiohttp.abc import AbstractStreamWriter

    from agent.link.messages import ResponseHead
    from agent.link.streams import Stream
    from agent.relay.fate import Carried
    from agent.relay.requests import ClientRequest

_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Stalled(AgentError):
    """The host's answer began and does not go on."""


class Client(Protocol):
    """Who asked, and takes the answer."""

    @property
    def takes_bytes(self) -> bool:
        """Whether a whole answer, framed for HTTP/1.1, may be written as it is."""

    @property
    def stays(self) -> bool:
        """Whether it wants to use its connection again."""

    def request(self) -> web.BaseRequest:
        """Return the request as aiohttp knows it, through which all other answers are written."""


def is_ending(protocol: web.RequestHandler) -> bool:
    """Return whether the connection ends with the answer to the request under way, whatever the client wants."""
    return protocol._close  # noqa: SLF001 - aiohttp's word for it, which it shows nobody


class ParsedClient:
    """A client whose request aiohttp read."""

    __slots__ = ("_request",)

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    @property
    def takes_bytes(self) -> bool:
        """Whether it speaks HTTP/1.1, and has not asked for a head alone."""
        return self._request.method != "HEAD" and self._request.version == HttpVersion11

    @property
    def stays(self) -> bool:
        """Whether it may and wants to use its connection again: what comes next is a request, and not a body."""
        request = self._request
        return bool(request.keep_alive) and request.content.is_eof() and not is_ending(request.protocol)

    def request(self) -> web.BaseRequest:
        """Return the request."""
        return self._request


def _nothing() -> None:
    """Let go of nothing."""


class Caller(Protocol):
    """The connection of a client whose requests come whole."""

    def take(self, answer: PassedOn) -> None:
        """Write the answer, and go on."""

    def go_on_with(
        self, client: WholeClient, work: Coroutine[object, object, Response], over: Callable[[], None]
    ) -> None:
        """Have a task find the answer, and `over` called once that has ended, even where it never began."""

    def give_up(self) -> None:
        """End the connection: there will be no answer."""


class WholeClient(msgspec.Struct, eq=False):
    """A client whose request came whole, and was not read by aiohttp."""

    takes_bytes: ClassVar = True

    _asked: ClientRequest
    _protocol: web.RequestHandler
    _caller: Caller
    """The same connection, as who is to be called back."""
    _loop: asyncio.AbstractEventLoop
    _request: web.BaseRequest | None = None

    @property
    def stays(self) -> bool:
        """Whether it wants to use its connection again."""
        return not is_ending(self._protocol)

    def take(self, answer: PassedOn) -> None:
        """Take the answer."""
        self._caller.take(answer)

    def go_on(self, work: Coroutine[object, object, Response], over: Callable[[], None] = _nothing) -> None:
        """Wait for a task that finds the answer; `over` is called once it has ended, even where it never began."""
        self._caller.go_on_with(self, work, over)

    def give_up(self) -> None:
        """Wait no longer."""
        self._caller.give_up()

    def request(self) -> web.BaseRequest:
        """Return the request as aiohttp would have made it, without a body, which was taken already."""
        if self._request is None:
            self._request = web.BaseRequest(
                self._message(),
                EMPTY_PAYLOAD,
                self._protocol,
                StreamWriter(self._protocol, self._loop),
                asyncio.current_task(self._loop),  # type: ignore[arg-type] # there is one: whoever answers
                self._loop,
            )
        return self._request

    def _message(self) -> RawRequestMessage:
        asked = self._asked
        pairs = asked.headers.pairs
        texts = ((name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in pairs)
        path = f"/t/{asked.tenant}{asked.target}"
        return RawRequestMessage(
            asked.method,
            path,
            HttpVersion11,
            CIMultiDictProxy(CIMultiDict(texts)),
            tuple(pairs),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=URL.build(path="/", encoded=True),
        )


class PassedOn(msgspec.Struct, frozen=True, gc=False):
    """A whole answer as bytes: building it header by header would double the work for each."""

    status: int
    message: bytes
    keep_alive: bool
    """Whether the connection stays open."""


Response: TypeAlias = web.StreamResponse | PassedOn


class Written(web.StreamResponse):
    """A whole answer on a connection that is aiohttp's."""

    def __init__(self, answer: PassedOn) -> None:
        super().__init__(status=answer.status)
        self._answer = answer

    @property
    def keep_alive(self) -> bool | None:
        """Return whether the connection stays open: aiohttp asks for it once the answer is written."""
        return self._answer.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write all of it, and wait while a client that asks again and again does not take what it is answered."""
        await request.writer.write(self._answer.message)
        await request.writer.drain()
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing more: `prepare` wrote all of it."""


def at_hand(client: Client, carried: Carried, identity: str, *, last: bool) -> PassedOn | None:
    """Return the host's answer where it is here to its end and may be written as it is, else None."""
    if not client.takes_bytes or (body := carried.stream.whole()) is None:
        return None
    return whole(carried.head, body, identity, keep_alive=not last)


async def deliver(client: Client, carried: Carried, identity: str, stall_s: float, *, last: bool) -> Response:
    """Write the host's answer to the client as it comes; the connection is cut where its end never comes.

    It is cut, too, where the host gives nothing for `stall_s`, so that nobody is held up for ever; one that a
    client takes nothing on ends by itself. The `last` answer says that the connection ends with it. Raises AgentError
    while nothing was written yet.
    """
    stream = carried.stream
    first = b"" if stream.has_ended else await _next(stream, stall_s)
    if stream.has_ended and client.takes_bytes:
        return whole(carried.head, first, identity, keep_alive=client.stays and not last)
    response = _begun(carried, identity)
    if last:
        response.force_close()
    return await _stream(client.request(), response, carried, first, stall_s)


def whole(head: ResponseHead, body: bytes, identity: str, *, keep_alive: bool) -> PassedOn:
    """Return the host's answer as it goes to a client that speaks HTTP/1.1."""
    line = _STATUS_LINES.get(head.status) or b"HTTP/1.1 %d \r\n" % head.status
    length = b"Content-Length: %d\r\n" % len(body)
    if head.status in _BODILESS:
        # What an agent sends nevertheless would pass for the next answer on this connection (RFC 9112 §6.3).
        length = body = b""
    close = b"" if keep_alive else b"Connection: close\r\n"
    ours = f"{REQUEST_ID}: {identity}\r\n\r\n".encode("ascii")
    return PassedOn(head.status, b"".join((line, head.headers, length, close, ours, body)), keep_alive=keep_alive)


def _begun(carried: Carried, identity: str) -> web.StreamResponse:
    headers = CIMultiDict(to_pairs(carried.head.headers))
    headers[REQUEST_ID] = identity
    headers.setdefault("Server", SERVER)
    response = web.StreamResponse(status=carried.head.status, headers=headers)
    response.content_length = carried.head.length
    return response


async def _stream(
    request: web.BaseRequest, response: web.StreamResponse, carried: Carried, first: bytes, stall_s: float
) -> web.StreamResponse:
    head, stream = carried.head, carried.stream
    await response.prepare(request)
    try:
        # To a HEAD, and with a status that has no body, the same.
        data = b"" if request.method == "HEAD" or head.status in _BODILESS else first
        while data:
            await response.write(data)
            data = await _next(stream, stall_s)
    except AgentError as failure:
        identity = response.headers[REQUEST_ID]
        logs.event(events.REQUEST_TRUNCATED, level=logging.WARNING, request_id=identity, detail=str(failure))
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _next(stream: Stream, stall_s: float) -> bytes:
    """Return the next stretch of the host's answer; raises AgentError."""
    if stream.at_hand:
        return await stream.read()
    try:
        async with asyncio.timeout(stall_s):
            return await stream.read()
    except TimeoutError as failure:
        raise Stalled(f"nothing more of it came for {stall_s:g} s") from failure
