"""How the connector host is: looked at every few seconds, and told to the relay with each change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.link.messages import Health
from agent.outbound.host import HostCertificateRefused, HostUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.outbound.host import HostPool

DOWN_S: Final = 0.5


class Probe:
    """Keeps looking."""

    def __init__(self, pool: HostPool, every_s: float) -> None:
        self.health = Health(reachable=True, record="")
        self.tell: Callable[[Health], None] = lambda _: None
        """Called with each change."""
        self._pool = pool
        self._every_s = every_s

    async def look(self) -> None:
        """Look once, and tell where something changed; whatever is wrong with the host is an answer, too."""
        # A host that is away is expected back as it was: a write that meets it before we look again is held to that.
        record = self.health.record
        try:
            self.take(Health(reachable=True, record=await self._pool.look(record)))
        except (HostUnreachable, HostCertificateRefused) as failure:
            self.take(Health(reachable=False, record=record, detail=str(failure)))
        except Exception as failure:  # noqa: BLE001 - without more threads, say: nobody would look any more, unseen
            detail = f"the agent cannot look at the connector host: {type(failure).__name__}"
            self.take(Health(reachable=False, record=record, detail=detail))

    def take(self, health: Health) -> None:
        """Take in how the host was found to be, here or on the way of a request, and tell where something changed."""
        if health != self.health:
            level = logging.INFO if health.reachable else logging.WARNING
            detail = health.detail or None
            logs.event(events.HOST_PROBED, level=level, reachable=health.reachable, detail=detail)
            self.health = health
            self.tell(health)

    async def run(self) -> None:
        """Look every so often, for ever; more often at a host that is down, since hosts restart in seconds."""
        while True:
            await asyncio.sleep(self._every_s if self.health.reachable else min(self._every_s, DOWN_S))
            await self.look()
