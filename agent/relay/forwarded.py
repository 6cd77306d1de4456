"""The headers that go on to the host: the client's own, without what it may not say, and with what the relay knows."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Final

from agent.link.headers import named_by_connection, to_block

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_ID: Final = "X-Request-Id"

_SAID_BY_THE_RELAY: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
        b"x-request-id",
    }
)
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def is_authority(text: str) -> bool:
    """Return whether this is a `name[:port]` that may be handed on as the relay's own."""
    return _AUTHORITY.fullmatch(text) is not None


def request_id(given: str | None) -> str:
    """Return the client's request id where it is well formed, else a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def onward(
    pairs: Sequence[tuple[bytes, bytes]], *, tenant: str, authority: str, identity: str, client: str | None
) -> bytes:
    """Return the header block for the host; `identity` is the request id, `client` the caller's address."""
    block = to_block(pairs, _SAID_BY_THE_RELAY | named_by_connection(pairs))
    said = (
        f"X-Forwarded-Proto: https\r\nX-Forwarded-Host: {authority}\r\nX-Forwarded-Prefix: /t/{tenant}\r\n"
        f"{REQUEST_ID}: {identity}\r\n"
    )
    if client is not None:
        said += f"X-Forwarded-For: {client}\r\n"
    return block + said.encode("ascii")
