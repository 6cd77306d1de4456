"""Keeping the served certificate good while the host runs: taken over when its file changes, renewed, warned of.

file changed ──judged──▶ good: next handshake uses it │ bad: refused, the old one goes on (client_authority's, too)
own certificate ──a third of its life left──▶ renewed ──▶ file changed
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from connector_host import clock
from connector_host.endpoint.health import CertificateState
from connector_host.errors import HostError, failures
from connector_host.observability import events
from connector_host.tls.files import (
    UnusableFile,
    check_authority,
    exposure_findings,
    judge_identity,
    load_identity,
    stamp_of,
)
from connector_host.tls.identity import EXPIRED, days_left, warning_days, warning_passed
from connector_host.tls.renewal import is_due, own_authority, renew

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connector_host.tls.files import Identity
    from connector_host.tls.live import LiveContext

LOOK_S = 10.0
"""Seconds between two looks at the files."""


@dataclass(slots=True)
class CertificateWatch:
    """Looks after the certificate of one listener; `look` is one round, `keep` goes on until it is cancelled."""

    certificate: Path
    key: Path
    host: str
    live: LiveContext
    cares: bool = True
    """Whether it renews and warns; where several processes serve one certificate, one of them does."""
    days_left: int | None = field(default=None, init=False)
    """Of the certificate that is served; None before the first look."""
    _stamps: tuple[tuple[int, ...], ...] | None = field(default=None, init=False)
    _looked: bool = field(default=False, init=False)
    _identity: Identity | None = field(default=None, init=False)
    _warned_at: int | None = field(default=None, init=False)
    _renewal_failed: bool = field(default=False, init=False)
    _reload_failed: bool = field(default=False, init=False)
    _look_failed: bool = field(default=False, init=False)

    @property
    def state(self) -> CertificateState:
        """Return what readiness tells of the certificate that is served."""
        if self.days_left is None or self._identity is None:
            return CertificateState()
        if self.days_left < 0:
            return CertificateState("expired", self.days_left)
        soon = self.days_left <= warning_days(self._identity.certificate)
        return CertificateState("expires soon" if soon else "valid", self.days_left)

    async def keep(self) -> None:
        """Look every few seconds; the files are read in a thread, since a network drive may be slow.

        A look that fails in a way that nobody foresaw is told once, and the next one tries again.
        """
        while True:
            try:
                await asyncio.to_thread(self.look, clock.now())
                self._look_failed = False
            except Exception:  # noqa: BLE001 - the certificate would run out unseen
                self._stamps = None
                if not self._look_failed:
                    structlog.get_logger().exception(events.CERTIFICATE_NOT_LOOKED_AT, again_s=LOOK_S)
                self._look_failed = True
            await asyncio.sleep(LOOK_S)

    def look(self, now: datetime) -> None:
        """Take over what has changed, renew what is due, and warn of what ends soon."""
        stamps = self._stamps_now()
        if stamps != self._stamps:
            first, self._looked, self._stamps = not self._looked, True, stamps
            self._take_over(now, first=first)
        if self._identity is None:
            return
        self.days_left = days_left(self._identity.certificate, now)
        if not self.cares:
            return
        if is_due(self._identity, now) and self._renew(now):
            self._stamps = self._stamps_now()
            self._take_over(now, first=False)
        self._warn(self._identity)

    def _take_over(self, now: datetime, *, first: bool) -> None:
        try:
            identity = self._accepted(now)
            self.live.reload()  # at the first look, too: the files may have been exchanged since they were loaded
        except UnusableFile as failure:
            found = failure.finding
            log = structlog.get_logger()
            log.error(events.CERTIFICATE_REFUSED, subject=found.subject, fact=found.fact, mend=found.mend)  # noqa: TRY400 - no trace helps
            return
        except OSError as failure:  # ssl.SSLError, too
            # Changed between two reads: the next look tries again.
            self._stamps = None
            if not self._reload_failed:
                structlog.get_logger().error(events.CERTIFICATE_REFUSED, subject="tls", reason=failure.strerror)
            self._reload_failed = True
            return
        self._identity, self._warned_at, self._reload_failed = identity, None, False
        self.days_left = days_left(identity.certificate, now)
        if not first:
            structlog.get_logger().info(events.CERTIFICATE_REPLACED, days_left=self.days_left)

    def _accepted(self, now: datetime) -> Identity:
        """Return what the files hold; raises UnusableFile where it may not stand for this host, or believe clients."""
        identity = load_identity(self.certificate, self.key)
        findings = [
            *exposure_findings(self.key),
            *judge_identity(identity, self.host, now),
            *check_authority(self.live.client_authority, "client_authority", now),
        ]
        if refused := failures(findings):
            raise UnusableFile(refused[0])
        return identity

    def _renew(self, now: datetime) -> bool:
        """Renew one that this product issued; a failure is told once, and tried again at each look."""
        try:
            renewed = renew(self.certificate, self.key, now)
        except (HostError, OSError) as failure:
            if not self._renewal_failed:
                reason = failure.strerror if isinstance(failure, OSError) else str(failure)
                structlog.get_logger().error(events.CERTIFICATE_NOT_RENEWED, reason=reason)
            self._renewal_failed = True
            return False
        self._renewal_failed = False
        return renewed

    def _warn(self, identity: Identity) -> None:
        """Warn once on each of 60, 30, 7 and 1 days, and on the end, as far as they fit the certificate's life."""
        left = self.days_left
        passed = None if left is None else warning_passed(identity.certificate, left)
        if passed is None or passed == self._warned_at:
            return
        self._warned_at = passed
        if passed == EXPIRED:
            structlog.get_logger().error(events.CERTIFICATE_EXPIRED)
        else:
            structlog.get_logger().warning(events.CERTIFICATE_EXPIRES, days_left=left)

    def _stamps_now(self) -> tuple[tuple[int, ...], ...]:
        files = (self.certificate, self.key, self.live.client_authority)
        return tuple(stamp_of(path) for path in files if path is not None)


def renews_itself(certificate: Path) -> bool:
    """Return whether this product issued the certificate and can renew it by itself."""
    return own_authority(certificate) is not None
