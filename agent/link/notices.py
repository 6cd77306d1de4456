"""What the frames of a link mean, once the session has read them: one type each, joined as Notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.link.frames import Kind
from agent.link.messages import Health
from agent.link.packing import decode

if TYPE_CHECKING:
    from agent.link.frames import Frame
    from agent.link.messages import Hello

PING_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Greeted:
    """The other end said who it is; streams may be opened from now on."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Opened:
    """The relay asks for something."""

    stream: int
    head: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent has the head of an answer."""

    stream: int
    head: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A stretch of a body."""

    stream: int
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class Credited:
    """More may be sent on this stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer, or no more of it."""

    stream: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody at the other end wants this stream any more."""

    stream: int


@dataclass(frozen=True, slots=True)
class Draining:
    """The other end wants no new streams on this link."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ponged:
    """The other end answered a ping."""

    token: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """The agent says how its host is."""

    health: Health


@dataclass(frozen=True, slots=True)
class RenewalAsked:
    """The agent asks for its next certificate."""

    request: bytes


@dataclass(frozen=True, slots=True)
class Renewed:
    """The relay sends the agent's next certificate."""

    certificate: bytes


@dataclass(frozen=True, slots=True)
class Noted:
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
