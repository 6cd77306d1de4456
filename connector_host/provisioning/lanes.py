"""How hard a target may be pressed: requests at a time and requests a second, for all jobs of an engine together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from connector_host import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from connector_host.provisioning.settings import TargetSettings


class Lane:
    """Lets so many requests be under way at once, and begins no more than so many a second, evenly."""

    def __init__(self, concurrency: int, per_s: float | None = None) -> None:
        self._room = asyncio.Semaphore(concurrency)
        self._gap_s = 0.0 if per_s is None else 1 / per_s
        self._next_s = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and hold it for the time of the block."""
        async with self._room:
            if self._gap_s:
                now = clock.monotonic_s()
                at, self._next_s = max(now, self._next_s), max(now, self._next_s) + self._gap_s
                await asyncio.sleep(at - now)
            yield


def lanes(targets: Iterable[TargetSettings]) -> Mapping[str, Lane]:
    """Return one lane for each URL; where several jobs write to it, the most careful of their limits holds for all."""
    found = defaultdict(list)
    for target in targets:
        found[target.url].append(target)
    return {
        url: Lane(
            min(target.concurrency for target in some),
            min((target.requests_per_s for target in some if target.requests_per_s is not None), default=None),
        )
        for url, some in found.items()
    }
