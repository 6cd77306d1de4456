"""HTTP below the gateway: what one connection may take, and what is said to who speaks no proper HTTP.

aiohttp would answer in plain text with the bytes that it could not read, and log them: a token may be among them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import HttpVersion11, web

from agent import events, logs
from agent.relay import answers
from agent.relay.answers import SCIM_JSON, SERVER, Problem
from agent.relay.delivery import PassedOn, Response, WholeClient, Written
from agent.relay.requests import Whole, WholeReader
from agent.workers import Workers, failing
from connector_host.framing import (
    Answering,
    Excess,
    FramedHandler,
    OtherCoding,
    OtherScheme,
    OtherVersion,
    TargetWithFragment,
)
from connector_host.networks import spelled
from connector_host.reading import Buffered, Reading

if TYPE_CHECKING:
    from agent.settings import LimitSettings

_OF_CLIENT: Final = frozenset({400, 414, 421, 431, 501, 505})
_TOLD: Final[dict[type[BaseException], Problem]] = {
    OtherCoding: answers.OTHER_CODING,
    OtherVersion: answers.OTHER_VERSION,
    OtherScheme: answers.OTHER_SCHEME,
    TargetWithFragment: answers.TARGET_WITH_FRAGMENT,
}
_BUFFER_BYTES: Final = 65_536
"""What waits for a client beside the window of its stream; over TLS the loop's own bound is eight times that."""

_PATIENCE_S: Final = 5.0
"""How long what is sent behind a request under way waits unread: a hang-up would lie behind it, unseen."""
_FLOOD_BYTES: Final = 1_048_576
"""What is then read, and dropped, at once: whoever floods costs no more than this in each such time."""

Serve: TypeAlias = Callable[[web.BaseRequest], Awaitable[Response]]
ServeWhole: TypeAlias = Callable[[Whole, WholeClient], Answering | None]
"""Calls the client back, and returns what can be cancelled until then; None where the client was called already."""


class Server(web.Server):
    """aiohttp's server, within the relay's limits."""

    def __init__(
        self,
        serve: Serve,
        limits: LimitSettings,
        serve_whole: ServeWhole | None = None,
    ) -> None:
        """Take what answers requests; idle connections, and those whose header never ends, are cut by the limits.

        With `serve_whole`, requests that came whole are answered by it, past aiohttp.
        """
        super().__init__(
            partial(_written, serve),
            handler_cancellation=True,
            access_log=None,
            # A body travels as it was sent, with the Content-Encoding and the length that belong to it.
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            # aiohttp's name for the time until a complete header is there, for the first request, too.
            keepalive_timeout=limits.idle_s,
        )
        self._reading = Reading()
        self._workers = Workers()
        self._limits = limits
        self._serve_whole = serve_whole

    def protocol(self, on_end: Callable[[], object]) -> Buffered[web.RequestHandler]:
        """Return the protocol of one new connection, which calls `on_end` when it ends."""
        return self._reading.into(lambda: self._make(on_end))

    def _make(self, on_end: Callable[[], object]) -> web.RequestHandler:
        protocol = _Protocol(self, loop=self._loop, **self._kwargs)
        protocol.begin(on_end, self._limits, self._serve_whole, self._workers)
        return protocol

    def has_clients_of(self, past_s: float) -> bool:
        """Return whether a client that came, or was answered, in that time may ask over its connection yet."""
        # Each answer gives its connection as long to bring the next request.
        end_s = self._loop.time() - past_s + self._limits.idle_s
        return any(one._next_keepalive_close_time >= end_s for one in self.connections)  # noqa: SLF001 - aiohttp's name

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is under way end in this time, then cut it off."""
        await super().shutdown(timeout)
        await self._workers.stop()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Bound what waits for the client."""
        super().connection_made(handler, transport)
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)


async def _written(serve: Serve, request: web.BaseRequest) -> web.StreamResponse:
    answer = await serve(request)
    return Written(answer) if isinstance(answer, PassedOn) else answer


