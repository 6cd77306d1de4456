"""Which agents are connected, and which of them takes the next request of a tenant."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import events, logs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agent.link.links import Link


class Agents:
    """The live links of all tenants; no tenant ever sees another's."""

    def __init__(self) -> None:
        self.repeats: Counter[str] = Counter()
        """Attempts that were made again, by tenant."""
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._links: defaultdict[str, list[Link]] = defaultdict(list)

    def add(self, tenant: str, link: Link) -> None:
        """Let this link take requests of the tenant."""
        self._links[tenant].append(link)
        link.on_change = lambda: self._changed(tenant, link)
        self._tell(tenant)

    def remove(self, tenant: str, link: Link) -> None:
        """Let this link take no more requests."""
        self._links[tenant].remove(link)

    async def news(self, tenant: str, limit_s: float) -> None:
        """Return once a link of the tenant has come or changed, or when the time is up."""
        event = self._news[tenant]
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await event.wait()

    def _changed(self, tenant: str, link: Link) -> None:
        health = link.health
        level = logging.INFO if health.reachable else logging.WARNING
        fields = {"host_reachable": health.reachable, "detail": health.detail or None}
        logs.event(events.AGENT_HEALTH, level=level, tenant=tenant, agent=link.peer.name, **fields)
        self._tell(tenant)

    def _tell(self, tenant: str) -> None:
        """Wake everyone who waits for news; who asks later waits for the next."""
        self._news.pop(tenant, asyncio.Event()).set()

    def pick(self, tenant: str, tried: Collection[Link] = (), *, record: str | None = None) -> Link | None:
        """Return the usable link with the fewest requests in hand, or None; those that were tried are passed over.

        Where a `record` is named, only agents of a host with this record of outcomes. Agents that were not asked
        before go first, then those that reach their host; of equals the one that was picked longest ago is taken: it
        goes to the end of the line.
        """
        links = self._links.get(tenant, [])
        usable = [
            link
            for link in links
            if link.usable and link not in tried and (record is None or link.health.record == record)
        ]
        if not usable:
            return None
        if len(usable) == 1:
            return usable[0]
        asked = {link.peer.name for link in tried}
        picked = min(usable, key=lambda link: (link.peer.name in asked, not link.health.reachable, link.in_flight))
        if len(links) > 1:
            links.remove(picked)
            links.append(picked)
        return picked

    def all(self) -> Iterator[tuple[str, Link]]:
        """Return every live link with its tenant."""
        return ((tenant, link) for tenant, links in list(self._links.items()) for link in list(links))
