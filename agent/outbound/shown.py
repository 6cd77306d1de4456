"""The certificate that the agent shows to a connector host that demands one (`client_authority` in its [host])."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

from agent import events, logs
from agent.errors import ConfigurationError
from connector_host.clock import now
from connector_host.errors import ConfigurationError as UnusableFile
from connector_host.tls.files import load_identity
from connector_host.tls.identity import belongs_together

if TYPE_CHECKING:
    import ssl
    from pathlib import Path


class ShownCertificate:
    """Keeps a client context showing what is in two files, which somebody may exchange at any time."""

    def __init__(self, certificate: Path, key: Path, context: ssl.SSLContext) -> None:
        """Read the files; raises ConfigurationError where they cannot be used."""
        self._certificate, self._key, self._context = certificate, key, context
        self._seen = self._stamp()
        self._load()

    def refresh(self) -> None:
        """Take over files that were exchanged; where those cannot be used, the ones before stay in force."""
        if (stamp := self._stamp()) == self._seen:
            return
        self._seen = stamp
        try:
            self._load()
        except ConfigurationError as failure:
            mend = "The certificate before it stays in force; exchange both files."
            logs.event(events.CERTIFICATE_WARNING, level=logging.WARNING, fact=str(failure), mend=mend)

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        try:
            return tuple((found.st_mtime_ns, found.st_ino) for found in (self._certificate.stat(), self._key.stat()))
        except OSError:  # one of them is being exchanged just now, or loading says what is wrong
            return ()

    def _load(self) -> None:
        try:
            identity = load_identity(self._certificate, self._key)
        except UnusableFile as failure:
            raise ConfigurationError(f"agent.host_client_certificate: {failure}") from failure
        if not belongs_together(identity.certificate, identity.key):
            raise ConfigurationError(
                f"agent.host_client_key: {self._key} is not the key of the certificate in {self._certificate}; "
                "name the one that it was requested with."
            )
        if os.name == "posix" and self._key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ConfigurationError(
                f"agent.host_client_key: everybody on this machine may use {self._key}: chmod 600 {self._key}"
            )
        end = identity.certificate.not_valid_after_utc
        if end < now():
            raise ConfigurationError(
                f"agent.host_client_certificate: {self._certificate} expired on {end:%Y-%m-%d %H:%M} UTC; "
                "get a new one from the host's administrator."
            )
        self._context.load_cert_chain(self._certificate, self._key)


def shown(certificate: Path | None, key: Path | None, context: ssl.SSLContext) -> ShownCertificate | None:
    """Have the context show the certificate, None where none is configured; raises ConfigurationError."""
    match certificate, key:
        case None, None:
            return None
        case None, _:
            raise ConfigurationError(
                "agent.host_client_certificate: is missing, and host_client_key is of no use alone."
            )
        case _, None:
            raise ConfigurationError("agent.host_client_key: is missing: name the key of host_client_certificate.")
        case _:
            return ShownCertificate(certificate, key, context)
