"""The TLS of both ends: what a relay shows, and whom a connection outward believes.

There is no switch that turns verification off; host names are always checked.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from agent import events, logs
from agent.errors import ConfigurationError
from connector_host.clock import now
from connector_host.errors import Level, failures
from connector_host.tls.contexts import client_context, server_context
from connector_host.tls.files import check_identity

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509


def trusting(anchors: Path | None, key: str) -> ssl.SSLContext:
    """Return a client context that believes only these authorities, or the operating system's where there are none.

    Raises ConfigurationError that names the key of the configuration where the file holds no certificate.
    """
    try:
        return client_context(anchors)
    except (OSError, ssl.SSLError) as failure:
        reason = getattr(failure, "strerror", None) or "it holds no certificate in PEM form"
        raise ConfigurationError(f"{key}: {anchors} cannot be used as a trust anchor: {reason}.") from failure


def doubt(failure: Exception, key: str) -> str:
    """Return why a certificate is not believed, with the mend: the key that names who issued it, a name, a clock."""
    if not isinstance(failure, ssl.SSLCertVerificationError):
        return str(failure)
    said = failure.verify_message
    if failure.verify_code in _OF_NO_TRUSTED_AUTHORITY:
        return f"{said}: no authority that is trusted here issued it; name the one that did in {key}"
    if failure.verify_code in _OF_ANOTHER_NAME:
        return f"{said.rstrip('.')}: dial a name that it is for, or have it issued for this one, too"
    if failure.verify_code in _OUT_OF_ITS_TIME:
        return f"{said}: this machine's clock says {now():%Y-%m-%d %H:%M} UTC"
    return said


_OF_NO_TRUSTED_AUTHORITY: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's codes: self-signed, self-signed in the chain, no issuer found, first certificate cannot be verified."""
_OF_ANOTHER_NAME: Final = frozenset({62, 64})
"""Not for this host name, not for this address."""
_OUT_OF_ITS_TIME: Final = frozenset({9, 10})
"""Not yet valid, expired."""


def ask_for_certificates(context: ssl.SSLContext, authority: x509.Certificate) -> None:
    """Let clients of this server show a certificate of the authority; those that have none, SCIM clients, need none."""
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authority.public_bytes(Encoding.DER))


def showing(certificate: Path, key: Path, name: str) -> ssl.SSLContext:
    """Return a server context for this name, and warn of what is odd about the certificate, save that its end is near.

    Raises ConfigurationError where the certificate may not stand for the name: then a relay does not start.
    """
    findings = check_identity(certificate, key, name, now(), section="[relay]")
    if wrong := failures(findings):
        raise ConfigurationError("\n".join(f"relay.certificate: {finding.fact} {finding.mend}" for finding in wrong))
    for finding in findings:
        if finding.level is Level.WARNING and finding.subject != "dates":
            logs.event(events.CERTIFICATE_WARNING, level=logging.WARNING, fact=finding.fact, mend=finding.mend)
    return server_context(certificate, key)
