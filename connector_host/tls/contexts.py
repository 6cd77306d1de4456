"""What a TLS connection may use: 1.2 and 1.3, forward secrecy, authenticated encryption, and always verification.

There is no switch here that turns verification off (DESIGN §2.4).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from connector_host.small_files import demand_small

if TYPE_CHECKING:
    from pathlib import Path

CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2 only; those of 1.3 are all sound. Entra's list begins with the same ones (ecma.md §1.9)."""


def server_context(certificate: Path, key: Path, *, client_authority: Path | None = None) -> ssl.SSLContext:
    """Return what a server speaks; with `client_authority`, only to clients that show a certificate of that authority.

    Raises ssl.SSLError or OSError for files that `tls.files` would not accept.
    """
    for file in filter(None, (certificate, key, client_authority)):
        demand_small(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate, key)
    if client_authority is not None:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
        # A resumed session shows no certificate: one that was withdrawn or ran out would be let in for two hours more.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def client_context(anchor: Path | None = None) -> ssl.SSLContext:
    """Return what a client speaks, believing only what the anchor issued; None believes the system's authorities.

    Raises OSError where the anchor cannot be read, ssl.SSLError where it is no certificate.
    """
    if anchor is not None:
        demand_small(anchor)
    context = ssl.create_default_context(cafile=anchor)
    _restrict(context)
    # An anchor may be an issuing authority, or a single host's own certificate, not only a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Enterprise authorities often leave out key identifiers, which Python 3.13 would refuse (RFC 5280 asks for them).
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_1_2)
    context.set_alpn_protocols(["http/1.1"])
