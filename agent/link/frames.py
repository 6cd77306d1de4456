"""The frames of a link, as bytes: one WebSocket message carries one frame or many, one after the other.

Knows only their shape. What a frame means, and when it is allowed, is the session's.

     0       1       2               6              10
    +-------+-------+---------------+---------------+- - - - - -+
    | kind  | flags | stream        | length        | payload … |
    +-------+-------+---------------+---------------+- - - - - -+
      u8      u8      u32             u32             length bytes         all big-endian

    kind        from    stream  payload
    HELLO       both    0       messages.Hello; the first frame of each end, and only the first
    REQUEST     relay   new     the head of a request; opens the stream
    RESPONSE    agent   open    the head of the answer
    DATA        both    open    a stretch of the body, no longer than the credit that is left
    WINDOW      both    open    u32: bytes of DATA that may be sent on top of what was allowed before
    FAIL        agent   open    messages.Failure: why there is no answer, or no more of it; ends the stream
    CANCEL      both    open    empty: nobody wants this stream any more; ends the stream
    GOAWAY      both    0       why, as text: open no more streams on this link, those that are open end in
                            peace; the other end answers with its own
    PING        both    0       8 bytes, sent back as they are
    PONG        both    0       the 8 bytes of the PING
    HEALTH      agent   0       messages.Health: how the agent's host is; the first goes with the hello
    RENEW       agent   0       a certificate request, PEM: the agent's own certificate is about to end
    RENEWED     relay   0       the certificate, PEM
    NOTE        both    0       for the programs at the ends: which agents a node of the relay holds

    flags       END (1) on REQUEST, RESPONSE and DATA: this end has nothing more to send on the stream
                DEFLATED (2) on DATA of an agent, where both hellos have the feature: the payload is a stretch of the
                body that stretches.inflated makes whole; credit counts it as it is then
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from agent.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct("!BBII")
CREDIT: Final = struct.Struct("!I")

END: Final = 1
DEFLATED: Final = 2

PAYLOAD_BYTES: Final = 65_536
"""The longest payload of one frame; a longer body is sent as several DATA frames."""

HEAD_BYTES: Final = PAYLOAD_BYTES - 1_024
"""The longest head of a request or an answer; leaves room for what one relay node adds for another."""

EXTENSION: Final = 0x80
"""Kinds from here on are passed over by an end that does not know them, so that old and new work together."""


class Kind(IntEnum):
    """What a frame is for."""

    HELLO = 1
    REQUEST = 2
    RESPONSE = 3
    DATA = 4
    WINDOW = 5
    FAIL = 6
    CANCEL = 7
    GOAWAY = 8
    PING = 9
    PONG = 10
    HEALTH = EXTENSION
    RENEW = EXTENSION + 1
    RENEWED = EXTENSION + 2
    NOTE = EXTENSION + 3


_REQUEST: Final = int(Kind.REQUEST)
_RESPONSE: Final = int(Kind.RESPONSE)
_DATA: Final = int(Kind.DATA)
"""Plain numbers: an enumeration's member is looked up, and compared, at several times the cost, with each frame."""

_HEADS: Final = frozenset({_REQUEST, _RESPONSE})
_SIZE: Final = HEADER.size
_header_at: Final = HEADER.unpack_from

_NOT_OF_DATA: Final = 0xFF ^ (END | DEFLATED)
_NOT_OF_OTHERS: Final = 0xFF ^ END


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame; a head whose whole body follows at once, in a single frame of DATA, comes together with it."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    body: bytes | None = None
    """What that DATA carries, which ends the stream in its direction; None where no such frame follows."""


def pack(kind: int, stream: int = 0, payload: bytes = b"", *, end: bool = False, deflated: bool = False) -> bytes:
    """Return the bytes of one frame; the payload has at most PAYLOAD_BYTES."""
    flags = (END if end else 0) | (DEFLATED if deflated else 0)
    return HEADER.pack(kind, flags, stream, len(payload)) + payload


def unpack(message: bytes) -> Iterator[Frame]:
    """Return the frames of one WebSocket message.

    Raises ProtocolViolation where the message is empty, is cut short, or claims a length that no frame has.
    """
    position, total = 0, len(message)
    if not total:
        raise ProtocolViolation("a message without a frame")
    while position < total:
        start = position + _SIZE
        if start > total:
            raise ProtocolViolation("a frame whose header is cut short")
        kind, flags, stream, length = _header_at(message, position)
        position = start + length
        if length > PAYLOAD_BYTES:
            raise ProtocolViolation(f"a frame of {length} bytes, and {PAYLOAD_BYTES} is the most")
        if position > total:
            raise ProtocolViolation("a frame that is longer than its message")
        if flags & (_NOT_OF_DATA if kind == _DATA else _NOT_OF_OTHERS) and kind < EXTENSION:
            raise ProtocolViolation(f"flags {flags:#04x}, which nobody defined")
        if kind in _HEADS and not flags and (rest := position + _SIZE) <= total:
            kind_of_rest, flags_of_rest, stream_of_rest, length_of_rest = _header_at(message, position)
            end = rest + length_of_rest
            whole = kind_of_rest == _DATA and flags_of_rest == END and stream_of_rest == stream
            if whole and length_of_rest <= PAYLOAD_BYTES and end <= total:
                yield Frame(kind, flags, stream, message[start:position], message[rest:end])
                position = end
                continue
        yield Frame(kind, flags, stream, message[start:position])
