"""The relay's own certificate, taken over when its files change: handshakes from then on show the new one.

A new certificate that may not stand for the relay's name is refused, and the old one goes on. As its end comes near, or
that of the authority for agents, the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.errors import ConfigurationError
from agent.link.tls import ask_for_certificates, showing
from connector_host.clock import now
from connector_host.tls.files import UnusableFile, load_chain, stamp_of
from connector_host.tls.hellos import pass_over_odd_names
from connector_host.tls.identity import days_left, warning_passed

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from cryptography import x509

    from agent.settings import RelaySettings

LOOK_S: Final = 5.0

_RENEW: Final = "Put a new one into the files of relay.certificate and relay.key: no restart is needed."
_REPLACE: Final = "Agents lose their certificates with it: replace it before, as docs/relay.md says."


class LiveCertificate:
    """Owns the context that the port was given, and the one that the next handshake uses."""

    def __init__(self, settings: RelaySettings, authority: x509.Certificate) -> None:
        """Raise ConfigurationError where the certificate may not stand for the relay's name."""
        self._settings = settings
        self._authority = authority
        self._seen = self._stamp()
        self.context, self.leaf = self._load()
        """What the port is given, once; and the certificate that handshakes show now, whatever the files hold."""
        self._countdowns = Countdown("The relay's certificate", _RENEW), Countdown("The authority for agents", _REPLACE)
        self._current = self.context
        self.trouble = ""
        """Why the files that are there now are not taken over; empty where they are."""
        pass_over_odd_names()
        # Called in every handshake, also where the client names no server.
        self.context.sni_callback = self._choose

    async def keep(self) -> None:
        """Look every so often, for ever: a look that fails in a way that nobody foresaw is logged, and no more."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
                self.warn(now())
            except Exception as failure:  # noqa: BLE001 - the certificate would run out unseen
                logs.event(events.CERTIFICATE_REFUSED, level=logging.ERROR, reason=repr(failure))

    def look(self) -> None:
        """Take the files over where they have changed and may be believed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._current, self.leaf = self._load()
        except (ConfigurationError, UnusableFile, OSError) as failure:  # ssl.SSLError, too
            self.trouble = f"the new certificate is refused, and the old one goes on: {failure}"
            logs.event(events.CERTIFICATE_REFUSED, level=logging.ERROR, reason=str(failure))
        else:
            self.trouble = ""
            logs.event(events.CERTIFICATE_TAKEN, relay=self._settings.name)

    def warn(self, moment: datetime) -> None:
        """Say of the certificate, and of the authority for agents, that the end comes near."""
        for countdown, certificate in zip(self._countdowns, (self.leaf, self._authority), strict=True):
            countdown.look(certificate, moment)

    def _load(self) -> tuple[ssl.SSLContext, x509.Certificate]:
        context = showing(self._settings.certificate, self._settings.key, self._settings.name)
        # OpenSSL looks for clients' authorities in the context that a handshake was switched to.
        ask_for_certificates(context, self._authority)
        return context, load_chain(self._settings.certificate)[0]

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return stamp_of(self._settings.certificate), stamp_of(self._settings.key)


class Countdown:
    """Warns once on each of 60, 30, 7 and 1 days before a certificate's end, as far as they fit its life, and on it."""

    def __init__(self, what: str, mend: str) -> None:
        self._what, self._mend = what, mend
        self._told: int | None = None

    def look(self, certificate: x509.Certificate, moment: datetime) -> None:
        """Log a warning where one is due."""
        left = days_left(certificate, moment)
        passed = warning_passed(certificate, left)
        if passed is not None and passed != self._told:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            fact = f"{self._what} {'ends' if left >= 0 else 'ended'} on {end}."
            logs.event(events.CERTIFICATE_WARNING, level=logging.WARNING, fact=fact, mend=self._mend)
        self._told = passed
