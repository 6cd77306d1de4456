"""Which agents are connected, and which of them takes the next request of a tenant."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from agent.relay.hearsay import Hearsay
from agent.relay.unknown import UnknownOutcomes
from connector_host.deadlines import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from agent.link.links import Link
    from agent.link.messages import Health, Hello
    from agent.link.streams import Stream


class Route(Protocol):
    """A way to one agent: a link of this node's own, or one that another node holds."""

    @property
    def peer(self) -> Hello:
        """What the agent said about itself."""

    @property
    def node(self) -> str:
        """What the other node is called that it leads over; empty for a link of this node's own."""

    @property
    def health(self) -> Health:
        """How the agent says its host is."""

    @property
    def usable(self) -> bool:
        """Whether streams may be opened now."""

    @property
    def in_flight(self) -> int:
        """How many streams are open."""

    def takes(self, size_bytes: int) -> bool:
        """Return whether so much of the body of a fresh stream would leave at once."""

    def open(self, head: bytes, body: bytes = b"", *, end: bool) -> Stream:
        """Open a stream with the head of a request, and the whole of its body where one is given; only while `usable`.

        The route `takes` the body.
        """

    def is_unsent(self, stream: Stream) -> bool:
        """Return whether the stream's request never left this node."""

    def forget(self, stream: Stream) -> None:
        """Give the stream up and keep no memory of it."""


class Agents:
    """The agents of all tenants that can be asked; no tenant ever sees another's."""

    def __init__(self, unknown: UnknownOutcomes | None = None) -> None:
        self.repeats: Counter[str] = Counter()
        """Attempts that were made again, by tenant."""
        self.unknown = UnknownOutcomes() if unknown is None else unknown
        self.deadlines = Deadlines()
        """Of the requests that agents were asked."""
        self.apart = ""
        """Why there may be agents at other nodes that cannot be asked; empty where there are none."""
        self.leaving = False
        """Whether this node is about to stop: no link of its own takes a request any more, and no new one comes."""
        self.on_change: Callable[[], None] = _nothing
        """Called when a link of this node has come, gone or changed."""
        self._split: set[str] = set()
        """Tenants whose hosts keep several records of outcomes."""
        self._hearsay = Hearsay()
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._links: defaultdict[str, list[Link]] = defaultdict(list)
        self._far: defaultdict[str, list[Route]] = defaultdict(list)

    def add(self, tenant: str, link: Link) -> None:
        """Let this link take requests of the tenant."""
        self._links[tenant].append(link)
        link.on_change = lambda: self._changed(tenant, link)
        # An agent says with its hello how its host is.
        self._changed(tenant, link)

    def remove(self, tenant: str, link: Link) -> None:
        """Let this link take no more requests."""
        self._links[tenant].remove(link)
        self.on_change()

    def leave(self) -> None:
        """Have all links of this node drained, and nobody wait for another one."""
        self.leaving = True
        for _, link in self.all():
            link.drain("the relay is about to stop")
        for tenant in list(self._news):
            self._tell(tenant)

    def add_far(self, tenant: str, route: Route) -> None:
        """Let an agent that another node holds take requests of the tenant."""
        self._far[tenant].append(route)
        self._tell(tenant)

    def remove_far(self, tenant: str, route: Route) -> None:
        """Let it take no more requests."""
        self._far[tenant].remove(route)
        if not self._far[tenant]:
            del self._far[tenant]

    def far_changed(self, tenant: str) -> None:
        """Wake those who wait for news: an agent at another node may be usable, or well, again."""
        self._tell(tenant)

    async def news(self, tenant: str, limit_s: float) -> None:
        """Return once a link of the tenant has come or changed, or when the time is up."""
        event = self._news[tenant]
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await event.wait()

    def _changed(self, tenant: str, link: Link) -> None:
        self._hearsay.tell(tenant, link)
        self._tell(tenant)
        self.on_change()

    def _tell(self, tenant: str) -> None:
        """Wake everyone who waits for news; who asks later waits for the next."""
        (self._split.add if len(self._records(tenant)) > 1 else self._split.discard)(tenant)
        self._news.pop(tenant, asyncio.Event()).set()

    def pick(
        self, tenant: str, tried: Collection[Route] = (), *, record: str | None = None, write: bytes = b""
    ) -> Route | None:
        """Return the usable route with the fewest requests in hand, or None; those that were tried are passed over.

        Where a `record` is named, only agents of a host with this record of outcomes. Agents that were not asked
        before go first, then those that reach their host, then those that this node holds itself, because another node
        is one hop more; of equals the one that was picked longest ago is taken: it goes to the end of the line.

        A `write`, by its headers, goes first to the record that its client's key falls to, if anybody reaches that: so
        a client that sends it again meets the same one, at any node, even where nobody could note the first one.
        """
        if write and record is None and tenant in self._split:
            home = self.unknown.home(tenant, write, self._records(tenant))
            route = None if home is None else self.pick(tenant, tried, record=home)
            if route is not None and route.health.reachable:
                return route
        asked = frozenset({route.peer.who for route in tried}) if tried else _NOBODY
        near = _best(self._links.get(tenant, []), tried, asked, record)
        if not self._far or (near is not None and not tried and near.health.reachable):
            return near
        far = _best(self._far.get(tenant, []), tried, asked, record)
        if near is None or far is None:
            return far if near is None else near
        return far if _demerits(far, asked) < _demerits(near, asked) else near

    def _records(self, tenant: str) -> set[str]:
        """Return the records of outcomes that hosts of the tenant keep that can be reached now."""
        reached = (way for way in self._ways(tenant) if way.usable and way.health.reachable)
        return {way.health.record for way in reached if way.health.record}

    def of_agent(self, tenant: str, who: str) -> Iterator[Route]:
        """Return every way to one agent of the tenant."""
        return (route for route in self._ways(tenant) if route.peer.who == who)

    def _ways(self, tenant: str) -> Iterator[Route]:
        return chain(self._links.get(tenant, ()), self._far.get(tenant, ()))

    def all(self) -> Iterator[tuple[str, Link]]:
        """Return every live link with its tenant."""
        return ((tenant, link) for tenant, links in list(self._links.items()) for link in list(links))

    def all_far(self) -> Iterator[tuple[str, Route]]:
        """Return every agent's link that another node holds, with its tenant."""
        return ((tenant, route) for tenant, routes in list(self._far.items()) for route in list(routes))


Line = TypeVar("Line", bound=Route)


def _best(line: list[Line], tried: Collection[Route], asked: frozenset[str], record: str | None) -> Line | None:
    """Return the best usable route of this line, which goes to its end."""
    best, least = None, _WORST
    for route in line:
        if not route.usable or (tried and route in tried):
            continue
        if record is not None and route.health.record != record:
            continue
        rank = route.in_flight + _demerits(route, asked)
        if rank < least:
            best, least = route, rank
    if best is not None and best is not line[-1]:
        line.remove(best)
        line.append(best)
    return best


_NOBODY: Final = frozenset[str]()
_DEMERIT: Final = 1 << 40
"""More than a route can have in flight."""
_WORST: Final = 4 * _DEMERIT


def _demerits(route: Route, asked: frozenset[str]) -> int:
    """Return what speaks against a route: its agent was asked already, or, which is less, does not reach its host."""
    demerits = 0 if route.health.reachable else _DEMERIT
    return demerits + 2 * _DEMERIT if asked and route.peer.who in asked else demerits


def _nothing() -> None:
    """Change nothing."""
