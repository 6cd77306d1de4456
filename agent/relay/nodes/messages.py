"""What relay nodes tell each other, packed with MessagePack; sealed by `seals` before it leaves.

Fields are only ever added at the end, with a default, so that nodes of different versions work together.
"""

from __future__ import annotations

import msgspec

from agent.link.messages import Health  # noqa: TC001 - msgspec reads these annotations when the program runs
from agent.relay.noted import Noted  # noqa: TC001 - the same


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """A sign of life, to all nodes and the sender itself, which so sees that NATS works."""

    node: str
    """32 hex digits, new with each start of the program."""
    name: str
    """What administrators call the node."""
    software: str
    """The version of the program."""
    url: str
    """The relay's URL at that node."""
    leaving: bool = False
    """Whether the node is about to stop: no new session with it."""


class Opening(msgspec.Struct, frozen=True, array_like=True):
    """Begins a session between two nodes."""

    sender: str
    """The node that asks, and will open streams."""
    session: bytes
    """16 random bytes that name the session."""
    nonce: bytes
    """32 random bytes for the session's keys."""


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """The answer to an Opening; from here on both ends have the session's keys."""

    sender: str
    session: bytes
    nonce: bytes
    """32 random bytes for the session's keys: an Opening that is replayed leads nowhere."""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """One link of an agent, as the node that holds it sees it."""

    number: int
    """Names the link at its node."""
    tenant: str
    name: str
    """The agent's name."""
    software: str
    usable: bool
    in_flight: int
    health: Health
    id: str = ""
    """The agent's id; empty for one with a token."""
    since_s: int = 0
    """When the link came about, in seconds since 1970."""
    round_trip_ms: float | None = None
    instance: str = ""
    """Tells the agent from others of its name; empty for an older one."""


class Roster(msgspec.Struct, frozen=True, array_like=True):
    """What is new among the links that a node holds; the first ones of a session tell all."""

    held: list[Held]
    """Links that are new or have changed."""
    gone: list[int]
    """Numbers of links that have ended."""


class Errand(msgspec.Struct, frozen=True, array_like=True):
    """The head of a stream between nodes: a request for one link of an agent, or something for the node itself."""

    tenant: str
    number: int
    """The link's, at the node that holds it; 0, which no link has, for the node itself."""
    head: bytes
    """A RequestHead, packed: it goes to the agent as it is. For the node itself, an Unknown."""


class Unknown(msgspec.Struct, frozen=True, array_like=True):
    """Writes whose outcome a node knows to be unknown."""

    notes: list[Noted]
