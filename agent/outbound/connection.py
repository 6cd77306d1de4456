"""One TLS connection to the connector host: one exchange at a time, and what the host at its other end says of itself.

aiohttp's own client protocol (its C parser) without its session: the header block goes through as bytes, and nothing
is ever sent twice behind the caller's back. Knows nothing of links.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import ClientError, ClientPayloadError, ServerDisconnectedError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import StreamWriter

if TYPE_CHECKING:
    import asyncio

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

BROKEN = (OSError, ClientError, HttpProcessingError)
"""What aiohttp and the system raise where a connection breaks, or carries what is no HTTP."""

RECORD_HEADER: Final = b"idempotency-record"
"""With a write: the record of outcomes that it is for. A host that keeps another one does nothing, and answers 412 with
its own in this header; a host that is older than this passes it over."""

HOSTS: Final = 8
"""How often one connection is asked where several hosts take turns on it, until the one answers that is meant."""

_LOOK_BYTES: Final = 65_536
_OK: Final = HTTPStatus.OK
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


class _Healthz(msgspec.Struct):
    """What the connector host says at /healthz; an older one says less."""

    idempotency_record: str | None = None


class Connection:
    """One TLS connection to the host, for one exchange at a time."""

    def __init__(self, protocol: ResponseHandler, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since_s = 0.0
        self.record = ""
        """Names the record of outcomes of the host at the other end, as looked at; empty where it keeps none."""
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
            if message.code >= _OK:
                return message, body
            if message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HttpProcessingError(message="it switched to a protocol that nobody asked for")
            self.expect_answer(bodiless=bodiless)

    def expect_answer(self, *, bodiless: bool) -> None:
        """Prepare for an answer; to be called before anything is sent."""
        self._protocol.set_response_params(skip_payload=bodiless, read_until_eof=True, auto_decompress=False)

    async def look(self, authority: str, meant: str = "") -> None:
        """Learn which record the host at the other end keeps; raises BROKEN, and the connection is then of no use.

        Looks again where another record than the one that is `meant` is named: hosts may take turns here.
        """
        for _ in range(HOSTS):
            await self._look(authority)
            if meant in {"", self.record} or not self.reusable:
                return

    async def _look(self, authority: str) -> None:
        self.expect_answer(bodiless=False)
        await self.send(f"GET /healthz HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
        message, body = await self.answer(bodiless=False)
        content = await _small(body)
        # Where the connection ends here, the next one may lead to another host: it is held to no record.
        self.record = _record(content) if message.code == HTTPStatus.OK and self.reusable else ""

    async def refused_by(self, message: RawResponseMessage, body: StreamReader, record: str) -> str | None:
        """Return the record of the host that did not carry out a write for this one, because it keeps another.

        Empty where it keeps none; None where this is any other answer, whose body is then still to be read.
        """
        if not record or message.code != HTTPStatus.PRECONDITION_FAILED:
            return None
        named = next((value for name, value in message.raw_headers if name.lower() == RECORD_HEADER), None)
        if named is None or named == record.encode():
            return None
        await _small(body)
        return named.decode() if _RECORD.fullmatch(named.decode(errors="replace")) else ""

    def close(self) -> None:
        """End the connection."""
        self._protocol.close()


async def _small(body: StreamReader) -> bytes:
    """Return a body that is known to be small; of another one enough to see that."""
    content = b""
    while not body.at_eof() and len(content) < _LOOK_BYTES:
        content += await body.readany()
    return content


def _record(content: bytes) -> str:
    """Return the name of the host's record of outcomes, empty where it says none."""
    try:
        record = msgspec.json.decode(content, type=_Healthz).idempotency_record or ""
    except msgspec.MsgspecError:
        return ""
    return record if _RECORD.fullmatch(record) else ""
