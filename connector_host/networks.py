"""How a client's address is spelled, and what counts as one client: for host and relay alike."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def spelled(address: str) -> str:
    """Return an IPv4 address as such where a socket for both families tells it as one of IPv6 (RFC 4291 §2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address


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
