"""A second place for what a node has noted: the store, or the other nodes. Gets it in batches, one after the other.

Nobody waits for it but whoever asks whether it was tried, and what could not be kept is offered again. Of each tenant
as many notes wait as are remembered anyway, and each has its turn: one with many crowds nobody out.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from agent.relay.noted import MOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.relay.noted import Noted

BATCH: Final = 500
"""Notes that are offered together at the most."""

_AGAIN_S: Final = 1.0
"""Between two attempts, where one has failed."""


class Replica:
    """One such place."""

    def __init__(self, keep: Callable[[list[Noted]], Awaitable[bool]], *, takes_learned: bool = False) -> None:
        """Take what keeps a batch, and says whether it could."""
        self.takes_learned = takes_learned
        """Whether what other nodes have noted belongs there, too."""
        self._keep = keep
        self._waiting: dict[str, dict[str, Noted]] = {}
        """By tenant and key; who is longest without a turn comes first."""
        self._untried: dict[str, asyncio.Event] = {}
        self._moved = asyncio.Event()

    def put(self, noted: Noted) -> None:
        """Have this kept soon."""
        self._waiting.setdefault(noted.tenant, {})[noted.key] = noted
        self._untried.setdefault(noted.key, asyncio.Event())
        self._bound(noted.tenant)
        self._moved.set()

    async def tried(self, key: str) -> None:
        """Return once what was put under this key was tried to be kept, whether it could be or not."""
        if (untried := self._untried.get(key)) is not None:
            await untried.wait()

    async def run(self) -> None:
        """Keep what is put, for ever."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            await self.flush()
            if self._waiting:
                await asyncio.sleep(_AGAIN_S)
                self._moved.set()

    async def flush(self) -> None:
        """Offer what waits, until all of it is kept or something could not be."""
        while self._waiting and await self._offer():
            pass

    async def _offer(self) -> bool:
        """Offer a batch; returns whether it was kept."""
        batch, kept = self._batch(), False
        try:
            kept = await self._keep([noted for line in batch.values() for noted in line.values()])
        finally:
            for tenant, line in batch.items():
                if not kept:
                    again = line | self._waiting.get(tenant, {})
                    self._waiting[tenant] = dict(sorted(again.items(), key=lambda item: item[1].ends_s))
                    self._bound(tenant)
                for key in line:
                    self._told(key)
        return kept

    def _batch(self) -> dict[str, dict[str, Noted]]:
        """Take out what is offered next: as much of one tenant as of another."""
        share = max(1, BATCH // len(self._waiting))
        batch = {}
        for tenant in list(islice(self._waiting, BATCH)):
            line = self._waiting.pop(tenant)
            # What was not tried yet goes first: one node that does not answer keeps no news from the others.
            turn = set(sorted(line, key=lambda key: key not in self._untried)[:share])
            batch[tenant] = {key: line.pop(key) for key in list(line) if key in turn}
            if line:
                self._waiting[tenant] = line
        return batch

    def _bound(self, tenant: str) -> None:
        line = self._waiting[tenant]
        while len(line) > MOST:
            key = next(iter(line))
            del line[key]
            self._told(key)

    def _told(self, key: str) -> None:
        if (untried := self._untried.pop(key, None)) is not None:
            untried.set()
