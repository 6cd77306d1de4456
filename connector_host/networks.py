"""How a client's address is spelled, what counts as one client, and whom a trusted proxy names: for host and relay."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9A-Fa-f:]{2,}|\d+(?:\.\d+){3})(?::\d+)?")


class Client(NamedTuple):
    """Where a request came from."""

    address: str
    """Empty where nobody can tell."""
    shared: bool = False
    """Whether others come from there, too: a proxy that does not say for whom it asks."""


def spelled(address: str) -> str:
    """Return an IPv4 address as such where a socket for both families tells it as one of IPv6 (RFC 4291 §2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address


@lru_cache(maxsize=1_024)
def network_of(address: str | None) -> str:
    """Return what counts as one client, however it is spelled: an IPv4 address, or the /64 of one site in IPv6.

    What is no address stands for itself; none at all is the empty text.
    """
    if not address:
        return ""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def is_network(text: str) -> bool:
    """Return whether this is an address or a network, as `is_among` takes them."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_among(address: str | None, networks: tuple[str, ...]) -> bool:
    """Return whether this is one of these addresses, or in one of these networks."""
    return bool(networks) and _is_among(address, networks)


@lru_cache(maxsize=1_024)
def _is_among(address: str | None, networks: tuple[str, ...]) -> bool:
    # Kept, since the same come again and again.
    try:
        parsed = ip_address(spelled(address or ""))
        return any(parsed in ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False


def client_behind(peer: str, forwarded: Sequence[str], listed: Sequence[str], proxies: tuple[str, ...]) -> Client:
    """Return the peer, or the client that it names where it is a trusted proxy.

    `forwarded` are its Forwarded headers (RFC 7239), `listed` its X-Forwarded-For. A proxy that writes one of the two
    may pass the other one on as the client wrote it: where they name two clients, neither is believed.
    """
    if not is_among(peer, proxies):
        return Client(peer)
    said = [hops for hops in (_forwarded(forwarded), _listed(listed)) if hops]
    clients = {_nearest(peer, hops, proxies) for hops in said}
    if len(clients) > 1:
        return Client("", shared=True)
    return clients.pop() if clients else Client(peer, shared=True)


def _nearest(peer: str, hops: Sequence[str], proxies: tuple[str, ...]) -> Client:
    """Return the client: the last hop that is no proxy of ours.

    A proxy adds whom it heard to the end of what it was told; whatever stands before the client is its own word.
    """
    client = Client(peer, shared=True)
    for hop in reversed(hops):
        address = _ADDRESS.fullmatch(hop)
        if address is None:
            return Client(client.address, shared=True)
        client = Client(address.group(1) or address.group(2))
        if not is_among(client.address, proxies):
            break
    return client


def _forwarded(headers: Sequence[str]) -> list[str]:
    """Return whom each hop names, the nearest last; several headers mean one list."""
    text = ",".join(headers)
    return [parameters(hop).get("for", "") for hop in text.split(",")] if text else []


def _listed(headers: Sequence[str]) -> list[str]:
    text = ",".join(headers)
    return [hop.strip() for hop in text.split(",")] if text else []


def parameters(hop: str) -> dict[str, str]:
    """Return what one hop of a Forwarded header says."""
    pairs = (pair.partition("=") for pair in hop.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
