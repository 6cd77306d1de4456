"""HTTP connections on which a request means one thing however it is written, and a spoiled body is told of at once."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from connector_host.endings import Ending
from connector_host.unsent import unsent_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader


HEADERS: Final = 128
"""Header lines of one request."""
HEAD_BYTES: Final = 65_536
"""A head whose end has not come is kept up to here, or to four of the longest header."""


ASIDE_BYTES: Final = 65_536
"""What is kept of what comes behind a request that is under way, until nothing more is read."""


class Answering(Protocol):
    """A task, or what stands for one."""

    def cancel(self) -> object:
        """End it."""


class FramedHandler(web.RequestHandler):
    """One connection; whoever reads a body that got spoiled gets a `web.RequestPayloadError`.

    aiohttp would let them wait, and then answer a request that nobody has sent.

    The target of each request is in origin form: of one in absolute form, aiohttp would leave the whole URL in the raw
    path, and forget its port.
    """

    __slots__ = ("_answering", "_aside", "_body", "_ending", "_futile_bytes", "_looking", "_make", "_queued_bytes")

    def __init__(
        self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, max_line_size: int, **settings: object
    ) -> None:
        """Take what aiohttp's own takes; a header may be as long as the request line."""
        # The limit in aiohttp's error is all that tells a long header from a long line.
        bounds = {"max_line_size": max_line_size, "max_field_size": max_line_size + 1, "max_headers": HEADERS}
        super().__init__(manager, loop=loop, **bounds, **settings)  # type: ignore[arg-type] # aiohttp's, passed on
        self._body: StreamReader = EMPTY_PAYLOAD
        """That of the last request, which the parser may be in the middle of."""
        self._futile_bytes = 0
        """What came since a head ended, or its body grew: of a head without an end, or of what stands behind a body."""
        self._queued_bytes = 0
        """What came since a request waits behind another one."""
        self._answering: Answering | None = None
        """What answers a request past aiohttp, while one is under way."""
        self._aside = b""
        """What came meanwhile, and is taken in once that is over."""
        self._looking: asyncio.TimerHandle | None = None
        """Sees whether a client takes anything of what is written."""
        self._ending: Ending | None = None
        self._make = manager.request_factory
        self._request_factory = self._made

    def _made(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if message.url.absolute:
            message = in_origin_form(message)
        return self._make(message, payload, protocol, writer, task)

    def data_received(self, data: bytes) -> None:
        """Take what came; where it spoils a body that somebody waits for, they hear of it at once."""
        if self._futile_bytes > self._most_head_bytes:
            return
        heads, grown = len(self._messages), self._body.total_bytes
        self._queued_bytes = len(data) + (self._queued_bytes if heads else 0)
        try:
            super().data_received(data)
        except Exception as failure:  # noqa: BLE001 - of some targets yarl makes no URL, and no error that aiohttp expects
            self._fail(failure)
        if len(self._messages) > heads:
            self._body, self._futile_bytes = self._messages[-1][1], 0
        elif self._body.total_bytes > grown or self._upgraded:
            self._futile_bytes = 0
        else:
            self._wait_for_more(len(data))
        if self._messages and self._queued_bytes > ASIDE_BYTES and not self._buffer_paused:
            self._pause_reading_for_buffer()
        self._refuse_messages()
        if self._is_spoiled() and not self._tell():
            # aiohttp begins with a request one turn of the loop after it has taken it up, and knows of it only then.
            self._loop.call_soon(self._tell)

    def _resume_reading_if_drained(self) -> None:
        """Read on; where requests that wait are large, once none is left: aiohttp counts them, and not their bytes."""
        if not self._messages or self._queued_bytes <= ASIDE_BYTES:
            super()._resume_reading_if_drained()

    def _wait_for_more(self, futile: int) -> None:
        """Have a head, or what stands behind a body, come to an end before too much of it came."""
        self._futile_bytes += futile
        if self._futile_bytes > self._most_head_bytes:
            self._fail(HeadTooLarge(self._most_head_bytes), 431)
            self._pause_reading_for_buffer()

    @property
    def _most_head_bytes(self) -> int:
        return max(HEAD_BYTES, 4 * self.max_line_size)

    def _fail(self, failure: Exception, status: int = 400) -> None:
        """Have this told to the client once all before it is answered."""
        self._messages.append((_ErrInfo(status=status, exc=failure, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is under way end in this time, then cut it off."""
        if self._answering is None and not (self._request_in_progress or self._messages):
            # aiohttp would read on for that time, and drop what comes: its client could not know that nothing was done.
            self.force_close()
        await super().shutdown(timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and let go of the body, which holds the connection."""
        super().connection_lost(exc)
        self._body = EMPTY_PAYLOAD
        if self._ending is not None:
            self._ending.over()

    def _refuse_messages(self) -> None:
        """Put what is told to its sender in place of what is too long, or has a target that names nothing here."""
        for number, (message, _) in enumerate(self._messages):
            fault = self._excess_of(message.exc) if isinstance(message, _ErrInfo) else _fault_of(message)
            if fault is not None:
                self._messages[number] = (fault, EMPTY_PAYLOAD)

    def _excess_of(self, failure: BaseException | None) -> _ErrInfo | None:
        """Return what is told of a request that is longer than it may be; None of any other failure."""
        match failure:
            case LineTooLong(args=(_, limit, *_)) if limit == self.max_line_size:
                return _ErrInfo(status=414, exc=TargetTooLong(limit), message="")
            case LineTooLong():
                return _ErrInfo(status=431, exc=HeaderTooLong(self.max_line_size), message="")
            case BadHttpMessage(args=("Too many headers received",)):
                return _ErrInfo(status=431, exc=TooManyHeaders(HEADERS), message="")
        return None

    def _set_aside(self, data: bytes) -> None:
        """Keep what came behind the request under way."""
        self._aside += data
        if len(self._aside) >= ASIDE_BYTES:
            self._pause_reading_for_buffer()

    def _take_up(self) -> None:
        """Take in what was kept, as the loop does with what it hands over itself: whoever calls hears of no error."""
        data, self._aside = self._aside, b""
        self._resume_reading_for_buffer()
        transport = self.transport
        try:
            self.data_received(data)
        except Exception as failure:  # noqa: BLE001 - as above
            told = "What came behind a request could not be taken in."
            self._loop.call_exception_handler({"message": told, "exception": failure, "protocol": self})
            if transport is not None:
                transport.abort()

    async def _answer_past(self, answer: Callable[[], Awaitable[bool]]) -> None:
        """Answer a request past aiohttp; the connection ends where that says so, or fails as aiohttp's own would."""
        try:
            stays = await answer()
        except ConnectionError:
            stays = False
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as failure:  # noqa: BLE001 - as in aiohttp
            self.log_exception("Unhandled exception", exc_info=failure)
            stays = False
        if not stays:
            self.force_close()

    async def _drain_within(self, limit_s: float) -> None:
        """Wait until the client has taken most of what was written; one that takes nothing for so long is cut off."""
        if not self._paused or self.transport is None:
            await super()._drain_helper()
            return
        self._look_again_in(limit_s, unsent_bytes(self.transport))
        try:
            await super()._drain_helper()
        except TimeoutError as silence:
            detail = f"the client took nothing for {limit_s:g} s"
            self._hear_of_stall(detail)
            if self.transport is not None:
                self.transport.abort()
            raise ConnectionResetError(detail) from silence
        finally:
            if self._looking is not None:
                self._looking.cancel()

    def _look_again_in(self, limit_s: float, unsent: int | None) -> None:
        self._looking = self._loop.call_later(limit_s, self._look, limit_s, unsent)

    def _look(self, limit_s: float, before: int | None) -> None:
        """Have whoever waits for the client go on waiting where that has taken anything, else hear that it did not."""
        unsent = None if self.transport is None else unsent_bytes(self.transport)
        if unsent is not None and unsent != before:
            self._look_again_in(limit_s, unsent)
        elif self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_exception(TimeoutError())

    def _hear_of_stall(self, detail: str) -> None:
        """Hear why the connection is about to be cut off."""

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer, or the rest of it; the connection ends with one that did not wait for the whole body.

        HAProxy, for one, gives such a connection to another client, whose request would pass for the rest of the body.
        """
        if not (resp.prepared or request.content.is_eof()):
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def _process_keepalive(self) -> None:
        if self._answering is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport = self.transport
        super()._process_keepalive()
        if transport is not None and self.transport is None:
            self._ending = Ending(transport, self._loop)

    def _is_spoiled(self) -> bool:
        return bool(self._messages) and isinstance(self._messages[-1][0], _ErrInfo)

    def _tell(self) -> bool:
        """Tell whoever waits for the rest of a request; return whether somebody does."""
        if not self._is_spoiled():
            return False
        error = self._messages.pop()
        while self._is_spoiled():
            error = self._messages.pop()  # whatever comes after the first error is another one
        body = self._messages[-1][1] if self._messages else getattr(self._current_request, "content", None)
        if body is None or body.is_eof():
            self._messages.append(error)  # the request before it is whole, and what cannot be read is the next one
            return False
        self._lingering_time = 0
        body.set_exception(web.RequestPayloadError("the body is not framed as its headers say"))
        self.close()
        return True


class Excess(Exception):
    """Something is longer than it may be: the limit says how long."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class TargetTooLong(Excess):
    """The request line, of which the target is all that may be long."""


class HeaderTooLong(Excess):
    """One header."""


class HeadTooLarge(Excess):
    """All headers together."""


class TooManyHeaders(Excess):
    """The number of headers."""


class TargetWithFragment(Exception):
    """RFC 9112 §3.2: no form of a target has a `#`; what stands behind it would be left out in silence."""


class OtherScheme(Exception):
    """A URL of which no HTTP server is in charge (RFC 9110 §7.4)."""


class OtherVersion(Exception):
    """A version in which nobody writes requests like this."""


class OtherCoding(Exception):
    """A transfer coding besides `chunked`, which nobody here would undo (RFC 9112 §6.1)."""


def _fault_of(message: RawRequestMessage) -> _ErrInfo | None:
    if message.version not in _VERSIONS:
        return _ErrInfo(status=505, exc=OtherVersion(), message="")
    if message.chunked and message.headers["Transfer-Encoding"].strip().lower() != "chunked":
        return _ErrInfo(status=501, exc=OtherCoding(), message="")
    if "#" in message.path:
        return _ErrInfo(status=400, exc=TargetWithFragment(), message="")
    scheme = _SCHEME.match(message.path)
    if scheme is None or scheme[1].lower() in {"http", "https"}:
        return None
    return _ErrInfo(status=421, exc=OtherScheme(), message="")


_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ABSOLUTE: Final = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


async def encourage(request: web.BaseRequest) -> None:
    """Tell a client that asked first to go on and send its body (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await say_continue(request)


async def say_continue(request: web.BaseRequest) -> None:
    """Say 100; the answer itself has not begun with that."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0


def in_origin_form(message: RawRequestMessage) -> RawRequestMessage:
    """Return a request for an absolute URL as one for its path, with the URL's authority in place of Host's.

    RFC 9112 §3.2.2: a server takes both forms, and of the absolute one it ignores the Host header. Whether it says
    http or https is not believed: what the connection is, it is.
    """
    found = _ABSOLUTE.fullmatch(message.path)
    if found is None:
        return message
    authority, rest = found.groups()
    path = rest if rest.startswith("/") else f"/{rest}"
    headers = CIMultiDict(message.headers)
    headers["Host"] = authority
    others = (pair for pair in message.raw_headers if pair[0].lower() != b"host")
    before, _, query = path.partition("?")
    return message._replace(
        path=path,
        url=URL.build(path=before, query_string=query, encoded=True),
        headers=CIMultiDictProxy(headers),
        raw_headers=((b"Host", authority.encode("utf-8", "surrogateescape")), *others),
    )
