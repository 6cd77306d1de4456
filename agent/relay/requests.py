"""One request to a tenant's host, as the gateway judges it: as aiohttp read it, or read out of the bytes that came.

Most requests come whole, head and body at once, and those that are plain beyond doubt are read past aiohttp. Knows
nothing of what becomes of a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from connector_host import traces
from connector_host.plain_requests import PlainReader, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from agent.settings import LimitSettings
    from connector_host.plain_requests import Lines, Plain


Kind: TypeAlias = tuple[bool, bool, str, str | None]
"""Whether the relay checked the client's token, whether the trace begins here, the tenant, and the client's address."""


class Headers(msgspec.Struct, frozen=True):
    """What the headers of a request say; the same object for all requests of a connection that say the same."""

    pairs: Sequence[tuple[bytes, bytes]]
    """All of them; how long the body is, the request itself knows."""
    host: str
    authorization: str
    request_id: str | None
    """What the client calls the request."""
    traceparents: Sequence[str]
    onward: dict[Kind, tuple[bytes, bool]] = msgspec.field(default_factory=dict)
    """What `forwarded` makes of them, kept for the next request."""

    def said(self, lowered: bytes) -> list[str]:
        """Return what the headers of this name say."""
        return [text_of(value) for name, value in self.pairs if name.lower() == lowered]


class ClientRequest(msgspec.Struct, frozen=True):
    """The head of one request."""

    tenant: str
    method: str
    target: str
    """Path and query as the client sent them, without the prefix of the tenant."""
    headers: Headers
    remote: str | None
    """The client's address; None where nobody can tell whose it is."""
    length: int | None
    """Bytes of the body, where the client said so."""


class Whole(msgspec.Struct, frozen=True):
    """A request that is here to its end."""

    head: ClientRequest
    body: bytes


def parsed(request: web.BaseRequest, tenant: str, target: str) -> ClientRequest:
    """Return the head that aiohttp read."""
    said = request.headers
    headers = Headers(
        request.raw_headers,
        request.host,
        said.get("Authorization", ""),
        said.get(traces.REQUEST_ID),
        said.getall(traces.HEADER, ()),
    )
    return ClientRequest(tenant, request.method, target, headers, request.remote, request.content_length)


class WholeReader:
    """Reads the requests of one connection that come whole."""

    __slots__ = ("_headers", "_lines", "_most", "_parts", "_reader", "_remote", "_target")

    def __init__(self, remote: str | None, limits: LimitSettings) -> None:
        self._remote = remote
        self._most = min(limits.body_bytes, limits.replay_bytes)
        self._reader = PlainReader(limits.header_bytes)
        self._headers: Headers | None = None
        self._lines: Lines | None = None
        """What they were read out of."""
        self._target = ""
        self._parts: tuple[str, str] | None = None
        """The tenant of the last target, and the rest of it."""

    def read(self, data: bytes) -> Whole | None:
        """Return the request that these bytes are, no more and no less; None where they are none that is plain."""
        asked = self._reader.read(data)
        if asked is None:
            return None
        headers = self._headers
        if headers is None or asked.lines is not self._lines:
            headers, self._lines = _headers(asked), asked.lines
            self._headers = headers
        target, body = asked.target, asked.body
        if target is not self._target:
            found = _TARGET.fullmatch(target)
            self._target, self._parts = target, None if found is None else (found[1], found[2])
        if self._parts is None or len(body) > self._most:
            return None
        tenant, target = self._parts
        length = len(body) if b"content-length" in asked.said else None
        return Whole(ClientRequest(tenant, asked.method, target, headers, self._remote, length), body)


def _headers(asked: Plain) -> Headers:
    said = asked.said
    identity, trace = said.get(_IDENTITY), said.get(_TRACE)
    return Headers(
        asked.pairs,
        text_of(said[b"host"]),
        text_of(said.get(b"authorization", b"")),
        None if identity is None else text_of(identity),
        () if trace is None else (text_of(trace),),
    )


_TARGET: Final = re.compile(r"/t/([A-Za-z0-9._~-]++)(/.*)")
_TRACE: Final = traces.HEADER.lower().encode()
_IDENTITY: Final = traces.REQUEST_ID.lower().encode()
