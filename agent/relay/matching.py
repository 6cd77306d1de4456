"""Which agents are connected, and which of them takes the next request of a tenant."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from agent.link.links import Link


class Agents:
    """The live links of all tenants; no tenant ever sees another's."""

    def __init__(self) -> None:
        self._links: defaultdict[str, list[Link]] = defaultdict(list)

    def add(self, tenant: str, link: Link) -> None:
        """Let this link take requests of the tenant."""
        self._links[tenant].append(link)

    def remove(self, tenant: str, link: Link) -> None:
        """Let this link take no more requests."""
        self._links[tenant].remove(link)

    def pick(self, tenant: str, tried: Container[Link] = ()) -> Link | None:
        """Return the usable link with the fewest requests in hand, or None; those that were tried are passed over.

        Of equals the one that was picked longest ago is taken: it goes to the end of the line.
        """
        links = self._links.get(tenant, [])
        usable = [link for link in links if link.usable and link not in tried]
        if not usable:
            return None
        picked = min(usable, key=lambda link: link.in_flight)
        if len(links) > 1:
            links.remove(picked)
            links.append(picked)
        return picked

    def all(self) -> Iterator[Link]:
        """Return every live link."""
        return (link for links in list(self._links.values()) for link in list(links))
