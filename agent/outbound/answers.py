"""An answer of the host, as a link carries it.

Most answers are short and plain, and arrive at once: those are read here as they are. All others aiohttp parses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from agent.link.headers import FRAMING, HOP_BY_HOP, named_by_connection, to_block
from agent.link.messages import ResponseHead

if TYPE_CHECKING:
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

RECORD_HEADER: Final = b"idempotency-record"
"""With a write: the record of outcomes that it is for. A host that keeps another one does nothing, and answers 412 with
its own in this header; a host that is older than this passes it over."""

_SAID_BY_THE_RELAY: Final = frozenset({b"x-request-id"})
_CONTENT_ENCODING: Final = b"content-encoding"
_CONTENT_LENGTH: Final = b"content-length"
_IDENTITY: Final = b"identity"
_KEEP_ALIVE: Final = b"keep-alive"
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINES: Final = 512
"""Header lines that are remembered: most of them stand in each answer of a host."""

_SCIM: Final = b"\r\ncontent-type: application/scim+json"

_HEAD_BYTES: Final = 4_096
"""The longest head of a plain answer."""

_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_STATUS: Final = {b"HTTP/1.1 %d " % status: status for status in range(200, 600)}
"""How an answer begins."""


class Answer(msgspec.Struct, frozen=True):
    """One answer, whose body is here or still to be read."""

    head: ResponseHead
    encoded: bool
    """Whether the host compressed the body or did anything else to it (RFC 9110 §8.4)."""
    body: bytes | StreamReader
    """All of it, or what gives it as it comes."""
    record: bytes | None = None
    """What the host says which record of outcomes it keeps."""

    @property
    def is_in_place(self) -> bool:
        """Whether a proxy on the way says this in place of the host, whose own errors are SCIM's (RFC 7644 §3.12)."""
        head = self.head
        return head.status >= HTTPStatus.INTERNAL_SERVER_ERROR and _SCIM not in b"\r\n" + head.headers.lower()


def parsed(message: RawResponseMessage, body: StreamReader, *, bodiless: bool) -> Answer:
    """Return an answer that aiohttp has parsed; `bodiless` for one to a HEAD."""
    pairs = message.raw_headers
    lowered = [name.lower() for name, _ in pairs]
    without: frozenset[bytes] = _SAID_BY_THE_RELAY
    if b"connection" in lowered:
        without |= named_by_connection(pairs)
    length = int(pairs[lowered.index(_CONTENT_LENGTH)][1]) if _CONTENT_LENGTH in lowered else None
    codings = [
        value.strip().lower() for name, (_, value) in zip(lowered, pairs, strict=True) if name == _CONTENT_ENCODING
    ]
    return Answer(
        ResponseHead(message.code, to_block(pairs, without), length),
        encoded=any(one != _IDENTITY for one in codings),
        body=b"" if bodiless or message.code in _BODILESS or body.at_eof() else body,
        record=pairs[lowered.index(RECORD_HEADER)][1] if RECORD_HEADER in lowered else None,
    )


def plain(data: bytes) -> Answer | None:
    """Return the answer where these bytes are a whole one, and nothing else; None where any doubt is left.

    To a request that is no HEAD. Doubtful is all that bears on how a message is framed save one Content-Length that is
    kept, or a 204 that has none (RFC 9112 §6.3), and all that no sensible host writes.
    """
    end, status = data.find(b"\r\n\r\n", 0, _HEAD_BYTES), _STATUS.get(data[:13])
    if end < 0 or status is None:
        return None
    lines = data[:end].split(b"\r\n")
    breaks = len(lines) - 1
    if data.count(b"\r", 0, end) != breaks or data.count(b"\n", 0, end) != breaks or data.find(b"\0", 0, end) >= 0:
        return None
    body = data[end + 4 :]
    length: bytes | None = None
    encoded, kept = False, []
    for line in lines[1:]:
        kind = _kind(line)
        if kind == _CONTENT:
            kept.append(line)
        elif kind == _LENGTH and length is None:
            length = line[_DIGITS:]
        elif kind == _CODED:
            kept.append(line)
            encoded = True
        elif kind != _LEFT_OUT:
            return None
    kept.append(b"")
    size = None if status in _BODILESS else len(body)
    if length != (b"%d" % size if size is not None else None) or (body and size is None):
        return None
    return Answer(ResponseHead(status, b"\r\n".join(kept), size), encoded, body)


@lru_cache(_LINES)
def _kind(line: bytes) -> int:
    """Return what a line is to who passes an answer on."""
    name, colon, value = line.partition(b": ")
    lowered = name.lower()
    if not colon or lowered in _FRAMED or not _NAME.fullmatch(name):
        return _DOUBTFUL
    if lowered == _CONTENT_ENCODING:
        return _CONTENT if value.strip().lower() == _IDENTITY else _CODED
    if lowered == _CONNECTION:
        return _LEFT_OUT if value.lower() == _KEEP_ALIVE else _DOUBTFUL
    if lowered == _CONTENT_LENGTH:
        return _LENGTH
    return _LEFT_OUT if lowered == _KEEP_ALIVE or lowered in _SAID_BY_THE_RELAY else _CONTENT


_CONTENT, _CODED, _LENGTH, _LEFT_OUT, _DOUBTFUL = range(5)
"""No enumeration: looking at a member costs as much as all else here."""

_CONNECTION: Final = b"connection"
_FRAMED: Final = (HOP_BY_HOP | FRAMING | {RECORD_HEADER}) - {_CONNECTION, _KEEP_ALIVE, _CONTENT_LENGTH}
_DIGITS: Final = len(b"Content-Length: ")
