"""One request to a tenant's host, as the gateway judges it: as aiohttp read it, or read out of the bytes that came.

Most requests come whole, head and body at once, and those that are plain beyond doubt are read past aiohttp. Knows
nothing of what becomes of a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agent.relay.forwarded import REQUEST_ID
from connector_host import traces
from connector_host.plain_requests import read_plain, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from agent.settings import LimitSettings


class ClientRequest(msgspec.Struct, frozen=True):
    """The head of one request."""

    tenant: str
    method: str
    target: str
    """Path and query as the client sent them, without the prefix of the tenant."""
    pairs: Sequence[tuple[bytes, bytes]]
    """Its headers."""
    host: str
    remote: str | None
    """The client's address; None where nobody can tell whose it is."""
    length: int | None
    """Bytes of the body, where the client said so."""
    authorization: str
    request_id: str | None
    """What the client calls the request."""
    traceparents: Sequence[str]

    def said(self, lowered: bytes) -> list[str]:
        """Return what the headers of this name say."""
        return [text_of(value) for name, value in self.pairs if name.lower() == lowered]


class Whole(NamedTuple):
    """A request that is here to its end."""

    head: ClientRequest
    body: bytes


def parsed(request: web.BaseRequest, tenant: str, target: str) -> ClientRequest:
    """Return the head that aiohttp read."""
    headers = request.headers
    return ClientRequest(
        tenant,
        request.method,
        target,
        request.raw_headers,
        request.host,
        request.remote,
        request.content_length,
        headers.get("Authorization", ""),
        headers.get(REQUEST_ID),
        headers.getall(traces.HEADER, ()),
    )


def whole(data: bytes, remote: str | None, limits: LimitSettings) -> Whole | None:
    """Return the request that these bytes are, no more and no less; None where they are none, or none that is plain."""
    asked = read_plain(data, limits.header_bytes)
    found = _TARGET.fullmatch(asked.target) if asked is not None else None
    if asked is None or found is None or len(asked.body) > min(limits.body_bytes, limits.replay_bytes):
        return None
    tenant, target = found.groups()
    said, body = asked.said, asked.body
    identity, trace = said.get(_IDENTITY), said.get(_TRACE)
    head = ClientRequest(
        tenant,
        asked.method,
        target,
        asked.pairs,
        text_of(said[b"host"]),
        remote,
        len(body) if b"content-length" in said else None,
        text_of(said.get(b"authorization", b"")),
        None if identity is None else text_of(identity),
        () if trace is None else (text_of(trace),),
    )
    return Whole(head, body)


_TARGET: Final = re.compile(r"/t/([A-Za-z0-9._~-]++)(/.*)")
_TRACE: Final = traces.HEADER.lower().encode()
_IDENTITY: Final = REQUEST_ID.lower().encode()
