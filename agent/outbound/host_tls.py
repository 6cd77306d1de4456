"""The agent's TLS to the connector host: whom it believes there, and what it shows to a host that demands it.

Its files may be exchanged at any time: the next connection goes by the new ones, where they can be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ConfigurationError
from agent.link.followed import FollowedContext
from agent.link.tls import trusting
from agent.secrets import refuse_open
from connector_host.clock import now
from connector_host.tls.files import UnusableFile, load_pair

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


class HostTls:
    """Keeps the context for connections to the host in step with its files."""

    def __init__(self, trust: Path | None, certificate: Path | None, key: Path | None) -> None:
        """Read the files; raises ConfigurationError where they cannot be used."""
        if (certificate is None) is not (key is None):
            raise ConfigurationError(
                "agent.host_client_certificate: is missing, and host_client_key is of no use alone."
                if certificate is None
                else "agent.host_client_key: is missing: name the key of host_client_certificate."
            )
        self._trust, self._certificate, self._key = trust, certificate, key
        self._followed = FollowedContext(self._load, trust, certificate, key)

    def context(self) -> ssl.SSLContext:
        """Return what the next connection uses."""
        return self._followed.context()

    def _load(self) -> ssl.SSLContext:
        context = trusting(self._trust, "agent.host_trust")
        if self._certificate is not None and self._key is not None:
            _show(context, self._certificate, self._key)
        return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        identity = load_pair(certificate, key)
    except UnusableFile as failure:
        raise ConfigurationError(f"agent.host_client_{failure.finding.subject}: {failure}") from failure
    refuse_open(key, "agent.host_client_key")
    end = identity.certificate.not_valid_after_utc
    if end < now():
        raise ConfigurationError(
            f"agent.host_client_certificate: {certificate} expired on {end:%Y-%m-%d %H:%M} UTC; "
            "get a new one from the host's administrator."
        )
    context.load_cert_chain(certificate, key)
