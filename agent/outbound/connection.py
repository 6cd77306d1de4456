"""One TLS connection to the connector host: one exchange at a time, and what the host at its other end says of itself.

aiohttp's own client protocol (its C parser) without its session: the header block goes through as bytes, and nothing
is ever sent twice behind the caller's back. Knows nothing of links.
"""

from __future__ import annotations

import re
import select
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import ClientError, ClientPayloadError, ServerDisconnectedError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import StreamWriter

from agent.errors import AgentError
from agent.outbound.answers import parsed, plain

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from agent.outbound.answers import Answer

BROKEN = (OSError, ClientError, HttpProcessingError)
"""What aiohttp and the system raise where a connection breaks, or carries what is no HTTP."""

HOSTS: Final = 8
"""How often one connection is asked where several hosts take turns on it, until the one answers that is meant."""

_LOOK_BYTES: Final = 65_536
_OK: Final = HTTPStatus.OK
_HIGHEST: Final = 599
_RECORD: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""It becomes a header."""


def how_it_broke(failure: Exception) -> str:
    """Return how one of BROKEN came about, in words of ours and the system's: what the host sent is never quoted."""
    match failure:
        case ServerDisconnectedError():
            return "it hung up"
        case ClientPayloadError():
            return "its answer broke off, or is not framed as HTTP wants it"
        case OSError():
            return failure.strerror or "the connection was reset"
        case _:
            return "what it sent is no HTTP"


def in_place(status: int) -> str:
    """Return what happened where a proxy answered with such a status in the host's place."""
    return f"a proxy before it answered {status} in its place"


class StoodIn(AgentError):
    """Something on the way answered in the host's place."""


class _Healthz(msgspec.Struct):
    """What the connector host says at /healthz; an older one says less."""

    idempotency_record: str | None = None


