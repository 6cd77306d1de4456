"""The headers that go on to the host: the client's own, without what it may not say, and with what the relay knows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from agent.link.headers import named_by_connection, to_block
from connector_host import traces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.relay.requests import Headers, Kind
    from connector_host.traces import Trace

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_KEY: Final = IDEMPOTENCY_KEY.lower().encode()
_STATE: Final = traces.STATE_HEADER.encode()

_SAID_BY_THE_RELAY: Final = frozenset(
    {
        b"forwarded",
        b"idempotency-record",
        b"traceparent",
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


def is_authority(text: str) -> bool:
    """Return whether this is a `name[:port]` that may be handed on as the relay's own."""
    return _AUTHORITY.fullmatch(text) is not None


def is_drawn_here(key: str) -> bool:
    """Return whether this idempotency key is one that this process gave a request, so that no client knows it."""
    return key.startswith(_DRAWN)


def onward(headers: Headers, kind: Kind, identity: str, trace: Trace, *, keyed: bool) -> bytes:
    """Return the header block for the host, with our own hop of the trace that the client began, or that begins here.

    Where the relay itself checked the client's token, that goes no further. Where `keyed`, a request that brings no
    idempotency key of its own gets one, so that the relay may repeat it.
    """
    same = headers.onward.get(kind)
    if same is None:
        # Those of one connection ask for one tenant.
        headers.onward.clear()
        same = headers.onward[kind] = _same_for_all(headers, kind)
    block, has_key = same
    key = f"{IDEMPOTENCY_KEY}: {_DRAWN}{next(_keys)}\r\n" if keyed and not has_key else ""
    said = f"{traces.REQUEST_ID}: {identity}\r\n{traces.HEADER}: {trace.header}\r\n{key}"
    return block + said.encode("ascii")


def _same_for_all(headers: Headers, kind: Kind) -> tuple[bytes, bool]:
    """Return what is said with each such request, and whether the client's own idempotency key is among it."""
    known, begun_here, tenant, remote = kind
    pairs = headers.pairs
    names = {name.lower() for name, _ in pairs}
    kept = set(named_by_connection(pairs)) if b"connection" in names else set()
    if known:
        kept.add(b"authorization")
    if begun_here:
        kept.add(_STATE)
    block = to_block(pairs, _SAID_BY_THE_RELAY | kept if kept & names else _SAID_BY_THE_RELAY)
    said = f"X-Forwarded-Proto: https\r\nX-Forwarded-Host: {headers.host}\r\nX-Forwarded-Prefix: /t/{tenant}\r\n"
    if remote:
        said += f"X-Forwarded-For: {remote}\r\n"
    # A key that the client declares to be for this hop only goes no further: it must not pass for one that does.
    return block + said.encode("ascii"), _KEY in names and _KEY not in kept


def _unguessed() -> Iterator[str]:
    """Draw keys that nobody can guess: the system is asked for many at once, at the cost of a single one."""
    while True:
        many = os.urandom(_KEY_BYTES * _KEYS).hex()
        for begin in range(0, len(many), 2 * _KEY_BYTES):
            yield many[begin : begin + 2 * _KEY_BYTES]


_KEY_BYTES: Final = 12
_KEYS: Final = 64
_keys: Final = _unguessed()
_DRAWN: Final = f"relay-{os.urandom(4).hex()}"
