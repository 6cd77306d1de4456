"""What the relay says about itself: its status file, and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import __version__
from agent.metrics import Figure
from agent.status import LinkStatus, NodeStatus, RelayStatus
from connector_host.clock import epoch_s, now
from connector_host.tls.identity import days_left

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.link.links import Link
    from agent.relay.admission import Admission
    from agent.relay.archive import Outages
    from agent.relay.authority import Authority
    from agent.relay.certificate import LiveCertificate
    from agent.relay.gateway import Gateway
    from agent.relay.nodes.messages import Held
    from agent.relay.nodes.neighbours import Neighbour, Neighbours
    from agent.relay.passthrough import Passthrough

STATUS_FILE: Final = "relay-status.json"
_UNKNOWN_OUTCOME: Final = 504
_STRANGE: Final = "which is no tenant here: give all nodes the same [tenants] and the same relay.store"
_LATE: Final = "revocations may not act here until that is over"


@dataclass(frozen=True, slots=True)
class Place:
    """Where this relay stands, alone or among others."""

    node: str
    url: str
    neighbours: Neighbours | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """Looks at the running relay."""

    gateway: Gateway
    admission: Admission
    passthrough: Passthrough
    certificate: LiveCertificate
    authority: Authority
    place: Place
    outages: Outages
    """Of the store."""

    def status(self) -> RelayStatus:
        """Return how the relay is now."""
        return RelayStatus(
            at_s=epoch_s(),
            version=__version__,
            url=self.place.url,
            certificate_days=self._certificate_days(),
            authority_days=self._authority_days(),
            links=[self._link(tenant, link) for tenant, link in self.gateway.agents.all()],
            under_way=dict(self.gateway.in_flight),
            untouched={tenant: count for tenant, count in self.passthrough.under_way.items() if count},
            node=self.place.node,
            nodes=[_node(neighbour) for neighbour in self._neighbours()],
            nats=self.place.neighbours.trouble if self.place.neighbours else None,
            troubles=self._troubles(),
            # Each begins with its moment.
            last_error=max(self.admission.last_error, self.passthrough.last_error),
        )

    def _troubles(self) -> list[str]:
        of_nodes = self.place.neighbours.troubles if self.place.neighbours else []
        of_store = f"{self.outages.trouble} ({_LATE})" if self.outages.trouble else ""
        return [trouble for trouble in (self.certificate.trouble, of_store, *of_nodes, *self._strangers()) if trouble]

    def _strangers(self) -> Iterable[str]:
        """Tell of agents at other nodes whose tenant is none here."""
        known = self.gateway.tenants
        for neighbour in self._neighbours():
            if strange := sorted({route.held.tenant for route in neighbour.routes.values()}.difference(known.names)):
                yield f"node {neighbour.beat.name} has agents of {', '.join(strange)}, {_STRANGE}"

    def figures(self) -> Iterable[Figure]:
        """Return the relay's figures."""
        gateway = self.gateway
        links = list(gateway.agents.all())
        # What has no line yet has no rate either: the first one would raise no alarm.
        none = {(tenant, _UNKNOWN_OUTCOME): 0 for tenant in sorted(gateway.tenants.names)}
        answered = [
            ((("tenant", tenant), ("status", str(status))), float(count))
            for (tenant, status), count in {**none, **gateway.answered}.items()
        ]
        yield Figure("relay_requests_total", "counter", "Requests answered, by status.", answered)
        under_way = [((("tenant", tenant),), float(count)) for tenant, count in gateway.in_flight.items()]
        yield Figure("relay_requests_under_way", "gauge", "Requests under way.", under_way)
        untouched = [((("tenant", tenant),), float(count)) for tenant, count in self.passthrough.under_way.items()]
        yield Figure("relay_passthrough_connections", "gauge", "Connections carried in passthrough.", untouched)
        failed = [((("tenant", tenant),), float(count)) for tenant, count in self.passthrough.failed.items()]
        yield Figure("relay_passthrough_failed_total", "counter", "Connections that passthrough did not carry.", failed)
        slowed = [((("tenant", tenant),), float(count)) for tenant, count in gateway.slowed.items()]
        yield Figure("relay_slowed_total", "counter", "Requests refused for their rate; no tenant: by address.", slowed)
        repeats = [((("tenant", tenant),), float(count)) for tenant, count in gateway.agents.repeats.items()]
        yield Figure("relay_repeats_total", "counter", "Attempts made again, here or elsewhere.", repeats)
        for name, text, figure in (
            ("relay_links", "Links that are up.", lambda _: 1.0),
            (
                "relay_link_in_flight",
                "Requests under way on the links of an agent.",
                lambda link: float(link.in_flight),
            ),
            ("relay_host_unreachable", "Links whose agent does not reach its host.", _unreachable),
        ):
            samples: dict[tuple[tuple[str, str], ...], float] = {}
            for tenant, link in links:
                labels = (("tenant", tenant), ("agent", link.peer.name))
                samples[labels] = samples.get(labels, 0.0) + figure(link)
            yield Figure(name, "gauge", text, list(samples.items()))
        if (neighbours := self.place.neighbours) is not None:
            yield Figure("relay_nats_up", "gauge", "Whether NATS is there.", [((), 0.0 if neighbours.trouble else 1.0)])
            yield Figure("relay_nodes", "gauge", "Other nodes that can be asked.", [((), float(_asked(neighbours)))])
            carried = [((), float(neighbours.under_way))]
            yield Figure("relay_errands_under_way", "gauge", "Requests carried for other nodes.", carried)
        days = [((), float(self._certificate_days()))]
        yield Figure("relay_certificate_days", "gauge", "Days until the relay's certificate ends.", days)
        days = [((), float(self._authority_days()))]
        yield Figure("relay_authority_days", "gauge", "Days until the authority for agents ends.", days)

    def _link(self, tenant: str, link: Link) -> LinkStatus:
        name = self.admission.named.get(link)
        return LinkStatus(
            peer=link.peer.name,
            tenant=tenant,
            id=name.agent if name is not None else "",
            version=link.peer.software,
            since_s=link.since_s,
            round_trip_ms=None if link.round_trip_s is None else round(link.round_trip_s * 1000, 2),
            in_flight=link.in_flight,
            host_reachable=link.health.reachable,
            detail=link.health.detail,
        )

    def _neighbours(self) -> Iterable[Neighbour]:
        return list(self.place.neighbours.known.values()) if self.place.neighbours else ()

    def _certificate_days(self) -> int:
        return days_left(self.certificate.leaf, now())

    def _authority_days(self) -> int:
        return days_left(self.authority.certificate, now())


def _unreachable(link: Link) -> float:
    return 0.0 if link.health.reachable else 1.0


def _asked(neighbours: Neighbours) -> int:
    return sum(neighbour.link is not None for neighbour in neighbours.known.values())


def _node(neighbour: Neighbour) -> NodeStatus:
    beat, link = neighbour.beat, neighbour.link
    trip_s = None if link is None else link.round_trip_s
    return NodeStatus(
        name=beat.name,
        id=beat.node,
        version=beat.software,
        url=beat.url,
        round_trip_ms=None if trip_s is None else round(trip_s * 1000, 2),
        links=[_far_link(route.held) for route in neighbour.routes.values()],
    )


def _far_link(held: Held) -> LinkStatus:
    return LinkStatus(
        peer=held.name,
        tenant=held.tenant,
        id=held.id,
        version=held.software,
        since_s=held.since_s,
        round_trip_ms=held.round_trip_ms,
        in_flight=held.in_flight,
        host_reachable=held.health.reachable,
        detail=held.health.detail,
    )