class Protocol(ResponseHandler):
    """aiohttp's client protocol, which is asked to parse only what is not plain."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._begins = False
        """Whether the next bytes begin an answer."""
        self._bodiless = False
        self._plain: Answer | None = None
        self._over = False
        """Whether the last answer is over, after which nothing comes that nobody asked for."""
        self._beginning: asyncio.Future[None] | None = None
        self.listener: Callable[[], None] | None = None
        """Called once when an answer begins, or never will; may not fail."""

    def expect(self, *, bodiless: bool) -> None:
        """Take the next bytes for the beginning of an answer; `bodiless` for one to a HEAD."""
        self._begins, self._bodiless = True, bodiless

    def awaits(self) -> asyncio.Future[None] | None:
        """Return what is over once an answer begins, or never will; None where that is so already."""
        if not self._begins or self.transport is None:
            return None
        self._beginning = self._loop.create_future()
        return self._beginning

    def begun(self) -> Answer | None:
        """Return the answer that has begun where it is plain; what else there is, `read` tells."""
        plain, self._plain = self._plain, None
        return plain

    def rest(self) -> None:
        """Take nothing until the next answer is expected."""
        self._over = True

    def data_received(self, data: bytes) -> None:
        """Take in what the host sent."""
        if self._begins:
            self._begins = False
            self._plain = None if self._bodiless else plain(data)
            self._over = self._plain is not None
            self._wake()
            if self._over:
                return
            self.set_response_params(skip_payload=self._bodiless, read_until_eof=True, auto_decompress=False)
        if self._over:
            # Nobody asked, and what it is the beginning of would pass for the next answer.
            self.force_close()
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let whoever waits hear that nothing more comes."""
        super().connection_lost(exc)
        self._wake()

    def _wake(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener()
        elif self._beginning is not None and not self._beginning.done():
            self._beginning.set_result(None)


class Connection:
    """One TLS connection to the host, for one exchange at a time."""

    def __init__(self, protocol: Protocol, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since_s = 0.0
        self.record = ""
        """Names the record of outcomes of the host at the other end, as looked at; empty where it keeps none."""
        self._protocol = protocol
        self._writer = StreamWriter(protocol, loop)
        self._has_come = _arrivals(protocol.transport)

    @property
    def is_quiet(self) -> bool:
        """Return whether nothing has come since the last exchange, not even the end, be it read here yet or not.

        A host that stops hangs up while this program is busy; what is sent to it then is lost, and a write in doubt.
        """
        return not self._has_come()

    @property
    def reusable(self) -> bool:
        """Return whether the last exchange ended cleanly and the host still holds the connection."""
        return self._protocol.is_connected() and not self._protocol.should_close

    def ask(self, data: bytes, listener: Callable[[], None]) -> None:
        """Send a whole request, no HEAD, and have the listener called once, when its answer begins or never will.

        Only while `reusable`. The listener may not fail.
        """
        protocol = self._protocol
        protocol.expect(bodiless=False)
        protocol.listener = listener
        if protocol.transport is not None:
            protocol.transport.write(data)

    def begun(self) -> Answer | None:
        """Return the answer that has begun where it is plain and here to its end; else `answer` tells."""
        return self._protocol.begun()

    def give_up(self) -> None:
        """End the connection, and have nobody called any more."""
        self._protocol.listener = None
        self._protocol.close()

    async def send(self, data: bytes) -> None:
        """Send bytes of a request, and wait while the host does not keep up."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(data)
        if self._protocol.writing_paused:
            await self._writer.drain()

    async def answer(self, *, bodiless: bool) -> Answer:
        """Return the answer, past any 1xx; `bodiless` for one to a HEAD."""
        if (beginning := self._protocol.awaits()) is not None:
            await beginning
        if (plain := self._protocol.begun()) is not None:
            return plain
        while True:
            message, body = await self._protocol.read()
            if message.code > _HIGHEST:
                raise HttpProcessingError(message="a status that there is not (RFC 9110 §15)")
            if message.code >= _OK:
                return parsed(message, body, bodiless=bodiless)
            if message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HttpProcessingError(message="it switched to a protocol that nobody asked for")

    def expect_answer(self, *, bodiless: bool) -> None:
        """Prepare for an answer; to be called before anything is sent."""
        self._protocol.expect(bodiless=bodiless)

    async def look(self, authority: str, meant: str = "") -> None:
        """Learn which record the host at the other end keeps; raises BROKEN or StoodIn, and it is then of no use.

        Looks again where another record than the one that is `meant` is named: hosts may take turns here.
        """
        for _ in range(HOSTS):
            await self._look(authority)
            if meant in {"", self.record} or not self.reusable:
                return

    async def _look(self, authority: str) -> None:
        self.expect_answer(bodiless=False)
        await self.send(f"GET /healthz HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
        answer = await self.answer(bodiless=False)
        if answer.is_in_place:
            raise StoodIn(f"{in_place(answer.head.status)}; it is to pass GET /healthz on, too")
        content = await _small(answer)
        # Where the connection ends here, the next one may lead to another host: it is held to no record.
        self.record = _record(content) if answer.head.status == HTTPStatus.OK and self.reusable else ""

    async def refused_by(self, answer: Answer, record: str) -> str | None:
        """Return the record of the host that did not carry out a write for this one, because it keeps another.

        Empty where it keeps none; None where this is any other answer, whose body is then still to be read.
        """
        named = answer.record
        if not record or answer.head.status != HTTPStatus.PRECONDITION_FAILED or named in {None, record.encode()}:
            return None
        await _small(answer)
        return named.decode() if _RECORD.fullmatch(named.decode(errors="replace")) else ""

    def rest(self) -> None:
        """Expect nothing until the next exchange: a host that says anything until then is not to be trusted again."""
        self._protocol.rest()

    def close(self) -> None:
        """End the connection."""
        self._protocol.close()


def _arrivals(transport: asyncio.BaseTransport | None) -> Callable[[], bool]:
    """Return what tells whether something has come that nobody has read; never, on Windows, which has no poll."""
    socket, poll = None if transport is None else transport.get_extra_info("socket"), getattr(select, "poll", None)
    if socket is None or poll is None:
        return lambda: False
    arrivals = poll()
    arrivals.register(socket.fileno(), getattr(select, "POLLIN", 0))
    return lambda: bool(arrivals.poll(0))


async def _small(answer: Answer) -> bytes:
    """Return a body that is known to be small; of another one enough to see that."""
    if isinstance(answer.body, bytes):
        return answer.body
    content = b""
    while not answer.body.at_eof() and len(content) < _LOOK_BYTES:
        content += await answer.body.readany()
    return content


def _record(content: bytes) -> str:
    """Return the name of the host's record of outcomes, empty where it says none."""
    try:
        record = msgspec.json.decode(content, type=_Healthz).idempotency_record or ""
    except msgspec.MsgspecError:
        return ""
    return record if _RECORD.fullmatch(record) else ""
