"""The public address of this service as the client used it: the Host header, or what a trusted proxy says.

`location` must carry the address that the client can reach again, behind a relay or a proxy too. Forwarded headers
(RFC 7239, and the older X-Forwarded-*) are believed only from addresses that the administrator trusts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from connector_host.access.door import Source

if TYPE_CHECKING:
    from aiohttp import web

_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_ADDRESS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9A-Fa-f:]{2,}|\d+(?:\.\d+){3})(?::\d+)?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~%-]+)*")


def public_origin(request: web.Request, trusted_proxies: tuple[str, ...]) -> str:
    """Return scheme, host and prefix, without a slash at the end."""
    scheme, host, prefix = request.scheme, request.host, ""
    if _is_trusted(request.remote, trusted_proxies):
        forwarded = _forwarded(request.headers.get("Forwarded", ""))
        scheme = forwarded.get("proto") or _first(request, "X-Forwarded-Proto") or scheme
        host = forwarded.get("host") or _first(request, "X-Forwarded-Host") or host
        prefix = _first(request, "X-Forwarded-Prefix").rstrip("/")
    scheme = scheme.lower() if scheme.lower() in {"http", "https"} else request.scheme
    if not _HOST.fullmatch(host):
        host = "localhost"
    return f"{scheme}://{host}{prefix if _PREFIX.fullmatch(prefix) else ''}"


def client_of(request: web.Request, trusted_proxies: tuple[str, ...]) -> Source:
    """Return where the request came from: the peer, or the client that a trusted proxy names.

    A proxy adds whom it heard to the end of what it was told, so the last one that is no proxy of ours is the client:
    whatever stands before it is the client's own word.
    """
    peer = request.remote or ""
    if not _is_trusted(peer, trusted_proxies):
        return Source(peer)
    client: Source | None = None
    for named in reversed(_named_clients(request)):
        address = _ADDRESS.fullmatch(named)
        if address is None:
            client = Source(client.address if client else peer, shared=True)
            break
        client = Source(address.group(1) or address.group(2))
        if not _is_trusted(client.address, trusted_proxies):
            break
    return client or Source(peer, shared=True)


def _named_clients(request: web.Request) -> list[str]:
    """Return the clients of each hop, the one nearest to us last; both ways of several headers mean one list."""
    if forwarded := ",".join(request.headers.getall("Forwarded", ())):
        return [_parameters(hop).get("for", "") for hop in forwarded.split(",")]
    listed = ",".join(request.headers.getall("X-Forwarded-For", ()))
    return [named.strip() for named in listed.split(",")]


@lru_cache(maxsize=1_024)
def _is_trusted(remote: str | None, trusted_proxies: tuple[str, ...]) -> bool:
    """Return whether the peer is one of these addresses or networks; peers come again with each request."""
    try:
        peer = ip_address(remote or "")
        return any(peer in ip_network(entry, strict=False) for entry in trusted_proxies)
    except ValueError:
        return False


def _forwarded(header: str) -> dict[str, str]:
    """Return the parameters of the first hop of a Forwarded header: the one nearest to the client."""
    if not header:
        return {}
    return _parameters(header.split(",", 1)[0])


def _parameters(hop: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in hop.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _first(request: web.Request, header: str) -> str:
    return request.headers.get(header, "").split(",", 1)[0].strip()
