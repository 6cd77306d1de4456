"""What the frames of a link mean, once the session has read them: one type each, joined as Notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agent.link.messages import Health, Hello


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
