"""The next certificate, in good time: asked for over a live link, and taken only where it fits the key made here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.outbound.credentials import EnrolmentRefused, new_request, store
from connector_host.clock import monotonic_s, now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from agent.link.links import Link
    from agent.outbound.credentials import Identity
    from agent.settings import AgentSettings


AGAIN_S: Final = 30.0
"""Seconds after which a request that was never answered is made again, with another key."""


class Renewal:
    """One renewal at a time, however many links there are: an answer fits the key of its own request only."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._asked_s = -AGAIN_S

    def ask_where_due(self, link: Link, identity: Identity | None) -> None:
        """Ask for the next certificate where two thirds of this one's life are over."""
        if identity is None or not identity.renewal_due(now()):
            return
        time_s = monotonic_s()
        if self._key is not None and time_s - self._asked_s < AGAIN_S:
            return
        self._asked_s = time_s
        self._key, request = new_request()
        link.session.ask_renewal(request)
        link.flush()

    def take(self, certificate: bytes) -> None:
        """Keep the certificate that the relay sent, with the key that it was asked for."""
        key, self._key = self._key, None
        if key is None or self._settings.state is None:
            return
        try:
            store(self._settings.state, key, certificate)
        except (EnrolmentRefused, OSError) as refused:
            logs.event(events.CERTIFICATE_REFUSED, level=logging.ERROR, reason=str(refused))
        else:
            logs.event(events.CERTIFICATE_RENEWED, agent=self._settings.name)