class _Protocol(FramedHandler):
    """One connection, whose errors are SCIM's.

    Requests that come whole, one after the other, are answered here. With the first one that does not, the connection
    is aiohttp's until it ends. Who sends ever more behind a request that takes long gets no answer but to that one.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_dropped",
        "_limits",
        "_patience",
        "_peer",
        "_reader",
        "_serve_whole",
        "_workers",
        "on_end",
    )

    def begin(
        self,
        on_end: Callable[[], object],
        limits: LimitSettings,
        serve_whole: ServeWhole | None,
        workers: Workers,
    ) -> None:
        """Take what the server knows."""
        self.on_end = on_end
        self._limits = limits
        self._serve_whole = serve_whole
        """None once aiohttp has the connection."""
        self._workers = workers
        self._asked: Whole | None = None
        """The request under way, where it came whole; kept no longer, since a token is in it."""
        self._answered: asyncio.Future[None] | None = None
        """What a stop waits for while a request is answered."""
        self._peer: str | None = None
        self._patience: asyncio.TimerHandle | None = None
        """Runs while nothing is read, because enough waits behind the request under way."""
        self._dropped: int | None = None
        """How much was read and dropped, once that is what becomes of all that comes."""

    @property
    def peername(self) -> str | tuple[str, int, int, int] | tuple[str, int] | None:
        """Return who is at the other end, as it stands in the log and in X-Forwarded-For."""
        peer = super().peername
        return (spelled(peer[0]), peer[1]) if isinstance(peer, tuple) else peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        peer = self.peername
        self._peer = peer[0] if isinstance(peer, tuple) else peer
        self._reader = WholeReader(self._peer, self._limits)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._be_patient_no_more()
        super().connection_lost(exc)
        if self._answering is not None:
            self._answering.cancel()
        self.on_end()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is under way end in this time, then cut it off."""
        # Nothing that waits behind it begins now.
        self._force_close = True
        if self._answering is not None:
            self._answered = self._loop.create_future()
            await asyncio.wait({self._answered}, timeout=timeout)
            if self._answering is not None:
                self._answering.cancel()
        await super().shutdown(timeout)

    def data_received(self, data: bytes) -> None:
        """Answer the request that this is, or leave it to aiohttp."""
        if self._dropped is not None:
            self._drop(data)
        elif self._serve_whole is None or self._force_close:
            super().data_received(data)
        elif self._answering is not None:
            self._set_aside(data)
        elif (found := self._reader.read(data)) is not None:
            self._asked = found
            self._begin(found, self._serve_whole)
        else:
            self._serve_whole = None
            super().data_received(data)

    # ── what is sent behind a request under way ───────────────────────────────────────────────────────────────────

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        # A body that nobody takes in is not meant: whoever reads it has a time limit.
        if self._patience is None and (self._answering is not None or self._messages):
            self._patience = self._loop.call_later(_PATIENCE_S, self._lose_patience, self._under_way)

    def _resume_transport_reading(self) -> None:
        self._be_patient_no_more()
        super()._resume_transport_reading()

    @property
    def _under_way(self) -> object:
        return self._current_request if self._answering is None else self._asked

    def _be_patient_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self, request: object) -> None:
        """Read on, so that a hang-up is seen, and drop what comes; unless another request is under way by now."""
        self._patience = None
        if self._under_way is not request or request is None:
            self._pause_transport_reading()
            return
        # aiohttp's word for a connection that ends with the answer to the request under way.
        self._close = True
        self._dropped, self._aside = 0, b""
        self._resume_transport_reading()

    def _drop(self, data: bytes) -> None:
        self._dropped = (self._dropped or 0) + len(data)
        if self._dropped > _FLOOD_BYTES:
            self._pause_transport_reading()

    # ── answering ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, asked: Whole, serve: ServeWhole) -> None:
        client = WholeClient(asked.head, self, self, self._loop)
        try:
            begun = serve(asked, client)
        except Exception as failure:  # noqa: BLE001 - as in aiohttp: whatever it was, the client hears of it
            client.go_on(failing(failure))
            return
        if begun is not None:
            self._answering = begun

    def take(self, answer: PassedOn) -> None:
        """Write the answer, and go on."""
        if self.transport is not None:
            self.transport.write(answer.message)
        if self._paused:
            self._answering = self._workers.begin(self._answer_past(partial(self._drained, answer)), self._go_on)
            return
        if not answer.keep_alive:
            self.force_close()
        self._go_on()

    async def _drained(self, answer: PassedOn) -> bool:
        await self._drain_helper()
        return answer.keep_alive

    def go_on_with(
        self, client: WholeClient, work: Coroutine[object, object, Response], over: Callable[[], None]
    ) -> None:
        """Have a task find the answer, and `over` called once that has ended, even where it never began."""
        answer = partial(self._answer, client, work)
        self._answering = self._workers.begin(self._answer_past(answer), partial(self._end, work, over))

    def _end(self, work: Coroutine[object, object, Response], over: Callable[[], None]) -> None:
        work.close()  # Where it never began.
        over()
        self._go_on()

    def give_up(self) -> None:
        """End the connection: there will be no answer."""
        self.force_close()
        self._go_on()

    async def _answer(self, client: WholeClient, work: Coroutine[object, object, Response]) -> bool:
        """Return whether the connection stays after the answer."""
        try:
            response = await work
        except Exception as failure:  # noqa: BLE001 - as above
            response = self.handle_error(client.request(), 500, failure)
        await self._write(client, response)
        return bool(response.keep_alive)

    async def _write(self, client: WholeClient, response: Response) -> None:
        if not isinstance(response, PassedOn):
            await self.finish_response(client.request(), response, None)
        elif self.transport is not None:
            self.transport.write(response.message)
            if self._paused:
                await self._drain_helper()

    async def _drain_helper(self) -> None:
        """Wait until the client has taken most of what was written; one that takes nothing is cut off."""
        if self._upgraded:
            # A link finds out by its heartbeat.
            await super()._drain_helper()
            return
        await self._drain_within(self._limits.request_s)

    def _hear_of_stall(self, detail: str) -> None:
        logs.event(events.REQUEST_TRUNCATED, level=logging.WARNING, peer=self._peer, detail=detail)

    def _go_on(self) -> None:
        """Wait for the next request, or take the one that came in the meantime."""
        self._answering = self._asked = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        if self._force_close or self._close:
            self.force_close()
        if self.transport is None:
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._aside:
            self._take_up()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, which repeat what was sent
    ) -> web.StreamResponse:
        """Return the answer to what could not be read, or failed unforeseen; the connection ends with it.

        Raises ConnectionError where nobody is left to take it.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        kind = type(exc).__name__ if exc is not None else None
        level = logging.INFO if status in _OF_CLIENT else logging.ERROR
        logs.event(events.REQUEST_UNREADABLE, level=level, status=status, peer=request.remote, error=kind)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun, so there is no room for another")
        problem = _told(exc) if status in _OF_CLIENT else answers.UNFORESEEN
        # What could not be read has no version; a client that speaks HTTP/1.1 expects its answer in it.
        request._version = HttpVersion11  # noqa: SLF001 - aiohttp takes the answer's version from there
        headers = {"Content-Type": SCIM_JSON, "Server": SERVER}
        response = web.Response(status=problem.status, body=problem.body(), headers=headers)
        response.force_close()
        return response


def _told(failure: BaseException | None) -> Problem:
    """Return the answer to what could not be read."""
    if isinstance(failure, Excess):
        return answers.excess(type(failure), failure.limit)
    return answers.NO_HTTP if failure is None else _TOLD.get(type(failure), answers.NO_HTTP)
