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
_NAMES: Final = 256
"""Headers that are remembered."""

_HEAD_BYTES: Final = 4_096
"""The longest head of a plain answer."""

_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_STATUS: Final = {b"HTTP/1.1 %d " % status: status for status in range(200, 600) if status not in _BODILESS}
"""How an answer with a body begins."""


class Answer(msgspec.Struct, frozen=True):
    """One answer, whose body is here or still to be read."""

    head: ResponseHead
    encoded: bool
    """Whether the host compressed the body or did anything else to it (RFC 9110 §8.4)."""
    body: bytes | StreamReader
    """All of it, or what gives it as it comes."""
    record: bytes | None = None
    """What the host says which record of outcomes it keeps."""


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
    kept (RFC 9112 §6.3), and all that no sensible host writes.
    """
    end, status = data.find(b"\r\n\r\n", 0, _HEAD_BYTES), _STATUS.get(data[:13])
    if end < 0 or status is None:
        return None
    lines = data[:end].split(b"\r\n")
    breaks = len(lines) - 1
    if data.count(b"\r", 0, end) != breaks or data.count(b"\n", 0, end) != breaks or data.find(b"\0", 0, end) >= 0:
        return None
    body = data[end + 4 :]
    lengths, encoded, kept = [], False, []
    for line in lines[1:]:
        name, colon, value = line.partition(b": ")
        kind = _kind(name) if colon else _DOUBTFUL
        if kind == _CONTENT:
            kept.append(line)
        elif kind == _LENGTH:
            lengths.append(value)
        elif kind == _CODING:
            kept.append(line)
            encoded = encoded or value.strip().lower() != _IDENTITY
        elif kind == _DOUBTFUL or (kind == _CONNECTION and value.lower() != _KEEP_ALIVE):
            return None
    if lengths != [b"%d" % len(body)]:
        return None
    kept.append(b"")
    return Answer(ResponseHead(status, b"\r\n".join(kept), len(body)), encoded, body)


@lru_cache(_NAMES)
def _kind(name: bytes) -> int:
    lowered = name.lower()
    if lowered in _KINDS:
        return _KINDS[lowered]
    return _CONTENT if _NAME.fullmatch(name) else _DOUBTFUL


_CONTENT, _LENGTH, _CODING, _CONNECTION, _LEFT_OUT, _DOUBTFUL = range(6)
"""What a header is to who passes an answer on. No enumeration: looking at a member costs as much as all else here."""

_KINDS: Final = {
    **dict.fromkeys(HOP_BY_HOP | FRAMING | {RECORD_HEADER}, _DOUBTFUL),
    **dict.fromkeys(_SAID_BY_THE_RELAY, _LEFT_OUT),
    _KEEP_ALIVE: _LEFT_OUT,
    b"connection": _CONNECTION,
    _CONTENT_LENGTH: _LENGTH,
    _CONTENT_ENCODING: _CODING,
}
