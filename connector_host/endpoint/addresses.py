"""The public address of this service as the client used it: the Host header, or what a trusted proxy says.

`location` must carry the address that the client can reach again, behind a relay or a proxy too. Forwarded headers
(RFC 7239, and the older X-Forwarded-*) are believed only from addresses that the administrator trusts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from connector_host.access.door import Source
from connector_host.networks import client_behind, is_among, parameters

if TYPE_CHECKING:
    from aiohttp import web

_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~%-]+)*")
_HOPS, _PROTO, _BY_HOST, _BEHIND = "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix"
_NOTHING: Final = ("", "", "", "")


def public_origin(request: web.Request, trusted_proxies: tuple[str, ...]) -> str:
    """Return scheme, host and prefix, without a slash at the end."""
    if not is_among(request.remote, trusted_proxies):
        return _origin(request.scheme, request.host, _NOTHING)
    get = request.headers.get
    return _origin(request.scheme, request.host, (get(_HOPS, ""), get(_PROTO, ""), get(_BY_HOST, ""), get(_BEHIND, "")))


@lru_cache(maxsize=256)
def _origin(own: str, host: str, said: tuple[str, str, str, str]) -> str:
    hops, proto, forwarded_host, prefix = said
    forwarded = _forwarded(hops)
    scheme = (forwarded.get("proto") or _first(proto) or own).lower()
    host = forwarded.get("host") or _first(forwarded_host) or host
    prefix = _first(prefix).rstrip("/")
    if scheme not in {"http", "https"}:
        scheme = own
    if not _HOST.fullmatch(host):
        host = "localhost"
    return f"{scheme}://{host}{prefix if _PREFIX.fullmatch(prefix) else ''}"


def client_of(request: web.Request, trusted_proxies: tuple[str, ...]) -> Source:
    """Return where the request came from: the peer, or the client that a trusted proxy names."""
    headers = request.headers
    said = headers.getall("Forwarded", ()), headers.getall("X-Forwarded-For", ())
    client = client_behind(request.remote or "", *said, trusted_proxies)
    return Source(client.address, shared=client.shared)


def _forwarded(header: str) -> dict[str, str]:
    """Return the parameters of the first hop of a Forwarded header: the one nearest to the client."""
    if not header:
        return {}
    return parameters(header.split(",", 1)[0])


def _first(header: str) -> str:
    return header.split(",", 1)[0].strip()
