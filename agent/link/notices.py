"""What the frames of a link mean, once the session has read them: one type each, joined as Notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from agent.link.frames import Kind
from agent.link.messages import Health
from agent.link.packing import decode

if TYPE_CHECKING:
    from agent.link.frames import Frame
    from agent.link.messages import Hello

PING_BYTES: Final = 8


class Greeted(msgspec.Struct, frozen=True):
    """The other end said who it is; streams may be opened from now on."""

    hello: Hello


class Opened(msgspec.Struct, frozen=True, gc=False):
    """The relay asks for something."""

    stream: int
    head: bytes
    end: bool
    """Whether nothing more comes than what is here."""
    body: bytes = b""
    """All of it, where it came with the head."""


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The agent has the head of an answer."""

    stream: int
    head: bytes
    end: bool
    """As in Opened, like the next."""
    body: bytes = b""


class Received(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a body."""

    stream: int
    data: bytes
    end: bool


class Credited(msgspec.Struct, frozen=True, gc=False):
    """More may be sent on this stream."""

    stream: int


class Failed(msgspec.Struct, frozen=True, gc=False):
    """There is no answer, or no more of it."""

    stream: int
    payload: bytes


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """Nobody at the other end wants this stream any more."""

    stream: int


class Draining(msgspec.Struct, frozen=True, gc=False):
    """The other end wants no new streams on this link."""

    reason: str


class Ponged(msgspec.Struct, frozen=True, gc=False):
    """The other end answered a ping."""

    token: bytes


class Told(msgspec.Struct, frozen=True):
    """The agent says how its host is."""

    health: Health


class RenewalAsked(msgspec.Struct, frozen=True, gc=False):
    """The agent asks for its next certificate."""

    request: bytes


class Renewed(msgspec.Struct, frozen=True, gc=False):
    """The relay sends the agent's next certificate."""

    certificate: bytes


class Noted(msgspec.Struct, frozen=True, gc=False):
    """The other end says something that the programs above understand."""

    payload: bytes


Notice: TypeAlias = (
    Greeted
    | Opened
    | Answered
    | Received
    | Credited
    | Failed
    | Cancelled
    | Draining
    | Ponged
    | Told
    | RenewalAsked
    | Renewed
    | Noted
)


def aside(frame: Frame) -> Notice | None:
    """Return what a frame beside all streams says; raises ProtocolViolation where it cannot be read."""
    match frame.kind:
        case Kind.PONG:
            return Ponged(frame.payload) if len(frame.payload) == PING_BYTES else None
        case Kind.HEALTH:
            return Told(decode(Health, frame.payload))
        case Kind.RENEW:
            return RenewalAsked(frame.payload)
        case Kind.RENEWED:
            return Renewed(frame.payload)
        case Kind.NOTE:
            return Noted(frame.payload)
        case _:
            return None
