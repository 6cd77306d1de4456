"""Messages as bytes, packed with MessagePack: the payloads of a link's frames, and what relay nodes tell each other."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import msgspec

from agent.errors import ProtocolViolation

Message = TypeVar("Message", bound=msgspec.Struct)

_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """Return the message as bytes."""
    return _encoder.encode(message)


def decode(kind: type[Message], payload: bytes) -> Message:
    """Return the message in these bytes; raises ProtocolViolation where it is no such message."""
    try:
        message: Message = _decoder(kind).decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as failure:  # the latter where text is no UTF-8
        raise ProtocolViolation(f"a {kind.__name__} that cannot be read: {failure}") from failure
    return message


@cache
def _decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Message]:
    return msgspec.msgpack.Decoder(kind)
