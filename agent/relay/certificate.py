"""The relay's own certificate, taken over when its files change: handshakes from then on show the new one.

A new certificate that may not stand for the relay's name is refused, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import ConfigurationError
from agent.link.tls import ask_for_certificates, showing
from connector_host.tls.files import stamp_of

if TYPE_CHECKING:
    import ssl

    from cryptography import x509

    from agent.settings import RelaySettings

LOOK_S: Final = 5.0


class LiveCertificate:
    """Owns the context that the port was given, and the one that the next handshake uses."""

    def __init__(self, settings: RelaySettings, authority: x509.Certificate) -> None:
        """Raise ConfigurationError where the certificate may not stand for the relay's name."""
        self._settings = settings
        self._authority = authority
        self._seen = self._stamp()
        self.context = self._load()
        """What the port is given, once."""
        self._current = self.context
        # Called in every handshake, also where the client names no server.
        self.context.sni_callback = self._choose

    async def keep(self) -> None:
        """Look every so often, for ever: a look that fails in a way that nobody foresaw is logged, and no more."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except Exception as failure:  # noqa: BLE001 - the certificate would run out unseen
                logs.event(events.CERTIFICATE_REFUSED, level=logging.ERROR, reason=repr(failure))

    def look(self) -> None:
        """Take the files over where they have changed and may be believed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._current = self._load()
        except (ConfigurationError, OSError) as failure:  # ssl.SSLError, too
            logs.event(events.CERTIFICATE_REFUSED, level=logging.ERROR, reason=str(failure))
        else:
            logs.event(events.CERTIFICATE_TAKEN, relay=self._settings.name)

    def _load(self) -> ssl.SSLContext:
        context = showing(self._settings.certificate, self._settings.key, self._settings.name)
        # OpenSSL looks for clients' authorities in the context that a handshake was switched to.
        ask_for_certificates(context, self._authority)
        return context

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return stamp_of(self._settings.certificate), stamp_of(self._settings.key)
