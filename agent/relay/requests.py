"""One request to a tenant's host, as the gateway judges it: as aiohttp read it, or read out of the bytes that came.

Most requests come whole, head and body at once. What aiohttp makes for each, a message, a stream, a request, a task, is
then more work than all the rest, so those that are plain beyond doubt are read here. Whatever else there is, right or
wrong, is aiohttp's to judge. Knows nothing of what becomes of a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agent.link.headers import HOP_BY_HOP
from agent.relay.forwarded import REQUEST_ID
from connector_host import traces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        return [_text(value) for name, value in self.pairs if name.lower() == lowered]


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
    found = _PLAIN.match(data)
    if found is None or found.end() > limits.header_bytes:
        return None
    method, tenant, target, lines = found.groups()
    pairs: list[tuple[bytes, bytes]] = _LINE.findall(lines)
    said = {name.lower(): value for name, value in pairs}
    body = data[found.end() :]
    # One that is there twice is aiohttp's to judge, and so is all that changes how a message is framed.
    if len(said) != len(pairs) or len(pairs) > _LINES or not _is_framed(said, len(body)):
        return None
    if b"host" not in said or len(body) > min(limits.body_bytes, limits.replay_bytes):
        return None
    identity, trace = said.get(_IDENTITY), said.get(_TRACE)
    head = ClientRequest(
        tenant.decode("ascii"),
        method.decode("ascii"),
        target.decode("ascii"),
        pairs,
        _text(said[b"host"]),
        remote,
        len(body) if b"content-length" in said else None,
        _text(said.get(b"authorization", b"")),
        None if identity is None else _text(identity),
        () if trace is None else (_text(trace),),
    )
    return Whole(head, body)


_PLAIN: Final = re.compile(
    rb"(GET|POST|PUT|PATCH|DELETE) /t/([A-Za-z0-9._~-]++)(/[!-\"$-~]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: (?:(?![ \t])[\t -~\x80-\xff]*+(?<![ \t]))?\r\n)++)\r\n"
)
"""A request line as RFC 9112 §3 wants it, and header lines with one blank after the colon and none at the end."""

_LINE: Final = re.compile(rb"([^:]++): ([^\r]*+)\r\n")
_LINES: Final = 128
"""As many as aiohttp takes."""

_UNPLAIN: Final = (HOP_BY_HOP | {b"expect"}) - {b"connection"}
_TRACE: Final = traces.HEADER.lower().encode()
_IDENTITY: Final = REQUEST_ID.lower().encode()


def _is_framed(said: Mapping[bytes, bytes], body_bytes: int) -> bool:
    """Return whether a message with these headers has just this body, and the connection goes on after it."""
    return (
        said.get(b"content-length", b"0") == b"%d" % body_bytes
        and said.get(b"connection", _STAYS).lower() == _STAYS
        and _UNPLAIN.isdisjoint(said)
    )


_STAYS: Final = b"keep-alive"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
