"""What a certificate may be asked to prove: the name or the address of a host (RFC 9525 §1.5, §2).

Comparing is service-identity's work; this module knows no certificate.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

from service_identity.hazmat import DNS_ID

from connector_host.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HostName:
    """A DNS name in its ASCII form (A-labels, RFC 5890), lower case, without the root's full stop."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address; it matches an iPAddress of the subjectAltName only, never a DNS name (RFC 9525 §3)."""

    value: ipaddress.IPv4Address | ipaddress.IPv6Address

    def __str__(self) -> str:
        return str(self.value)


Name: TypeAlias = HostName | Address


def parse_name(text: str) -> Name:
    """Read what a person wrote: `hr.example.org`, `bücher.example`, `10.0.0.5`, `::1` or `[::1]`.

    Raises ConfigurationError for anything that is neither a host name nor an IP address.
    """
    bare = text.strip().removeprefix("[").removesuffix("]")
    try:
        return Address(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        # DNS_ID refuses what could be mistaken for an address, and encodes IDNA 2008.
        name = DNS_ID(text.strip().removesuffix(".").lower()).hostname.decode("ascii")
    except ValueError as failure:
        raise ConfigurationError(f"{text!r} is neither a host name nor an IP address.") from failure
    if not all(0 < len(label) <= _LABEL_OCTETS for label in name.split(".")) or len(name) > _NAME_OCTETS:
        raise ConfigurationError(f"{text!r} is no host name: each part between full stops has 1 to 63 characters.")
    return HostName(name)


_LABEL_OCTETS = 63  # RFC 1035 §2.3.4
_NAME_OCTETS = 253
