"""What the agent says about itself: its status file, and its figures."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import __version__
from agent.errors import ConfigurationError
from agent.metrics import Figure
from agent.outbound.credentials import load
from agent.status import AgentStatus, LinkStatus
from connector_host.clock import epoch_s, now
from connector_host.tls.identity import days_left

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.link.links import Link
    from agent.outbound.dialling import Dialler
    from agent.outbound.forwarding import Forwarder
    from agent.outbound.probe import Probe
    from agent.settings import AgentSettings

STATUS_FILE: Final = "agent-status.json"


@dataclass(frozen=True, slots=True)
class Reporter:
    """Looks at the running agent."""

    settings: AgentSettings
    dialler: Dialler
    forwarder: Forwarder
    probe: Probe

    def status(self) -> AgentStatus:
        """Return how the agent is now."""
        settings, health = self.settings, self.probe.health
        return AgentStatus(
            at_s=epoch_s(),
            version=__version__,
            agent=settings.name,
            tenant=settings.tenant,
            host=settings.host,
            host_reachable=health.reachable,
            host_detail=health.detail,
            certificate_days=self._certificate_days(),
            links=[self._link(url, link) for url, link in self.dialler.links()],
            in_flight=self.forwarder.carried,
            last_error=max(self.dialler.last_error, self.forwarder.last_error),
        )

    def figures(self) -> Iterable[Figure]:
        """Return the agent's figures."""
        forwarder = self.forwarder
        answered = [((("status", str(status)),), float(count)) for status, count in forwarder.answered.items()]
        yield Figure("agent_requests_total", "counter", "Requests that the host answered, by status.", answered)
        failed = [((("reason", reason),), float(count)) for reason, count in forwarder.failed.items()]
        yield Figure("agent_failures_total", "counter", "Requests without an answer, by reason.", failed)
        for name, text, value in (
            ("agent_requests_under_way", "Requests under way.", forwarder.carried),
            ("agent_links", "Links that are up.", len(self.dialler.links())),
            ("agent_host_reachable", "Whether the connector host answers.", self.probe.health.reachable),
        ):
            yield Figure(name, "gauge", text, [((), float(value))])
        if (days := self._certificate_days()) is not None:
            yield Figure("agent_certificate_days", "gauge", "Days until the certificate ends.", [((), float(days))])

    def _link(self, url: str, link: Link) -> LinkStatus:
        return LinkStatus(
            peer=url,
            tenant=self.settings.tenant,
            version=link.peer.software,
            since_s=link.since_s,
            round_trip_ms=None if link.round_trip_s is None else round(link.round_trip_s * 1000, 2),
            in_flight=link.in_flight,
            host_reachable=self.probe.health.reachable,
            compressed=link.session.deflates,
        )

    def _certificate_days(self) -> int | None:
        with suppress(ConfigurationError):
            identity = None if self.settings.state is None else load(self.settings.state)
            if identity is not None:
                return days_left(identity.certificate, now())
            if self.settings.token_file is not None:
                return None
        return -1
