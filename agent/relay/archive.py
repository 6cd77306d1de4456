"""Unknown outcomes in the relay's store: read when a node starts, written when there is one.

Where other nodes use the same store, what they have noted is looked up once a second. Never on the way of a request,
and never in the event loop's thread once the relay serves.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from agent import events, logs
from agent.relay.databases import StoreUnavailable
from agent.relay.replicas import Replica
from connector_host.clock import epoch_s

if TYPE_CHECKING:
    from agent.relay.matching import Agents
    from agent.relay.noted import Noted
    from agent.relay.store import Store

LOOK_S: Final = 1.0
"""Between two looks at the store, this one's and that for revocations."""

_SEEN_S: Final = 1.5 * LOOK_S
"""After this time every other node has looked."""


class Outages:
    """Logs that the store cannot be asked, once for each reason."""

    def __init__(self) -> None:
        self.trouble = ""
        """Why it cannot be asked now; empty where it can."""

    def tell(self, failure: Exception) -> None:
        """Log why, where that is news."""
        reason = str(failure) if isinstance(failure, StoreUnavailable) else repr(failure)
        if reason != self.trouble:
            self.trouble = reason
            logs.event(events.STORE_UNAVAILABLE, level=logging.ERROR, reason=reason)

    def over(self) -> None:
        """Take in that it answers."""
        self.trouble = ""


class Archive:
    """What the store holds of the unknown outcomes of these agents' writes."""

    def __init__(self, agents: Agents, store: Store) -> None:
        """Take in what is there, which blocks; raises StoreUnavailable."""
        self._agents = agents
        self._store = store
        self._seen = 0
        self._outages = Outages()
        self._learn(self._news())
        # A store of this node's own is where it remembers what others have told it; a shared one knows already.
        self.replica = Replica(self._keep, takes_learned=not store.shared)
        agents.unknown.replicas.append(self.replica)

    async def look(self) -> None:
        """Take in what other nodes have noted there; raises StoreUnavailable."""
        if self._store.shared:
            self._learn(await asyncio.to_thread(self._news))

    def _news(self) -> tuple[list[Noted], int]:
        return self._store.unknown_since(self._seen, epoch_s())

    def _learn(self, news: tuple[list[Noted], int]) -> None:
        notes, self._seen = news
        self._agents.unknown.learn(notes)

    async def _keep(self, notes: list[Noted]) -> bool:
        try:
            await asyncio.to_thread(self._store.note_unknown, notes, epoch_s())
        except Exception as failure:  # noqa: BLE001 - without more threads, say: nothing would be kept any more, unseen
            self._outages.tell(failure)
            return False
        self._outages.over()
        if self._store.shared and self._agents.apart:
            # Nobody could tell the other nodes: whoever waits for them to know waits until they have looked.
            await asyncio.sleep(_SEEN_S)
        return True
