"""What the payloads of HELLO, REQUEST, RESPONSE, FAIL and HEALTH say, packed with MessagePack.

Fields are only ever added at the end, with a default, so that each end reads what an older or newer one wrote.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

VERSIONS: Final = (1, 1)
"""The oldest and the newest version of the protocol that this program speaks. Two ends speak the newest that both know;
those that share none part with a GOAWAY that says so."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of each end: who speaks, what it can do, and how much it takes in at once."""

    versions: tuple[int, int]
    """The oldest and the newest version of the protocol that this end speaks."""
    window: int
    """Bytes of DATA that the other end may send on a fresh stream before it waits for a WINDOW."""
    name: str
    """What an administrator calls this end."""
    software: str
    """The version of the program."""
    features: frozenset[str] = frozenset()
    """What this end can do beyond the version; a feature is used only where both ends name it."""
    challenge: bytes = b""
    """Of the relay: what an agent signs that did not show its certificate in the TLS handshake; empty asks for none."""
    certificate: bytes = b""
    """Of the agent: its certificate, DER, where there was a challenge."""
    proof: bytes = b""
    """Of the agent: the signed challenge."""
    instance: str = ""
    """Of the agent: tells it from others of its name, machines that were cloned, say; new with each start."""

    @property
    def who(self) -> str:
        """Return what is the same for all links of one agent; an older one has its name only."""
        return self.instance or self.name


class RequestHead(msgspec.Struct, frozen=True, array_like=True):
    """The head of one request. The header block is bytes, so that it is parsed once, where it came in."""

    method: str
    target: str
    """Path and query as the client sent them, without the prefix of the tenant."""
    headers: bytes
    """`Name: value` lines, each ended by CR LF; no hop-by-hop header, no framing header."""
    request_id: str
    deadline_ms: int
    """How long the relay waits for the answer to begin."""
    length: int | None = None
    """Bytes of the body where they are known; None is a body whose end only END tells."""
    record: str = ""
    """Of a write: the record of outcomes that the relay was told of. Only a host that names the same one, on the very
    connection that the write takes, may get it."""
    known: bool = False
    """Whether the relay itself checked the client's token: only then may an agent add one of its own."""


class ResponseHead(msgspec.Struct, frozen=True, array_like=True):
    """The head of one answer."""

    status: int
    headers: bytes
    """As in RequestHead."""
    length: int | None = None
    """As in RequestHead; to a HEAD, what the body of a GET would have."""


class Reason(StrEnum):
    """Why an agent could not answer a request."""

    NOT_ALLOWED = "not_allowed"
    """The path is no SCIM path of a connector host, or the method is not SCIM's."""
    MALFORMED = "malformed"
    """The head of the request is not what the protocol says."""
    BUSY = "busy"
    """The agent carries as many requests as it may."""
    DRAINING = "draining"
    """The agent is about to stop."""
    LINK_LOST = "link_lost"
    """Between nodes of a relay: the agent's link to the node that holds it has ended, or takes no more requests."""
    HOST_UNREACHABLE = "host_unreachable"
    """No connection to the connector host came about."""
    HOST_CERTIFICATE = "host_certificate"
    """The connector host's certificate was not accepted."""
    OTHER_HOST = "other_host"
    """The host keeps another record of outcomes than the one that the repeated write belongs to, or none."""
    HOST_SLOW = "host_slow"
    """The connector host did not answer in time."""
    HOST_DROPPED = "host_dropped"
    """The connector host ended the connection before its answer was complete."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why there is no answer, and whether the host may have seen the request."""

    reason: Reason
    sent: bool
    """True as soon as one byte of the request may have reached the connector host."""
    detail: str
    """One sentence for an administrator; names the hop, never a value from the request."""
    lasting: bool = False
    """Whether it stays so until somebody mends a setting: another agent may be asked, and nobody waits."""


class Health(msgspec.Struct, frozen=True, array_like=True):
    """How the connector host is, as the agent's own probe sees it; sent at the start of a link and with each change."""

    reachable: bool
    record: str
    """Names the host's record of outcomes: a write with an idempotency key that was sent to a host with this record may
    be sent again to a host with the same one. Empty where the host keeps none; the last one that was seen where it is
    not reachable."""
    detail: str = ""
    """Why the host is not reachable."""


class EnrolmentRequest(msgspec.Struct, frozen=True):
    """What an agent posts to /enroll, as JSON."""

    tenant: str
    token: str
    """The one-time token."""
    name: str
    """What administrators call this agent."""
    request: str
    """A certificate request for the key that the agent made, PEM."""


class EnrolmentAnswer(msgspec.Struct, frozen=True):
    """What it gets, as JSON."""

    agent: str
    certificate: str
    """The agent's certificate, PEM."""
    authority: str
    """The relay's authority, PEM: the agent takes later certificates from no other."""
