"""What counts as one client, for whoever counts by address: host and relay alike."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


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
