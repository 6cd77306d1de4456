"""What the log says of agents' hosts: at once what is new, and of one link once a second at the most.

An agent says how its host is as often as it likes, and may mean harm: what it says in between is passed over, and what
it said last is told.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs

if TYPE_CHECKING:
    from agent.link.links import Link
    from agent.link.messages import Health

_PAUSE_S: Final = 1.0
"""Between two lines about one link."""

_DETAIL: Final = 1_024
"""Characters of what an agent says that are logged."""


class Hearsay:
    """Tells of each link in turn."""

    def __init__(self) -> None:
        self._told: dict[Link, Health] = {}
        """Of links that a line was written about a moment ago, what that said."""

    def tell(self, tenant: str, link: Link) -> None:
        """Tell how this link's agent says its host is, now or in a moment."""
        if link in self._told:
            return
        health = self._told[link] = link.health
        level = logging.INFO if health.reachable else logging.WARNING
        fields = {"host_reachable": health.reachable, "detail": health.detail[:_DETAIL] or None}
        logs.event(events.AGENT_HEALTH, level=level, tenant=tenant, agent=link.peer.name, **fields)
        asyncio.get_running_loop().call_later(_PAUSE_S, self._go_on, tenant, link)

    def _go_on(self, tenant: str, link: Link) -> None:
        if self._told.pop(link) != link.health:
            self.tell(tenant, link)
