"""A second place for what a node has noted: the store, or the other nodes. Gets it in batches, one after the other.

Nobody waits for it but whoever asks whether it was tried, and what does not fit into it now is offered again.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.relay.unknown import Noted

BATCH: Final = 500
"""Notes that are offered together at the most."""

MOST: Final = 10_000
"""Notes that wait at the most, the last ones: a place that is away for long costs no more memory than this."""

_AGAIN_S: Final = 1.0
"""Between two attempts, where one has failed."""


class Replica:
    """One such place."""

    def __init__(self, keep: Callable[[list[Noted]], Awaitable[bool]], *, takes_learned: bool = False) -> None:
        """Take what keeps a batch, and says whether it could."""
        self.takes_learned = takes_learned
        """Whether what other nodes have noted belongs there, too."""
        self._keep = keep
        self._waiting: dict[str, Noted] = {}
        self._untried: dict[str, asyncio.Event] = {}
        self._moved = asyncio.Event()

    def put(self, noted: Noted) -> None:
        """Have this kept soon."""
        self._waiting[noted.key] = noted
        self._untried.setdefault(noted.key, asyncio.Event())
        self._bound()
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
        batch = dict(islice(self._waiting.items(), BATCH))
        for key in batch:
            del self._waiting[key]
        kept = False
        try:
            kept = await self._keep(list(batch.values()))
        finally:
            if not kept:
                self._waiting = batch | self._waiting
                self._bound()
            for key in batch:
                self._told(key)
        return kept

    def _bound(self) -> None:
        while len(self._waiting) > MOST:
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._told(key)

    def _told(self, key: str) -> None:
        if (untried := self._untried.pop(key, None)) is not None:
            untried.set()
